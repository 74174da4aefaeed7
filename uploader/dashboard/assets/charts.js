// Charts of one or several runs, a chart for each group of metrics.
import { h } from "./base.js";
import { cardFor, MANY } from "./chart_card.js";
import { controlsOf } from "./chart_controls.js";
export { keepSettings, keptSettings } from "./chart_controls.js";
import { alone, axisOf, dashOf, endsOf, groupsOf, prefixes, smoothed, valuesOf } from "./series.js";
import { paint } from "./words.js";

const FEW = 24; // charts that stand together; more have rooms, by the beginnings of their names
const COLOURS = 10; // --run-0 … --run-9 of style.css

/**
 * Show charts. They are built when they come into view, and given up when they are far from it.
 * @param {object} options `series`: see series.js; `settings`: how they are shown at first, see chart_controls.js; `axes`:
 *   that may be chosen; `controls`: whether a person may set anything; `changed(settings)`: is told what was set;
 *   `wanted(metrics)`: is told of what a chart comes into view.
 * @returns `update(series)` draws what has changed of the same runs, or others; `set(settings)` changes some.
 */
export function charts(place, { series, settings = {}, axes = ["epoch", "time"], controls = true, changed = () => {}, wanted = () => {} }) {
  const state = { x: axes[0], smoothing: 0, log: false, filter: "", zoom: null, ...settings };
  if (!axes.includes(state.x)) state.x = axes[0];
  const sync = `charts-${(made += 1)}`;
  const cards = new Map();
  const hidden = new Set(); // lines that a person has switched off, by run and name
  const rooms = new Map(); // where charts stand, by what their names begin with
  let first = []; // the room that is open at first
  const all = h("div");
  const bar = controls ? controlsOf(axes, unit(), (told) => { set(told); changed(state); }) : null;
  const none = h("p", { class: "quiet", hidden: true });
  place.replaceChildren(...[bar?.element, none, all].filter(Boolean));
  const inks = new Map(); // colours as a canvas takes them, which depend on light or dark
  let axis = null;
  let groups = new Map();

  const seen = new IntersectionObserver((entries) => entries.forEach(({ target, isIntersecting }) => {
    if (isIntersecting) wanted(groups.get(target.getAttribute("aria-label")) ?? []);
    cardOf(target)?.see(isIntersecting);
  }), { rootMargin: "600px 0px" });
  const sized = new ResizeObserver((entries) => entries.forEach(({ target }) => cardOf(target.closest("section"))?.fit()));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { inks.clear(); each((card) => card.redraw()); });
  update();

  function update(other = series) {
    series = other;
    axis = null; // made again when somebody looks
    groups = groupsOf(series.filter((run) => !run.hidden));
    for (const [title, card] of cards) if (!groups.has(title)) { card.give(); cards.delete(title); }
    for (const title of groups.keys()) if (!cards.has(title)) add(title);
    arrange();
    each((card) => card.update());
  }

  function set(told) {
    const looks = ["x", "log", "smoothing"].some((name) => name in told && told[name] !== state[name]);
    if ("x" in told && told.x !== state.x) { axis = null; told = { zoom: null, ...told }; }
    Object.assign(state, told);
    arrange();
    if (looks) each((card) => card.redraw());
    else if ("zoom" in told) each((card) => card.zoom(state.zoom));
  }

  /** Put the charts in order, without those that the filter leaves out. */
  function arrange() {
    const words = state.filter.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const [title, names] of groups) {
      const told = [title, ...names].join(" ").toLowerCase();
      const { element } = cards.get(title);
      element.hidden = !words.every((word) => told.includes(word));
      shown += !element.hidden;
    }
    const by = groups.size > FEW ? prefixes(groups) : new Map([["", [...groups.keys()]]]);
    first = [...by.keys()].slice(0, 1);
    const used = [...by].map(([prefix, titles]) => roomOf(prefix).fill(titles, words.length));
    order(all, used);
    none.hidden = shown > 0;
    none.textContent = groups.size ? "No chart has such a name." : "Nothing was measured so far.";
    bar?.show(state, shown, groups.size);
  }

  /** The place of charts whose names begin alike; it can be closed, and the first one is open at first. */
  function roomOf(prefix) {
    if (rooms.has(prefix)) return rooms.get(prefix);
    const grid = h("div", { class: "charts" });
    const summary = h("summary");
    const element = prefix ? h("details", { class: "room", open: (state.rooms ?? first).includes(prefix), ontoggle: toggled }, summary, grid) : grid;
    rooms.set(prefix, { element, fill(titles, isFiltered) {
      const shown = titles.filter((title) => !cards.get(title).element.hidden).length;
      summary.textContent = `${prefix} (${shown})`;
      element.hidden = !shown;
      if (isFiltered) element.open = true;
      order(grid, titles.map((title) => cards.get(title).element));
      return element;
    } });
    return rooms.get(prefix);
  }

  function toggled() {
    const open = [...rooms].filter(([, { element }]) => element.open).map(([prefix]) => prefix);
    if (String(open) === String(state.rooms ?? first)) return; // as when they are made
    state.rooms = open;
    if (!state.filter) changed(state); // which opens them
  }

  function add(title) {
    const card = cardFor(title, { sync, hidden, viewOf, zoom: (zoom) => { set({ zoom }); changed(state); } });
    cards.set(title, card);
    seen.observe(card.element);
    sized.observe(card.box);
  }

  function viewOf(title) {
    axis ??= axisOf(series, state.x);
    const names = groups.get(title) ?? [];
    const rows = axis.rows.filter((_, at) => !series[at].hidden && names.some((name) => series[at].columns.values[name]));
    const isLoading = series.some((run) => names.some((name) => run.isAwaited?.(name)));
    return { ...axis, ...state, x: state.x === "epoch" ? unit() : state.x, ends: endsOf(rows), isLoading, sync, single: series.length === 1, lines: linesOf(names) };
  }

  function linesOf(names) {
    return series.flatMap((run, number) => names.filter((name) => !run.hidden && run.columns.values[name] && !run.isAwaited?.(name)).map((name) => {
      const at = names.indexOf(name);
      const gaps = run.columns.gaps?.[name]?.map((place) => run.columns.at.indexOf(place));
      const raw = valuesOf(run.columns.values[name], axis.rows[number], axis.xs.length, state.log, gaps);
      const best = run.columns.at.indexOf(run.best ?? NaN);
      return {
        id: `${run.key}\n${name}`,
        label: [run.label, names.length > 1 || !run.label ? name : ""].filter(Boolean).join(" "),
        colour: run.colour ?? `var(--run-${at % COLOURS})`,
        stroke: inked(run.colour ?? `var(--run-${at % COLOURS})`),
        dash: dashOf(run.colour ? 2 * run.round + at : Math.floor(at / COLOURS)),
        raw,
        values: state.smoothing ? smoothed(raw, state.smoothing) : raw,
        alone: alone(raw),
        best: best < 0 || state.x === "clock" ? null : axis.rows[number][best],
        end: series.length * names.length > MANY ? null : run.evaluation?.[name] ?? null,
        hidden: hidden.has(`${run.key}\n${name}`),
      };
    }));
  }

  function inked(colour) {
    if (!inks.has(colour)) inks.set(colour, paint(colour));
    return inks.get(colour);
  }

  function unit() { return series.every((run) => run.unit === "step") ? "step" : "epoch"; }
  function each(act) { cards.forEach(act); }
  function cardOf(element) { return [...cards.values()].find((card) => card.element === element); }
  return { update, set };
}

/** Put elements into another one in their order, unless they stand so. */
function order(element, wanted) {
  if (element.children.length !== wanted.length || wanted.some((each, at) => element.children[at] !== each)) element.replaceChildren(...wanted);
}

let made = 0;
