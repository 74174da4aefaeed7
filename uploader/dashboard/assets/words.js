// Values in words: numbers, times, sizes, states, and the colours of runs. Each number on a page is written here.

import { h } from "./base.js";

/** A number in a few digits. */
export function short(value) {
  if (value == null) return "";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "object") return JSON.stringify(value);
  if (typeof value !== "number") return String(value);
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e6) return String(value);
  return size !== 0 && (size < 1e-4 || size >= 1e6) ? value.toExponential(3).replace(/\.?0+e/, "e") : String(Number(value.toPrecision(4)));
}

/** A number as long as others of its column, so that their digits stand below each other. */
export function even(value) {
  const size = Math.abs(value);
  if (typeof value !== "number" || Number.isInteger(value) && size > 1 || size >= 1e4 || (size < 0.01 && size)) return short(value);
  return value.toFixed(size < 10 ? 4 : size < 100 ? 3 : size < 1000 ? 2 : 1);
}

/** How many there are of something: 1 epoch, 2,037 runs. */
export const count = (many, what) => `${many.toLocaleString("en")} ${what}${many === 1 ? "" : "s"}`;

/** The number of an epoch or a step as people count them: epochs from 1, the steps of a loop as it numbers them. */
export const numberOf = (place, unit) => (unit === "step" ? place : place + 1);

/** What they are called in heads: Epoch or Step. */
export const titled = (unit) => (unit === "step" ? "Step" : "Epoch");

/** What a run counts: steps, where it tells of its last one, or epochs. */
export const unitOf = ({ step }) => (step == null ? "epoch" : "step");

/** How far a run is, of what is planned: most loops count steps from 0, some from 1. */
export const farOf = ({ step, epochs_done: done, epochs_planned: planned }) => (step == null ? done : step === planned ? step : step + 1);

/** A size in bytes: 5.4 MB. */
export function bytes(value) {
  if (value == null) return "";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let step = 0;
  for (; value >= 999.5 && step < 4; step++) value /= 1000;
  return `${step ? Number(value.toPrecision(3)) : value} ${units[step]}`;
}

/** A duration in seconds: 2 d 3 h, 4 h 12 min, 3 min 20 s, 12 s, 1.25 s. */
export function duration(seconds) {
  if (seconds == null || !Number.isFinite(seconds)) return "";
  if (seconds < 10) return `${Number(Math.max(0, seconds).toPrecision(3))} s`;
  const whole = Math.round(seconds);
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const first = parts.findIndex(([size]) => whole >= size);
  const told = parts.slice(first, first + 2).map(([size, unit], place) => [Math.floor((place ? whole % parts[first][0] : whole) / size), unit]);
  return told.filter(([count]) => count).map(([count, unit]) => `${count} ${unit}`).join(" ");
}

const DAY = 86400;

/** How long ago a moment is: "5 min ago"; a date where it is more than a week. */
export function ago(iso, now = Date.now()) {
  const seconds = (now - Date.parse(iso)) / 1000;
  if (Math.abs(seconds) < 45) return "just now";
  if (seconds < 0 || seconds >= 7 * DAY) return moment(iso).slice(0, 10);
  if (seconds < 3570) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 0.98 * DAY) return `${Math.round(seconds / 3600)} h ago`;
  const days = Math.round(seconds / DAY);
  return days === 1 ? "1 day ago" : `${days} days ago`;
}

/** A moment to the second, in the reader's time zone: 2026-11-27 19:03:11. */
export function moment(iso) {
  const local = new Date(iso);
  if (Number.isNaN(local.getTime())) return String(iso);
  return new Date(local.getTime() - local.getTimezoneOffset() * 60000).toISOString().slice(0, 19).replace("T", " ");
}

/** A <time>: how long ago, and on hover the moment; or the moment itself. It is kept up to date. */
export function time(iso, { absolute = false } = {}) {
  if (!iso || Number.isNaN(Date.parse(iso))) return h("span", { class: "quiet" }, iso ?? "–");
  if (absolute) return h("time", { datetime: iso }, moment(iso));
  return h("time", { datetime: iso, title: moment(iso), "data-ago": true }, ago(iso));
}

setInterval(() => {
  for (const each of document.querySelectorAll("time[data-ago]")) {
    const said = ago(each.getAttribute("datetime"));
    if (each.textContent !== said) each.textContent = said;
  }
}, 20000);

const KINDS = {
  good: ["completed", "arrived", "delivered", "verified", "final", "done"],
  busy: ["running", "starting", "arriving", "sending"],
  bad: ["failed", "refused", "dead", "missing", "damaged", "error"],
  warn: ["silent", "interrupted", "stopped early", "waiting", "retrying", "pruned"],
};

/** Which kind of state a word is: good, busy, bad, warn or idle. */
export const kindOf = (state) => Object.keys(KINDS).find((kind) => KINDS[kind].includes(state)) ?? "idle";

/** A state with its sign. */
export const chip = (state, kind = kindOf(state)) => h("span", { class: "chip", "data-kind": kind }, state);

/** A long name in two parts for an element of class `ends`, so that its end is seen where there is no room for all of it. */
export const ends = (name) => (name.length < 16 ? name : [h("span", {}, name.slice(0, -7)), h("span", {}, name.slice(-7))]);

/** A colour for each of some runs, as CSS: by its key, so a run has the same one elsewhere, unless two would share it. */
export function colours(keys, taken = new Map()) {
  for (const key of keys) {
    if (taken.has(key)) continue;
    const count = (one) => [...taken.values()].filter((colour) => colour === `var(--run-${one})`).length;
    const least = Math.min(...Array.from({ length: 10 }, (_, one) => count(one)));
    let slot = [...key].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) >>> 0, 7) % 10;
    while (count(slot) > least) slot = (slot + 1) % 10;
    taken.set(key, `var(--run-${slot})`);
  }
  return taken;
}

/** A colour of the style sheet as a canvas needs it: paint("var(--run-3)"). It depends on light or dark. */
export function paint(colour) {
  const probe = h("span", { hidden: true });
  probe.style.color = colour;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

/** The words of a name: "val/clsLoss_2" has "val cls loss". */
const worded = (name) => name.replace(/([a-z])([A-Z])/g, "$1 $2").replace(/[^A-Za-z]+/g, " ").toLowerCase();

/** Whether a metric has better and worse values: a learning rate has not. */
export const isJudged = (name) => !/(^|\/)(epoch|step)/i.test(name) && !/\b(lr|learning ?rate|grad|gradients?|norm|momentum|global step)\b/.test(worded(name));

/** Whether a lower value of a metric is better, by its name. */
export const lowerIsBetter = (name) => /\b([a-z]*loss(es)?|err(ors?)?|mae|mse|rmse|(run)?time|latency|speed|ms|perplexity)\b/.test(worded(name));
