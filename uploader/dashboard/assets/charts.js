// Charts of one or several runs, a chart for each group of metrics.
import { h } from "./base.js";
import { drawChart, placeName } from "./chart.js";
import { alone, axisOf, groupsOf, smoothed, valuesOf } from "./series.js";
import { choose, chosen } from "./state.js";
import { paint, short } from "./words.js";

const DASHES = [undefined, [6, 3], [2, 3], [8, 3, 2, 3]];
const COLOURS = 10; // --run-0 … --run-9 of style.css
const MANY = 8; // more lines, and a legend shows only those near the cursor
const AXES = { epoch: "Epochs", time: "Time since the start", clock: "Time of day" };

/**
 * Show charts. They are built when they come into view, and given up when they are far from it.
 *
 * @param {HTMLElement} place  what they are put into
 * @param {object} options
 * @param {import("./series.js").Series[]} options.series  the runs; their columns may be changed in place, see `update`
 * @param {Settings} [options.settings]  how they are shown at first
 * @param {Array<"epoch"|"time"|"clock">} [options.axes]  which axes a person may choose from, the first by default
 * @param {boolean} [options.controls]   whether to show what a person sets them with; true by default
 * @param {function(Settings): void} [options.changed]  is told what a person has set, to keep it in the address
 * @returns {{update: function(Series[]=): void, set: function(Partial<Settings>): void}}
 *   `update` draws what has changed, given other runs or with the same ones; `set` changes settings
 *
 * @typedef {object} Settings
 * @property {"epoch"|"time"|"clock"} x
 * @property {number} smoothing   the weight of an exponential moving average: 0, or up to 0.999
 * @property {boolean} log        whether vertical axes are logarithmic
 * @property {string} filter      words that a chart's title or one of its metrics has to contain
 * @property {?number[]} zoom     from where to where on the horizontal axis, or null for all
 */
export function charts(place, { series, settings = {}, axes = ["epoch", "time"], controls = true, changed = () => {} }) {
  const state = { x: axes[0], smoothing: 0, log: false, filter: "", zoom: null, ...settings };
  if (!axes.includes(state.x)) state.x = axes[0];
  const sync = `charts-${(made += 1)}`;
  const cards = new Map();
  const hidden = new Set(); // lines that a person has switched off, by run and name
  const grid = h("div", { class: "charts" });
  const bar = controls ? controlsOf(axes, (told) => { set(told); changed(state); }) : null;
  const none = h("p", { class: "quiet", hidden: true });
  place.replaceChildren(...[bar?.element, none, grid].filter(Boolean));
  const inks = new Map(); // colours as a canvas takes them, which depend on light or dark
  let axis = null;
  let groups = new Map();

  const seen = new IntersectionObserver((entries) => entries.forEach(({ target, isIntersecting }) => cardOf(target).see(isIntersecting)), { rootMargin: "600px 0px" });
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
    else if ("zoom" in told) each((card) => card.zoom());
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
    const order = [...groups.keys()].map((title) => cards.get(title).element);
    if (order.some((element, number) => grid.children[number] !== element)) grid.replaceChildren(...order);
    none.hidden = shown > 0;
    none.textContent = groups.size ? "No chart has such a name." : "Nothing was measured so far.";
    bar?.show(state, shown, groups.size);
  }

  function add(title) {
    const card = cardFor(title, { sync, hidden, viewOf, zoom: (zoom) => { set({ zoom }); changed(state); } });
    cards.set(title, card);
    seen.observe(card.element);
    sized.observe(card.box);
  }

  function viewOf(title) {
    axis ??= axisOf(series, state.x);
    return { ...axis, ...state, sync, single: series.length === 1, lines: linesOf(title) };
  }

  function linesOf(title) {
    const names = groups.get(title) ?? [];
    return series.flatMap((run, number) => names.filter((name) => !run.hidden && run.columns.values[name]).map((name) => {
      const at = names.indexOf(name);
      const raw = valuesOf(run.columns.values[name], axis.rows[number], axis.xs.length, state.log);
      const best = run.columns.at.indexOf(run.best ?? NaN);
      return {
        id: `${run.key}\n${name}`,
        label: [run.label, names.length > 1 || !run.label ? name : ""].filter(Boolean).join(" "),
        colour: run.colour ?? `var(--run-${at % COLOURS})`,
        stroke: inked(run.colour ?? `var(--run-${at % COLOURS})`),
        dash: run.colour ? DASHES[at % DASHES.length] : undefined,
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

  function each(act) { cards.forEach(act); }
  function cardOf(element) { return [...cards.values()].find((card) => card.element === element); }
  return { update, set };
}

/** Settings as the page's address tells them. */
export function keptSettings() {
  const zoom = chosen("zoom").split("~").map(Number);
  return {
    ...(chosen("x") && { x: chosen("x") }),
    smoothing: Math.min(Math.max(Number(chosen("smoothing")) || 0, 0), 0.999),
    log: chosen("log") === "1",
    filter: chosen("charts"),
    zoom: zoom.length === 2 && zoom.every(Number.isFinite) ? zoom : null,
  };
}

/** Keep settings in the page's address. */
export function keepSettings({ x, smoothing, log, filter, zoom }) {
  const places = zoom?.map((place) => Number(place.toPrecision(8))).join("~");
  choose({ x: x === "epoch" ? "" : x, smoothing: smoothing || "", log: log ? 1 : "", charts: filter, zoom: places });
}

let made = 0;

/** One chart with its title and legend. */
function cardFor(title, { hidden, viewOf, zoom }) {
  const box = h("div", { class: "plot", tabindex: 0, role: "slider", "aria-label": `${title}: a place on the chart`, "aria-valuemin": 1, "aria-valuenow": 1 });
  const where = h("span", { class: "quiet number where" });
  const legend = h("ul", { class: "legend" });
  const larger = h("button", { type: "button", class: "plain small", "aria-pressed": "false", title: "Larger", "aria-label": `${title} larger`, onclick: enlarge }, "⤢");
  const element = h("section", { class: "chart card", "aria-label": title }, h("div", { class: "row" }, h("h3", { class: "grow" }, title), where, larger), box, legend);
  let [chart, view, visible, stale, entries] = [null, null, false, true, []];

  function enlarge() {
    larger.setAttribute("aria-pressed", String(element.classList.toggle("large")));
    element.scrollIntoView({ block: "nearest" });
  }

  function build() {
    const had = chart;
    had?.destroy();
    view = viewOf(title);
    entries = view.lines.map(entryOf);
    legend.classList.toggle("many", entries.length > MANY);
    tell(null);
    if (box.clientWidth) chart = drawChart(box, view, { cursor: tell, zoom });
    stale = !chart;
  }

  function entryOf(line, number) {
    const value = h("b", { class: "number" });
    const toggle = () => {
      if (!hidden.delete(line.id)) hidden.add(line.id);
      chart?.show(number, !hidden.has(line.id));
      button.setAttribute("aria-pressed", String(!hidden.has(line.id)));
    };
    const swatch = h("span", { class: line.dash ? "swatch dashed" : "swatch" });
    swatch.style.setProperty("--run", line.colour);
    const button = h("button", { type: "button", class: "plain small", "aria-pressed": String(!line.hidden), onclick: toggle }, swatch, h("span", {}, line.label), value);
    const end = line.end == null ? null : h("span", { class: "quiet number", title: "The final evaluation, which is no epoch" }, `final ${short(line.end)}`);
    return { item: h("li", {}, button, end), value };
  }

  /** Show each line's value below the cursor, or its last one. */
  function tell(cursor) {
    where.textContent = cursor ? placeName(view.x, cursor.at) : "";
    const values = view.lines.map((line, number) => (cursor ? line.raw[cursor.rows[number]] : line.raw.findLast((each) => each != null)));
    const items = entries.map((entry, number) => ({ ...entry, said: values[number] }));
    const chosen = entries.length <= MANY ? items : nearest(items, cursor);
    for (const { value, said } of chosen) value.textContent = short(said);
    legend.replaceChildren(...chosen.map(({ item }) => item));
  }

  return {
    element,
    box,
    see(now) {
      visible = now;
      if (visible && (stale || !chart)) build();
      if (!visible && chart) { chart.destroy(); chart = null; }
    },
    update() {
      stale = true;
      if (!visible) return;
      const newer = viewOf(title);
      if (!chart || newer.lines.map((line) => line.id).join() !== view.lines.map((line) => line.id).join()) return build();
      view = newer;
      chart.update(view);
      tell(null);
      stale = false;
    },
    redraw() { stale = true; if (visible) build(); },
    zoom() { if (chart) chart.zoom(viewOf(title).zoom); },
    fit() { if (chart) chart.fit(); else if (visible) build(); },
    give() { chart?.destroy(); element.remove(); },
  };
}

/** The lines that are nearest to the cursor, from above. */
function nearest(items, cursor) {
  const far = ({ said }) => Math.abs(said - cursor.y);
  const there = cursor ? items.filter(({ said }) => said != null) : [];
  return there.sort((a, b) => far(a) - far(b)).slice(0, MANY).sort((a, b) => b.said - a.said);
}

/** What a person sets charts with. */
function controlsOf(axes, told) {
  const filter = h("input", { type: "search", placeholder: "Filter charts", "aria-label": "Filter charts by name", oninput: () => told({ filter: filter.value }) });
  // Even steps of the slider are even steps of how far back is averaged: up to 0.999, a thousand epochs.
  const slider = h("input", { type: "range", min: 0, max: 100, oninput: () => told({ smoothing: slider.value > 0 ? Number((1 - 10 ** (-slider.value * 0.03)).toFixed(4)) : 0 }) });
  const weight = h("output", { class: "number" });
  const log = h("input", { type: "checkbox", onchange: () => told({ log: log.checked }) });
  const x = h("select", { onchange: () => told({ x: x.value }) }, axes.map((each) => h("option", { value: each }, AXES[each])));
  const all = h("button", { type: "button", onclick: () => told({ zoom: null }) }, "Zoom out");
  const count = h("span", { class: "quiet", role: "status" });
  const element = h("div", { class: "row controls" }, filter, h("label", { class: "field" }, "Smoothing", slider, weight),
    h("label", { class: "field" }, log, "Log scale"), axes.length > 1 ? h("label", { class: "field" }, "Across", x) : null, all, count);
  return {
    element,
    show(state, shown, of) {
      if (filter.value !== state.filter) filter.value = state.filter;
      const position = Math.round(-Math.log10(1 - state.smoothing) / 0.03);
      if (document.activeElement !== slider) slider.value = position;
      slider.setAttribute("aria-valuetext", state.smoothing ? String(state.smoothing) : "off");
      weight.textContent = state.smoothing ? state.smoothing.toFixed(3) : "off";
      log.checked = state.log;
      x.value = state.x;
      all.hidden = !state.zoom;
      count.textContent = shown < of ? `${shown} of ${of} charts` : "";
    },
  };
}
