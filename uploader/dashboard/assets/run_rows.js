// The runs of the list: what they tell, which of them are asked for, and in which order. Nothing here touches the page.

import { isJudged, kindOf, lowerIsBetter } from "./words.js";

const words = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

/** The runs that a page knows: made of what /data/runs told, and kept up to date by what is new. */
export class RunRows {
  constructor(list) {
    const { fields, metrics, arguments: given } = list;
    const names = Object.keys(fields);
    const at = (columns, place) => Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, values[place]]));
    this.constants = list.constants;
    this.metrics = new Set(Object.keys(metrics));
    this.given = new Set(Object.keys(given));
    this.byKey = new Map();
    for (let place = 0; place < list.count; place++) {
      const row = { metrics: at(metrics, place), arguments: at(given, place) };
      for (const name of names) row[name] = fields[name][place];
      this.byKey.set(row.key, row);
    }
  }

  get all() { return [...this.byKey.values()]; }

  /** Take in what is new. Arguments, if told, are whole: one that a run lacks is none, whatever the others share. */
  change({ runs, gone, is_whole: isWhole }) {
    if (isWhole) this.byKey.clear();
    for (const key of gone) this.byKey.delete(key);
    for (const row of [...runs].reverse()) {
      const told = row.arguments ?? {};
      const none = Object.fromEntries(Object.keys(this.constants).map((name) => [name, undefined]));
      this.byKey.set(row.key, { ...row, isTold: true, arguments: row.arguments ? { ...none, ...told } : this.byKey.get(row.key)?.arguments ?? none });
      for (const name of Object.keys(row.metrics)) this.metrics.add(name);
      for (const name of Object.keys(told)) if (!(name in this.constants)) this.given.add(name);
    }
  }

  /** What a column says of a run: `m:` before a metric, `a:` before an argument, or a field. */
  value(row, column) {
    if (column.startsWith("m:")) return row.metrics[column.slice(2)] ?? null;
    if (!column.startsWith("a:")) return (FIELDS[column] ?? (() => null))(row);
    const name = column.slice(2);
    return (name in row.arguments ? row.arguments[name] : this.constants[name]) ?? null;
  }

  /** The best value of a metric among some runs; null where there is nothing to choose from. */
  best(rows, metric) {
    const values = rows.map((row) => row.metrics[metric]).filter((value) => typeof value === "number");
    const found = values.reduce((one, other) => (lowerIsBetter(metric) === other < one ? other : one), values[0]);
    return isJudged(metric) && values.length > 1 && values.some((value) => value !== found) ? found : null;
  }

  /** The runs that a person asks for, in the order that they want. */
  asked({ search, state, project, tag, from, to, sort }) {
    const parts = search.toLowerCase().split(/\s+/).filter(Boolean);
    const shared = new Set(Object.entries(this.constants).map(([name, value]) => `${name}=${value}`.toLowerCase()));
    const has = (row, part) => this.#text(row).includes(part) || (!row.isTold && shared.has(part));
    const fits = (row) => (!state || (state === "trouble" ? row.trouble : row.state === state)) && (!project || row.project === project)
      && (!tag || row.tags.includes(tag)) && isWithin(row.started_at, from, to) && parts.every((part) => has(row, part));
    return this.all.filter(fits).sort(sort ? this.#by(sort) : troubleFirst);
  }

  #text(row) {
    row.text ??= [row.name, row.project, row.state, row.trouble, row.key, ...row.tags,
      ...Object.entries(row.arguments).filter(([, value]) => value != null).map(([name, value]) => `${name}=${value}`)].join(" ").toLowerCase();
    return row.text;
  }

  #by(sort) {
    const column = sort.replace(/^-/, "");
    const sign = sort.startsWith("-") ? -1 : 1;
    return (one, other) => {
      const [a, b] = [this.value(one, column), this.value(other, column)];
      if (a == null || b == null) return (a == null) - (b == null) || newestFirst(one, other); // none last, either way
      const order = typeof a === "number" && typeof b === "number" ? a - b : words.compare(a, b);
      return sign * order || newestFirst(one, other);
    };
  }
}

/** How many seconds a run was trained, by now where that goes on. */
export const took = ({ seconds, state, heard_at: heard }) => seconds == null ? null
  : seconds + (kindOf(state) === "busy" && heard ? Math.max(0, (Date.now() - Date.parse(heard)) / 1000) : 0);

/** The order of those who began last. */
export const newestFirst = (one, other) => compare(other.started_at ?? other.heard_at ?? "", one.started_at ?? one.heard_at ?? "");

const FIELDS = {
  name: (row) => row.name,
  state: (row) => row.state,
  project: (row) => row.project,
  tags: (row) => row.tags.join(" ") || null,
  progress: (row) => row.epochs_done,
  started: (row) => row.started_at,
  heard: (row) => row.heard_at,
  took,
};

const rank = (row) => (row.trouble ? 0 : kindOf(row.state) === "busy" ? 1 : 2);
const troubleFirst = (one, other) => rank(one) - rank(other) || newestFirst(one, other);
const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

function isWithin(iso, from, to) {
  if (!from && !to) return true;
  if (!iso) return false;
  const day = new Date(Date.parse(iso) - new Date(iso).getTimezoneOffset() * 60000).toISOString().slice(0, 10);
  return (!from || day >= from) && (!to || day <= to);
}
