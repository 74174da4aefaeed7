// One chart with its title and legend.
import { h } from "./base.js";
import { drawChart } from "./chart.js";
import { placeName } from "./chart_axes.js";
import { dashes } from "./series.js";
import { short } from "./words.js";

/** More lines, and a legend scrolls, and shows those near the cursor. */
export const MANY = 8;

/**
 * Make a chart, which is built once it is seen: `see(true)`. `hidden` is a Set of the ids of lines that are switched off,
 * `viewOf(title)` returns what `drawChart` draws, and `zoom(zoom)` is told what a person wants to see.
 */
export function cardFor(title, { hidden, viewOf, zoom }) {
  const box = h("div", { class: "plot", tabindex: 0, role: "slider", "aria-label": `${title}: a place on the chart`, "aria-valuemin": 1, "aria-valuenow": 1 });
  const where = h("span", { class: "quiet number where" });
  const legend = h("ul", { class: "legend" });
  const larger = h("button", { class: "plain small", "aria-pressed": "false", title: "Larger", "aria-label": `${title} larger`, onclick: enlarge }, "⤢");
  const element = h("section", { class: "chart card", "aria-label": title }, h("div", { class: "row" }, h("h3", { class: "grow" }, title), where, larger), box, legend);
  let [chart, view, visible, stale, entries] = [null, null, false, true, []];

  function enlarge() {
    larger.setAttribute("aria-pressed", String(box.parentNode.classList.toggle("large"))); // of another element, where it was moved
    box.parentNode.scrollIntoView({ block: "nearest" });
  }

  function build() {
    chart?.destroy();
    view = viewOf(title);
    entries = view.lines.map(entryOf);
    legend.classList.toggle("many", entries.length > MANY);
    tell(null);
    const isEmpty = view.lines.every((line) => line.raw.every((each) => each == null));
    box.dataset.none = !isEmpty ? "" : view.isLoading ? "Loading…" : "No values";
    chart = null;
    if (isEmpty) box.setAttribute("aria-valuetext", box.dataset.none);
    else if (box.clientWidth) chart = drawChart(box, view, { cursor: tell, zoom });
    stale = !chart;
  }

  function entryOf(line, number) {
    const value = h("b", { class: "number" });
    const toggle = () => {
      if (!hidden.delete(line.id)) hidden.add(line.id);
      chart?.show(number, !hidden.has(line.id));
      button.setAttribute("aria-pressed", String(!hidden.has(line.id)));
    };
    const swatch = h("span", { class: "swatch", "--run": line.colour, "--dash": dashes(line.dash) });
    const button = h("button", { class: "plain small", "aria-pressed": String(!line.hidden), onclick: toggle }, swatch, h("span", {}, line.label), value);
    const end = line.end == null ? null : h("span", { class: "quiet number", title: "The final evaluation, which is no epoch" }, `final ${short(line.end)}`);
    return { item: h("li", {}, button, end), value };
  }

  /** Show each line's value below the cursor, or its last one, where that means anything. */
  function tell(cursor) {
    where.textContent = cursor ? placeName(view.x, cursor.at) : "";
    const values = view.lines.map((line, number) => (cursor ? line.raw[cursor.rows[number]] : view.isBare ? null : line.raw.findLast((each) => each !== undefined)));
    const items = entries.map((entry, number) => ({ ...entry, said: values[number], row: cursor?.rows[number] }));
    const chosen = entries.length <= MANY ? items : nearest(items, cursor);
    for (const { value, said, row } of chosen) {
      const there = row == null ? "" : placeName(view.x, view.xs[row]);
      value.textContent = (said === null && !view.isBare ? "–" : short(said)) + (there === where.textContent ? "" : ` (${there})`);
    }
    // Not put there again, since what had the focus would lose it.
    if (chosen.length !== legend.childElementCount || chosen.some(({ item }, at) => legend.children[at] !== item)) legend.replaceChildren(...chosen.map(({ item }) => item));
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
      const before = view?.lines;
      view = viewOf(title);
      if (!chart || view.lines.length !== before.length || view.lines.some((line, at) => line.id !== before[at].id)) return build();
      chart.update(view);
      tell(null);
      stale = false;
    },
    redraw() { stale = true; if (visible) build(); },
    zoom(zoomed) { chart?.zoom(zoomed); },
    fit() { if (chart) chart.fit(); else if (visible) build(); },
    give() { chart?.destroy(); element.remove(); },
  };
}

/** The lines that are nearest to the cursor, from above. */
function nearest(items, cursor) {
  if (!cursor) return items;
  const far = ({ said }) => Math.abs(said - cursor.y);
  const there = items.filter(({ said }) => said != null);
  return there.sort((a, b) => far(a) - far(b)).slice(0, MANY).sort((a, b) => b.said - a.said);
}
