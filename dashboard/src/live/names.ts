const order = new Intl.Collator("en", { numeric: true });

/** Return things in the order of their names; 2 comes before 10. */
export function byName<Named>(things: readonly Named[], nameOf: (thing: Named) => string): Named[] {
  return [...things].sort((one, other) => order.compare(nameOf(one), nameOf(other)));
}
