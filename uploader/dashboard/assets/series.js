// Runs' values as lines of charts. Pure functions.
import { numberOf } from "./words.js";

const STEPS = 2000; // places on a shared axis of time: no screen shows more

const DASHES = [undefined, [6, 3], [2, 3], [8, 3, 2, 3], [12, 4], [1, 5], [3, 6], [14, 3, 1, 3]];
/** How the lines of one colour differ. */
export const dashOf = (number) => DASHES[number % DASHES.length];

/** The same as a background of what stands for such a line: of ink and gaps in turn. */
export function dashes(dash) {
  let at = 0;
  return dash && `repeating-linear-gradient(90deg, ${dash.map((long, part) => `${part % 2 ? "#0000" : "var(--run)"} ${at}px ${(at += long)}px`)})`;
}

/**
 * One run in charts: `key`; `unit`, "epoch" or "step"; `label`, its name in legends, empty where there is only one; `colour` of its lines, such as
 * "var(--run-3)", without which each has its own; `round`, how many others had it before; `hidden`; `columns` as /data/run tells them; `best`, an epoch;
 * `evaluation`, the values of the final one, which is no epoch; `isAwaited(metric)`; `began`, from when its time is counted.
 */

/** The title of the chart that a metric belongs to: training and validation loss share one. */
export function titleOf(name) {
  const split = /^(?:train|val)\/(.+)$/.exec(name);
  return split ? split[1] : name.replace(/^lr\/pg\d+$/, "lr").replace(/^(gpus?)[./]\d+[./]/, "$1 ");
}

/** The lines of each chart: a Map of titles to the names of its metrics. Results come first, then losses. */
export function groupsOf(series) {
  const names = [...new Set(series.flatMap((each) => Object.keys(each.columns.values)))];
  names.sort((a, b) => b.startsWith("metrics/") - a.startsWith("metrics/")); // stable: otherwise as they were told
  const groups = new Map();
  for (const name of names) groups.set(titleOf(name), [...(groups.get(titleOf(name)) ?? []), name]);
  return groups;
}

/** Titles by what the names of their metrics begin with: a Map. */
export function prefixes(groups) {
  const found = new Map();
  for (const [title, names] of groups) {
    const prefix = [...new Set(names.map((name) => (name.includes("/") ? name.split("/")[0] : "others")))].join(", ");
    found.set(prefix, [...(found.get(prefix) ?? []), title]);
  }
  return found;
}

/** Columns without a row. */
export const noRows = () => ({ at: [], times: [], values: {} });

/** Rows with the time that each took as one of their values. */
export function timed(rows, unit = "epoch") {
  const values = rows.took?.some((each) => each != null) ? { [`${unit} time (s)`]: rows.took.map((each) => each && each / 1000) } : {};
  return { ...rows, values: { ...rows.values, ...values } };
}

/** Put rows into columns by their place: a row that is there already is replaced, since it was trained again. */
export function upsert(columns, rows) {
  for (const name of Object.keys(rows.values)) columns.values[name] ??= columns.at.map(() => null);
  columns.times ??= [];
  columns.gaps ??= {};
  for (const [name, places] of Object.entries(rows.gaps ?? {})) (columns.gaps[name] ??= []).push(...places);
  rows.at.forEach((place, row) => {
    let to = columns.at.length;
    while (to > 0 && columns.at[to - 1] > place) to -= 1;
    const again = to > 0 && columns.at[to - 1] === place;
    const put = (list, value) => (again ? (list[to - 1] = value) : list.splice(to, 0, value));
    put(columns.times, rows.times?.[row] ?? null);
    for (const [name, list] of Object.entries(columns.values)) put(list, rows.values[name]?.[row] ?? null);
    put(columns.at, place);
  });
}

/**
 * The horizontal axis that runs share: "epoch", epochs from 1 or steps; "time", in seconds since a run began; "clock", in Unix seconds.
 * Returns its places, `xs`, and for each run where its rows stand among them, or null.
 */
export function axisOf(series, x) {
  let own = series.map((each) => placesOf(each, x));
  const count = own.reduce((sum, places) => sum + places.length, 0);
  if (x === "time" && series.length > 1 && count > 2 * STEPS) own = rounded(own);
  const xs = [...new Set(own.flat())].filter(Number.isFinite).sort((a, b) => a - b);
  const index = new Map(xs.map((place, row) => [place, row]));
  return { xs, rows: own.map((places) => places.map((place) => index.get(place) ?? null)) };
}

/** The first and the last place of some runs' rows. */
export function endsOf(rows) {
  const known = rows.flatMap((each) => [each.find((to) => to != null), each.findLast((to) => to != null)]).filter((to) => to != null);
  return known.length ? [Math.min(...known), Math.max(...known)] : undefined;
}

function placesOf({ columns, began, unit }, x) {
  if (x === "epoch") return columns.at.map((place) => numberOf(place, unit));
  if (x === "clock") return columns.at;
  const times = (columns.times ?? []).map((time) => Date.parse(time) / 1000);
  const from = Math.min(Date.parse(began) / 1000 || Infinity, times.find(Number.isFinite)); // a clock may have been set
  return columns.at.map((_, row) => times[row] - from);
}

function rounded(own) {
  const step = (own.flat().reduce((most, place) => (place > most ? place : most), 0) || 1) / STEPS;
  return own.map((places) => places.map((place) => Math.round(place / step) * step));
}

/**
 * A metric's values by place on the axis: undefined where none was told, which its line goes across, and null where one
 * cannot be drawn, which is a gap: in the rows `gaps`, and on a logarithmic axis not above 0.
 */
export function valuesOf(column, rows, length, log, gaps = []) {
  const found = new Array(length);
  rows.forEach((to, row) => {
    const value = column[row];
    if (to == null || (value == null && !gaps.includes(row))) return;
    found[to] = value == null || (log && value <= 0) ? null : value;
  });
  return found;
}

/** Values smoothed by an exponential moving average, without the pull of its beginning; gaps stay. */
export function smoothed(values, weight) {
  let [mean, left] = [0, 1];
  return Array.from(values, (value) => {
    if (value == null) return value;
    mean = weight * mean + (1 - weight) * value;
    left *= weight;
    return mean / (1 - left);
  });
}

/** The rows of a line that stand alone between gaps, which only a dot shows. */
export function alone(values) {
  const found = [];
  let [before, last, run] = [null, null, 0];
  for (let row = 0; row <= values.length; row += 1) {
    if (row < values.length && values[row] === undefined) continue;
    if (row < values.length && values[row] !== null) [last, run] = [row, run + 1];
    else { if (run === 1) found.push(last); run = 0; }
    before = row;
  }
  return before === null ? [] : found;
}
