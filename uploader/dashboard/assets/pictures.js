// A run's plots, drawn from their data, and what was logged by step.
import { data, h } from "./base.js";
import { cardFor } from "./chart_card.js";
import { matrixOf } from "./matrix.js";
import { alone, dashOf } from "./series.js";
import { numberOf, paint, short } from "./words.js";

const OVER_CONFIDENCE = [["precision", "p", "Precision"], ["recall", "r", "Recall"], ["f1", "f1", "F1"]];
/** A trainer's plots by their types: their titles, and their horizontal axes. */
const PLOTS = { pr_curve: ["Precision over recall", "recall"], confusion_matrix: ["Confusion matrix"] };
for (const [name, letter, said] of OVER_CONFIDENCE) PLOTS[`${name}_curve`] = PLOTS[`${letter}_curve`] = [`${said} over confidence`, "confidence"];
const seen = new IntersectionObserver((entries) => entries.forEach(({ target, isIntersecting }) => target.see?.(isIntersecting)), { rootMargin: "400px 0px" });
const sized = new ResizeObserver((entries) => entries.forEach(({ target }) => target.fit?.()));

/** Pictures are asked for as they come into view; newer ones, when somebody wants them: `count(howMany)`. */
export function picturesOf(key, unit) {
  const cards = h("div", { class: "charts" }, h("p", { class: "quiet" }, "Loading…"));
  const more = h("button", { hidden: true, onclick: load }, "Show what is new");
  let [known, loaded] = [0, null];
  const watch = new IntersectionObserver(([entry]) => entry.isIntersecting && load(), { rootMargin: "300px 0px" });
  watch.observe(cards);

  async function load() {
    watch.disconnect();
    more.hidden = true;
    loaded = known;
    const told = await data("/data/pictures", [["key", key]]).catch((error) => error.message);
    cards.replaceChildren(...(typeof told === "string" ? [h("p", {}, told)] : cardsOf(told.map((one) => ({ ...one, place: one.step == null ? "end" : `${unit} ${numberOf(one.step, unit)}` })))));
  }

  return { element: h("div", {}, more, cards), count(now) { known = now; more.hidden = loaded === null || loaded === now; } };
}

/** A card for each name, with a slider where there are several steps. */
function cardsOf(pictures) {
  const groups = new Map();
  for (const one of pictures) groups.set(one.name, [...(groups.get(one.name) ?? []), one]);
  return [...groups].map(([name, all]) => stepped(name, all.sort((a, b) => (a.step ?? Infinity) - (b.step ?? Infinity))));
}

function stepped(name, all) {
  if (all.length === 1) return drawn(all[0]);
  const card = drawn(all.at(-1), true);
  const said = h("output", { class: "number" }, all.at(-1).place);
  const slider = h("input", { type: "range", min: 0, max: all.length - 1, value: all.length - 1, oninput: () => {
    const one = all[slider.value];
    said.textContent = one.place;
    slider.setAttribute("aria-valuetext", one.place);
    show(drawn(one, true));
  } });
  const label = h("label", { class: "field step" }, h("span", { class: "sr" }, `Step of ${name}`), slider, said);
  card.append(label);
  return card;

  /** Put what another card shows in place of what stands above the slider, which would be let go if it was moved. */
  function show(next) {
    if (card.matches(".large")) next.querySelector("[title=Larger]")?.click();
    seen.unobserve(next);
    card.see?.(false);
    while (card.firstChild !== label) card.firstChild.remove();
    card.prepend(...next.childNodes);
    [card.className, card.see] = [next.className, next.see];
    card.see?.(true);
  }
}

function drawn(one, isTold = false) {
  const { name, plot, image } = one;
  const [title, x = "x"] = PLOTS[name] ?? [name];
  if (image) return h("figure", { class: "card chart" }, h("figcaption", {}, h("b", {}, title), isTold ? null : h("span", { class: "quiet" }, ` ${one.place}`)), h("img", { src: image, alt: `${title}, ${one.place}`, loading: "lazy" }));
  const names = namesOf(plot);
  if (plot?.matrix?.length) return matrixOf(title, plot.matrix, names);
  if (plot?.x?.length && plot.y) return curves(title, x, plot, names);
  return h("section", { class: "card chart", "aria-label": title }, h("h3", {}, title), h("p", { class: "quiet" }, "It came without data to draw."));
}

/** The names of a plot's rows; of curves, only some classes may have one. */
function namesOf(plot) {
  const names = Object.values(plot?.names ?? []);
  return plot?.classes && !plot.matrix ? plot.classes.map((at) => names[at] ?? `class ${at}`) : names;
}

/** Curves by class, with their mean; curves by name. */
function curves(title, x, plot, names) {
  const byName = !Array.isArray(plot.y);
  const rows = byName ? Object.values(plot.y) : Array.isArray(plot.y[0]) ? plot.y : [plot.y];
  const labels = byName ? Object.keys(plot.y) : rows.map((_, row) => names[row] ?? (rows.length > 1 ? `class ${row}` : "all classes"));
  const scores = byName ? [] : (plot.ap ?? []).map((each) => (Array.isArray(each) ? each[0] : each));
  const many = !byName && rows.length > 8;
  const lines = rows.map((values, row) => lineOf(labels[row], values, many ? "var(--frame)" : `var(--run-${(row + 1) % 10})`, scores[row]));
  if (!byName && rows.length > 1) lines.push({ ...lineOf("all classes", plot.x.map((_, at) => mean(rows.map((row) => row[at]))), "var(--accent)", mean(scores)), width: 3 });
  if (!many) lines.forEach((line, at) => { line.dash = dashOf(Math.floor(at / 10)); });
  const order = plot.x.map((_, at) => at).sort((a, b) => plot.x[a] - plot.x[b]);
  const state = { xs: order.map((at) => plot.x[at]), lines: lines.map((line) => ({ ...line, values: order.map((at) => line.values[at]) })), x, zoom: null, sync: null, isBare: !byName };
  const card = cardFor(title, { hidden: new Set(), viewOf: () => ({ ...state, lines: state.lines.map(inked) }), zoom: (zoom) => { state.zoom = zoom; card.zoom(zoom); } });
  Object.assign(card.element, { see: card.see });
  Object.assign(card.box, { fit: card.fit });
  seen.observe(card.element);
  sized.observe(card.box);
  return card.element;
}

const mean = (values) => (values.length ? values.reduce((sum, each) => sum + (each ?? 0), 0) / values.length : undefined);
const lineOf = (label, values, colour, score) => ({ id: label, label: score == null ? label : `${label}, AP50 ${short(score)}`, values, colour });
const inked = (line) => ({ ...line, raw: line.values, alone: alone(line.values), stroke: paint(line.colour), best: null, end: null });
