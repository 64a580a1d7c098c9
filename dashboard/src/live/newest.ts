/** Of the answers to a question that is asked again and again, only the one to the newest asking counts. */
export class Newest {
  #asked = 0;

  /** Return an answer or raise its error; undefined when there was another asking meanwhile. */
  async of<Answer>(answer: Promise<Answer>): Promise<Answer | undefined> {
    const asked = ++this.#asked;
    try {
      const found = await answer;
      return asked === this.#asked ? found : undefined;
    } catch (error) {
      if (asked === this.#asked) throw error;
      return undefined;
    }
  }

  /** Let no answer count that is still on its way. */
  forget(): void {
    this.#asked += 1;
  }
}
