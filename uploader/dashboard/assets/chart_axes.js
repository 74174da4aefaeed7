// Places and ticks of charts' axes. Pure functions.
import { moment, short } from "./words.js";

/** A number on an axis, whose neighbours may differ from it by little. */
export const precise = (value) => (short(value).includes("e") ? short(value) : String(Number(value.toPrecision(7))));

/** Ticks in words, each once. */
export const distinct = (said) => said.map((each, at) => (each === said[at - 1] ? "" : each));

const two = (value) => String(Math.floor(value)).padStart(2, "0");

/** A place on the horizontal axis in words: "1:05:00" of time, "14:30:05" of the clock, "epoch 12" of any other. */
export function placeName(x, value, bare = false) {
  if (x !== "clock" && x !== "time") return bare ? precise(value) : `${x} ${precise(value)}`;
  if (x === "clock") return moment(new Date(value * 1000).toISOString()).slice(bare ? 11 : 0);
  const [hours, minutes] = [value / 3600, (value / 60) % 60];
  return hours >= 1 ? `${Math.floor(hours)}:${two(minutes)}:${two(value % 60)}` : `${Math.floor(minutes)}:${two(value % 60)}`;
}

/** Steps between ticks: whole epochs and steps; whole seconds, minutes, hours and days. */
export function incrsOf(x) {
  if (x === "epoch" || x === "step") return [0, 1, 2, 3, 4, 5, 6, 7].flatMap((power) => [1, 2, 5].map((each) => each * 10 ** power));
  if (x !== "clock" && x !== "time") return undefined;
  return [1, 5, 15, 30, 60, 300, 900, 1800, 3600, 7200, 21600, 43200, ...[1, 2, 7, 30, 90, 365].map((days) => days * 86400)];
}

/** Ticks of a logarithmic axis: even ones within two decades, else powers of ten with halves and fifths. */
export function logSplits(_, __, low, high) {
  if (high / low < 30) {
    const rough = (high - low) / 5;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough);
    const first = Math.ceil(low / step);
    return Array.from({ length: Math.floor(high / step) - first + 1 }, (___, n) => (first + n) * step);
  }
  const [from, to] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const every = Math.ceil((to - from) / 6);
  const within = to - from > 3 ? [1] : [1, 2, 5];
  const found = [];
  for (let power = from; power <= to; power += every) found.push(...within.map((each) => each * 10 ** power));
  return found.filter((each) => each >= low && each <= high);
}
