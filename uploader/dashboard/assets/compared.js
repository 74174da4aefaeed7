// The runs of a comparison: what is known of them, what is new, and what differs. Nothing here touches the page.

import { data } from "./base.js";
import { mainFirst } from "./run_columns.js";
import { took } from "./run_rows.js";
import { noRows, upsert } from "./series.js";
import { duration, farOf } from "./words.js";

/** Among the names of metrics, what stands for the times of epochs. */
export const TIMES = "";

/** Ask for runs with their first curves, by key; of the others there are only their names. */
export async function comparedRuns(keys) {
  return Object.entries(await data("/data/curves", keys.map((key) => ["key", key]))).map(([key, { names, epochs, ...told }]) => {
    const { at, values, gaps } = epochs;
    const none = () => at.map(() => null);
    const all = Object.fromEntries(names.map((name) => [name, values[name] ?? none()]));
    return { key, ...told, epochs: { at, values: all, gaps, times: none() }, known: new Set(Object.keys(values)), awaited: new Set([TIMES, ...names.filter((name) => !values[name])]) };
  });
}

/** Ask for more curves of runs; what is known is not asked for again. Returns whether there was anything to ask for. */
export async function askCurves(runs, names) {
  const groups = new Map(); // runs of which the same is asked for
  for (const run of runs) {
    const asked = names.filter((name) => (name === TIMES || name in run.epochs.values) && !run.known.has(name));
    const group = JSON.stringify(asked);
    if (asked.length) groups.set(group, [...(groups.get(group) ?? []), run]);
    for (const name of asked) run.known.add(name);
  }
  await Promise.all([...groups].map(([group, some]) => askSame(some, JSON.parse(group))));
  return groups.size > 0;
}

async function askSame(runs, names) {
  try {
    const found = await data("/data/curves", [...runs.map(({ key }) => ["key", key]), ...names.map((name) => (name === TIMES ? ["times", 1] : ["metric", name]))]);
    for (const run of runs) if (found[run.key]) fill(run, names, found[run.key]);
  } catch {
    for (const { known } of runs) for (const name of names) known.delete(name);
  }
}

/** Put curves where there was none; what has come in meanwhile is newer. */
function fill({ epochs, awaited }, names, found) {
  const row = new Map(found.at.map((at, place) => [at, place]));
  Object.assign(epochs.gaps, found.gaps);
  for (const name of names) {
    awaited.delete(name);
    const [told, now] = name === TIMES ? [found.times, epochs.times] : [found.values[name] ?? [], epochs.values[name]];
    epochs.at.forEach((at, place) => { now[place] = told[row.get(at)] ?? now[place]; });
  }
}

/** Take in what is new of a run. */
export function takeIn(run, { line, facts, progress, epochs, is_whole: isWhole }) {
  Object.assign(run.line, line);
  if (facts) run.facts = facts;
  if (progress?.best != null) run.facts.best = progress.best;
  if (isWhole) run.epochs = noRows();
  if (epochs) {
    upsert(run.epochs, epochs);
    for (const [name, values] of Object.entries(epochs.values)) run.line.metrics[name] = values.at(-1);
  }
  if (isWhole) [run.known, run.awaited] = [new Set([TIMES, ...Object.keys(run.epochs.values)]), new Set()];
  if (facts) Object.assign(run.line.metrics, facts.evaluation);
}

/** What a run came to: how far it is, then its metrics, those first that people look at first. */
export function resultsOf({ line }, areSteps) {
  const { step, epochs_planned: planned } = line;
  const far = planned || step == null ? [farOf(line), planned].filter((each) => each != null).map((each) => each.toLocaleString("en")).join(" / ") : `step ${step.toLocaleString("en")}`;
  const all = { [areSteps ? "Steps" : "Epochs"]: far, Took: duration(took(line)) || null };
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
