// What a run's page tells in tables and lists.
import { at, h } from "./base.js";
import { bytes, chip, duration, isJudged, lowerIsBetter, numberOf, short, time, titled } from "./words.js";

const FORMS = {
  time: (value) => time(value, { absolute: true }),
  milliseconds: (value) => duration(value / 1000),
  bytes,
  code: (value) => h("code", {}, String(value)),
  link: (value) => linkTo(value),
  text: short,
};

/** A link to another server, if that is what it is. */
export function linkTo(address, text = address) {
  return /^https?:\/\//i.test(address) ? h("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, text) : text;
}

/** Facts under their labels. */
export const factsOf = (facts) => h("dl", { class: "facts" }, facts.flatMap(({ label, value, form }) => [h("dt", {}, label), h("dd", {}, (FORMS[form] ?? short)(value))]));

/** A room for what may be wider than the page. */
export const wide = (label, inside, more = "") => h("div", { class: `scroll ${more}`, tabindex: 0, role: "region", "aria-label": label }, inside);

/** A table in such a room. Columns whose head ends in # hold digits. */
function table(label, heads, rows) {
  const head = h("tr", {}, heads.map((each) => h("th", { scope: "col" }, each.replace("#", ""))));
  heads.forEach((each, at) => each.endsWith("#") && [head, ...rows].forEach(({ children }) => children[at].classList.add("number")));
  const body = h("tbody", {}, rows);
  return wide(label, h("table", {}, h("thead", {}, head), body));
}

const numbered = (place, unit) => numberOf(place, unit).toLocaleString("en");
const row = (first, ...cells) => h("tr", {}, h("th", { scope: "row", title: first }, first), cells.map((cell) => h("td", {}, cell)));

/** Every metric's last and best value, and that of the final evaluation. `update` writes what has changed. */
export function valuesOf(unit) {
  const cells = new Map();
  const element = table("Values", ["Metric", "Last#", "Best#", `At ${unit}#`, "Final evaluation#"], []);
  const body = element.querySelector("tbody");
  function add(name) {
    const made = [0, 1, 2, 3].map(() => h("td", { class: "number" }));
    body.append(h("tr", {}, h("th", { scope: "row", title: name }, name), made));
    cells.set(name, made);
  }
  return {
    element,
    update({ columns, evaluation = {} }) {
      element.firstChild.classList.toggle("four", !Object.keys(evaluation).length);
      const names = new Set([...Object.keys(columns.values), ...Object.keys(evaluation)]);
      for (const [name, made] of cells) if (!names.has(name)) { made[0].parentNode.remove(); cells.delete(name); }
      for (const name of names) {
        if (!cells.has(name)) add(name);
        const known = columns.values[name] ?? [];
        const best = !isJudged(name) ? -1 : known.reduce((most, value, at) => (value != null && (most < 0 || (lowerIsBetter(name) ? value < known[most] : value > known[most])) ? at : most), -1);
        const last = known.findLastIndex((each) => each != null);
        const isNone = columns.gaps?.[name]?.some((place) => place > columns.at[last]);
        const told = [isNone ? "no number" : known[last], known[best], best < 0 ? null : numbered(columns.at[best], unit), evaluation[name]].map(short);
        cells.get(name).forEach((cell, at) => { if (cell.textContent !== told[at]) cell.textContent = told[at]; });
      }
    },
  };
}

/** Nested values by their path, with a search. */
export function searchable(label, values) {
  const pairs = flat(values).map(([name, value]) => ({ told: `${name} ${value}`.toLowerCase(), element: row(name, value === "" ? "–" : value) }));
  const none = h("p", { class: "quiet", hidden: true, role: "status" }, "Nothing of that name or value.");
  const search = h("input", { type: "search", placeholder: "Search", "aria-label": `Search ${label}`, oninput: () => {
    const words = search.value.toLowerCase().split(/\s+/);
    for (const { told, element } of pairs) element.hidden = !words.every((word) => told.includes(word));
    none.hidden = pairs.some(({ element }) => !element.hidden);
  } });
  return [h("div", { class: "row controls" }, search), none, wide(label, h("table", { class: "pairs" }, h("tbody", {}, pairs.map(({ element }) => element))), "tall")];
}

function flat(value, path = "") {
  if (value === null || typeof value !== "object" || !Object.keys(value).length || (Array.isArray(value) && value.every((each) => typeof each !== "object"))) {
    return [[path, Array.isArray(value) ? value.join(", ") : value === null ? "none" : typeof value === "object" ? "" : String(value)]];
  }
  return Object.entries(value).flatMap(([name, each]) => flat(each, path ? `${path}.${name}` : name));
}

/** What epochs told that is no finite number, and so in no chart. */
export const othersOf = (all, unit) => table("Values that are no numbers", [titled(unit), "Name", "Value"], all.map(({ epoch, name, value }) => row(numbered(epoch, unit), name, value)));

/** Checkpoints with what identifies them. */
export function checkpointsOf(all, unit) {
  return table("Checkpoints", ["Name", `${titled(unit)}#`, "Size#", "State", "Saved", "SHA-256", "File"], all.map((one) => row(
    one.name, one.epoch == null ? "–" : numbered(one.epoch, unit), bytes(one.size) || "–", one.state ? chip(one.state) : "", time(one.saved_at ?? one.arrived_at),
    one.sha256 ? [h("code", { title: one.sha256 }, one.sha256.slice(0, 12)), copyOf(one.sha256, `the SHA-256 of ${one.name}`)] : "–",
    one.download ? h("a", { class: "button", href: at(one.download), download: one.name }, "Download") : h("span", { class: "quiet" }, "not here"))));
}

function copyOf(text, what) {
  const button = h("button", { class: "small", "aria-label": `Copy ${what}`, onclick: async () => {
    button.textContent = await navigator.clipboard.writeText(text).then(() => "copied", () => "not allowed");
    setTimeout(() => { button.textContent = "copy"; }, 2000);
  } }, "copy");
  return button;
}

/** Where a run goes, what has not arrived, and what was proven. */
export function destinationsOf({ destinations, deliveries }) {
  const places = destinations.map((each) => row(
    linkTo(each.url ?? "", each.name), each.standing, String(each.arrived), String(each.left),
    each.proven ? [each.proven, " ", time(each.proven_at)] : h("span", { class: "quiet" }, "not verified yet")));
  const waiting = deliveries.map((each) => row(each.what, each.destination, chip(each.state), each.reason ?? "", time(each.next_at)));
  return [
    places.length ? table("Destinations", ["Destination", "Standing", "Arrived#", "Left#", "Proof"], places) : null,
    waiting.length ? h("h3", {}, "Not arrived") : null,
    waiting.length ? table("Not arrived", ["What", "Destination", "State", "Reason", "Next attempt"], waiting) : null,
  ].filter(Boolean);
}
