// The columns of the list: what can be shown of a run, what is shown at first, and how it is written.

import { h, pageOf } from "./base.js";
import { took } from "./run_rows.js";
import { chip, duration, ends, even, farOf, isJudged, kindOf, lowerIsBetter, short, time } from "./words.js";

const MAIN = [/mAP50-95/i, /mAP50/i, /fitness/i, /top1|accuracy/i, /top5/i, /f1/i, /^val.*loss/i, /loss/i];
const TELLING = ["model", "data", "lr0", "optimizer", "batch", "imgsz", "epochs"];

const FIELDS = {
  state: { label: "State", width: 8.5, said: (row) => row.state, show: (row) => chip(row.state) },
  progress: {
    label: "Progress", width: 7.5, number: true, said: (row) => `${row.step ?? ""}/${row.epochs_done}/${row.epochs_planned}${kindOf(row.state)}`, show: progress },
  trend: { label: "Trend", width: 7, unsorted: true, said: () => "" },
  started: { label: "Started", width: 7, down: true, said: (row) => row.started_at ?? "", show: (row) => time(row.started_at) },
  took: { label: "Took", width: 6.5, number: true, down: true, said: (row) => duration(took(row)), show: (row) => duration(took(row)) || "–" },
  heard: { label: "Last heard of", width: 8, down: true, said: (row) => row.heard_at ?? "", show: (row) => time(row.heard_at) },
  project: { label: "Project", width: 10, said: (row) => row.project ?? "", show: (row) => row.project },
  tags: { label: "Tags", width: 12, said: (row) => row.tags.join("\n"), show: (row) => row.tags.map((tag) => h("span", { class: "tag" }, tag)) },
};

/** What a metric is called where there is little room. */
export const metricName = (name) => name.replace(/^metrics\//, "");

/** The names of metrics, those first that people look at first. */
export function mainFirst(names) {
  const rank = (name) => (MAIN.findIndex((each) => each.test(name)) + MAIN.length + 1) % (MAIN.length + 1);
  return [...names].sort((one, other) => rank(one) - rank(other));
}

/** The ids of the columns that can be chosen, by group. */
export const choices = (rows) => ({
  Run: Object.keys(FIELDS),
  Metrics: mainFirst(rows.metrics).map((name) => `m:${name}`),
  Arguments: [...rows.given, ...Object.keys(rows.constants)].map((name) => `a:${name}`),
});

/** The ids of the columns that are shown until a person chooses: those that most of the runs that are found have. */
export function usual(rows, found) {
  const some = found.slice(0, 100);
  const common = (ids, most) => {
    const counts = ids.map((id) => some.filter((row) => rows.value(row, id) != null).length);
    return ids.filter((_, at) => counts[at] && 2 * counts[at] >= Math.max(...counts)).slice(0, most);
  };
  const { Metrics: metrics } = choices(rows);
  return ["state", "progress", "trend", ...common(metrics, 3), ...common(TELLING.filter((name) => rows.given.has(name)).map((name) => `a:${name}`), 1), "started"];
}

/** A column by its id; `best()` is asked for a metric's best value. */
export function column(id, rows, best) {
  if (!/^[am]:/.test(id)) return FIELDS[id] && { id, title: FIELDS[id].label, ...FIELDS[id] };
  const name = id.slice(2);
  const isMetric = id.startsWith("m:");
  const isBest = (row) => isMetric && best(name) != null && row.metrics[name] === best(name);
  const write = (row) => (isMetric ? even : short)(rows.value(row, id)) || "–";
  return {
    id,
    label: isMetric ? metricName(name) : name,
    title: !isMetric ? `${name} (argument)` : isJudged(name) ? `${name}: ${lowerIsBetter(name) ? "lower" : "higher"} is better` : name,
    width: Math.min(12, 2.4 + 0.56 * Math.max(metricName(name).length, ...rows.all.slice(0, 50).map((row) => write(row).length))),
    number: isMetric || rows.all.slice(0, 50).every((row) => ["number", "object"].includes(typeof rows.value(row, id))),
    down: isMetric && !lowerIsBetter(name),
    said: (row) => write(row) + (isBest(row) ? "★" : ""),
    show: (row) => h("span", { class: isBest(row) ? "best" : null, title: write(row).length > 11 ? write(row) : null }, write(row)),
  };
}

/** The first column: the name, where it belongs, what is wrong, and whether it is chosen. */
export const nameColumn = (picked, pick) => ({
  id: "name",
  label: "Name",
  said: (row) => [row.name, row.trouble, row.project, picked.get(row.key), ...row.tags].join("\n"),
  show: (row) => [
    h("input", { type: "checkbox", "aria-label": `Compare ${row.name}`, checked: picked.has(row.key), onchange: (event) => pick(row.key, event.target.checked) }),
    h("span", { class: "swatch", hidden: !picked.has(row.key), "--run": picked.get(row.key) ?? "none" }),
    h("div", { class: "named" },
      h("a", { href: pageOf(row.key), title: row.key, class: "ends" }, ends(row.name)),
      h("div", { class: "under" }, h("span", { class: "project" }, row.project ?? ""), " ",
        row.trouble ? h("span", { class: "trouble", title: row.trouble }, row.trouble) : row.tags.map((tag) => h("span", { class: "tag" }, tag)))),
  ],
});

function progress(row) {
  const { epochs_done: done, epochs_planned: planned } = row;
  const isOn = kindOf(row.state) === "busy" && planned;
  return [
    row.step != null ? h("span", { "data-step": "" }, `step ${row.step.toLocaleString("en")}`) : h("span", { "data-one": done === 1 && !planned }, done.toLocaleString("en"), planned ? h("span", { class: "quiet" }, ` / ${planned.toLocaleString("en")}`) : null),
    isOn ? h("span", { class: "progress", "--done": Math.min(1, farOf(row) / planned) }) : null,
  ];
}
