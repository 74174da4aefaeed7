// A small curve for each run in view: asked for once, then drawn on by what is new.

import { data, h } from "./base.js";

const known = new Map(); // by key: { metric, values, epochs }
const asked = new Set();
let waiting = null;

/** Draw the curves of some runs into their cells, and ask for those that are not known, once the page stands still. */
export function sparks(rows, cellOf) {
  for (const row of rows) {
    const cell = cellOf(row.key, "trend");
    if (cell && known.has(row.key)) draw(cell, row);
  }
  clearTimeout(waiting);
  const missing = rows.filter((row) => cellOf(row.key, "trend") && row.epochs_done && !known.has(row.key) && !asked.has(row.key));
  if (missing.length) waiting = setTimeout(() => ask(missing, cellOf), 60);
}

async function ask(rows, cellOf) {
  for (const row of rows) asked.add(row.key);
  const epochs = new Map(rows.map((row) => [row.key, row.epochs_done]));
  try {
    const found = await data("/data/trends", rows.map((row) => ["key", row.key]));
    for (const [key, trend] of Object.entries(found)) known.set(key, { ...trend, epochs: epochs.get(key) });
    for (const row of rows) if (cellOf(row.key, "trend") && known.has(row.key)) draw(cellOf(row.key, "trend"), row);
  } catch {
    for (const row of rows) asked.delete(row.key); // the list is told of a lost server; the next look asks again
  }
}

function draw(cell, row) {
  const trend = known.get(row.key);
  const value = row.metrics[trend.metric];
  if (row.epochs_done > trend.epochs && value != null) {
    trend.epochs = row.epochs_done;
    trend.values = trend.values.length < 120 ? [...trend.values, value] : [...trend.values.filter((_, place) => place % 2), value];
  }
  const drawn = `${row.key} ${trend.epochs}`;
  if (cell.dataset.drawn === drawn) return;
  cell.dataset.drawn = drawn;
  cell.replaceChildren(spark(trend.values, trend.metric));
}

/** A small curve as an image: spark([1, 2, 1.5], "loss"). */
export function spark(values, metric, width = 92, height = 24) {
  const numbers = values.filter((value) => value != null);
  if (numbers.length < 2) return h("span", { class: "quiet" }, "–");
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  const x = (place) => ((place / (values.length - 1)) * width).toFixed(1);
  const y = (value) => (height - 2 - (high > low ? (value - low) / (high - low) : 0.5) * (height - 4)).toFixed(1);
  let pen = "M";
  const path = values.map((value, place) => {
    if (value == null) { pen = "M"; return ""; }
    const part = `${pen}${x(place)} ${y(value)}`;
    pen = "L";
    return part;
  }).join("");
  const said = `${metric} from ${Number(numbers[0].toPrecision(3))} to ${Number(numbers.at(-1).toPrecision(3))}`;
  return h("svg", { class: "spark", role: "img", "aria-label": said, "data-points": values.length, viewBox: `0 0 ${width} ${height}`, width, height },
    h("title", {}, said), h("path", { d: path }));
}
