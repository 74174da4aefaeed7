// The runs of a comparison: what is known of them, what is new, and what differs. Nothing here touches the page.

import { data } from "./base.js";
import { mainFirst } from "./run_columns.js";
import { took } from "./run_rows.js";
import { upsert } from "./series.js";
import { duration } from "./words.js";

/** Ask for a run with its first curves; of the others there are only their names. */
export async function comparedRun(key) {
  const { names, ...told } = await data("/data/curves", [["key", key]]);
  const run = { key, ...told, known: new Set(Object.keys(told.epochs.values)) };
  const { values, at } = run.epochs;
  run.epochs.values = Object.fromEntries(names.map((name) => [name, values[name] ?? at.map(() => null)]));
  run.awaited = new Set(names.filter((name) => !run.known.has(name)));
  return run;
}

/** Ask for more curves of a run; what is known is not asked for again. Returns whether there was anything to ask for. */
export async function askCurves(run, names) {
  const asked = names.filter((name) => name in run.epochs.values && !run.known.has(name));
  if (!asked.length) return false;
  for (const name of asked) run.known.add(name);
  try {
    const { epochs } = await data("/data/curves", [["key", run.key], ...asked.map((name) => ["metric", name])]);
    const row = new Map(epochs.at.map((at, place) => [at, place]));
    for (const name of asked) {
      run.awaited.delete(name);
      const told = epochs.values[name] ?? [];
      run.epochs.values[name] = run.epochs.at.map((at, place) => told[row.get(at)] ?? run.epochs.values[name][place]);
    }
  } catch {
    for (const name of asked) run.known.delete(name);
  }
  return true;
}

/** Take in what is new of a run. */
export function takeIn(run, { line, facts, progress, epochs, is_whole: isWhole }) {
  Object.assign(run.line, line);
  if (facts) run.facts = facts;
  if (progress?.best != null) run.facts.best = progress.best;
  if (isWhole) run.epochs = { at: [], times: [], values: {} };
  if (epochs) {
    upsert(run.epochs, epochs);
    for (const [name, values] of Object.entries(epochs.values)) run.line.metrics[name] = values.at(-1);
  }
  if (isWhole) [run.known, run.awaited] = [new Set(Object.keys(run.epochs.values)), new Set()];
  if (facts) Object.assign(run.line.metrics, facts.evaluation);
}

/** What a run came to: how far it is, then its metrics, those first that people look at first. */
export function resultsOf({ line }) {
  const all = { Epochs: [line.epochs_done, line.epochs_planned].filter((each) => each != null).map((each) => each.toLocaleString("en")).join(" / "), Took: duration(took(line)) || null };
  for (const name of mainFirst(Object.keys(line.metrics))) all[name] = line.metrics[name];
  return all;
}

/** Where a run ran, without the names of the run itself and of its session, which differ always. */
export function surroundings(environment) {
  const { uploaderRun, uploaderSession, ...told } = environment ?? {};
  return flat(told);
}

/** Nested values by their paths: { git: { branch: "main" } } becomes { "git.branch": "main" }. */
export function flat(values, path = "") {
  return Object.entries(values ?? {}).reduce((found, [name, value]) => {
    const isNested = value && typeof value === "object" && !Array.isArray(value);
    return Object.assign(found, isNested ? flat(value, `${path}${name}.`) : { [path + name]: value });
  }, {});
}

/** The rows of a table, by name: those whose values differ, and those that are the same for all. */
export function rowsOf(all) {
  const names = [...new Set(all.flatMap((values) => Object.keys(values)))];
  const rows = names.map((name) => ({ name, values: all.map((values) => values[name]) }));
  const isSame = ({ values }) => values.every((value) => JSON.stringify(value) === JSON.stringify(values[0]));
  return { different: rows.filter((row) => !isSame(row)), same: rows.filter(isSame) };
}
