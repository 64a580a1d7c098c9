/** Shows how far one delivery is. Asks again every ten seconds while somebody is on the way with it. */
import { TEXTS } from "/customer/texts.js";

const AGAIN_MS = 10_000;
const STEPS = ["ordered", "assigned", "on_the_way", "delivered"];
const STEP_OF = {
  pending: 0, assigned: 1, accepted: 1, picked_up: 2, in_transit: 2, arrived: 2, delivered: 3,
};
const ENDED = new Set(["delivered", "returned", "cancelled"]);

const language = (navigator.languages ?? ["en"]).map((tag) => tag.slice(0, 2)).find((tag) => tag in TEXTS) ?? "en";
const texts = TEXTS[language];
const token = location.pathname.split("/").pop();
const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(language, { weekday: "long", hour: "2-digit", minute: "2-digit" });
document.documentElement.lang = language;

const put = (id, text) => (document.getElementById(id).textContent = text);

/** A moment as a clock time, with the day where it is not today. */
function moment(text) {
  const at = new Date(text);
  return (at.toDateString() === new Date().toDateString() ? clock : day).format(at);
}

/** The range in which four of five arrivals lie, and how sure that is. */
function rangeOf(eta) {
  const [between, and] = texts.between;
  return `${between} ${moment(eta.range.min)} ${and} ${moment(eta.range.max)} · ${texts.sureness[eta.confidence]}`.trim();
}

/** What the time goes into; less than a minute is not worth a word. */
function list(id, reasons) {
  const told = reasons.filter((reason) => reason.minutes >= 1);
  document.getElementById(id).replaceChildren(
    ...told.map(({ name, minutes }) => {
      const item = document.createElement("li");
      item.textContent = texts.reasons[name].replace("{minutes}", Math.round(minutes));
      return item;
    }),
  );
}

function show(delivery) {
  document.title = `${delivery.company} · ${texts.status[delivery.status]}`;
  put("company", delivery.company);
  put("status", texts.status[delivery.status]);
  put("eta", delivery.eta ? `${texts.expected} ${moment(delivery.eta.estimatedTime)}` : "");
  put("range", delivery.eta ? rangeOf(delivery.eta) : "");
  list("reasons", delivery.eta?.reasons ?? []);
  const agreed = delivery.timeWindow;
  put("window", agreed ? `${texts.agreed} ${moment(agreed.start)} – ${moment(agreed.end)}` : "");
  put("reference", delivery.reference ? `${texts.reference} ${delivery.reference}` : "");
  put("updated", `${texts.updated} ${clock.format(new Date())}`);
  const reached = STEP_OF[delivery.status];
  document.getElementById("steps").replaceChildren(
    ...(reached === undefined ? [] : STEPS).map((step, number) => {
      const item = document.createElement("li");
      item.textContent = texts.steps[step];
      item.className = number <= reached ? "done" : "";
      if (number === reached) item.setAttribute("aria-current", "step");
      return item;
    }),
  );
  return !ENDED.has(delivery.status);
}

async function ask() {
  let goesOn = true;
  try {
    const answer = await fetch(`/api/v1/track/${token}`);
    if (answer.ok) goesOn = show(await answer.json());
    else if (answer.status === 404 || answer.status === 422) {
      put("status", texts.gone);
      goesOn = false;
    }
  } catch {
    put("updated", texts.offline);
  }
  if (goesOn) setTimeout(ask, AGAIN_MS);
}

ask();
