// The page of a run: its sections, and what is new of it.
import { at, data, follow, h } from "./base.js";
import { charts, keepSettings, keptSettings } from "./charts.js";
import { consoleOf } from "./console.js";
import { picturesOf } from "./pictures.js";
import { headOf } from "./run_head.js";
import { checkpointsOf, destinationsOf, othersOf, searchable, valuesOf } from "./run_tables.js";
import { noRows, timed, upsert } from "./series.js";
import { choose, chosen } from "./state.js";
import { unitOf } from "./words.js";

const place = document.getElementById("run");
const CLOSED = new Set(["system", "arguments", "environment", "results", "others"]); // at first

/** A part of the page that can be closed; the address keeps which are not as they are at first. */
function section(id, title, ...content) {
  const other = new Set(chosen("sections").split(",").filter(Boolean));
  const body = h("div", { class: "body" }, content);
  const element = h("details", { class: "section", id, open: CLOSED.has(id) === other.has(id), ontoggle: () => {
    const now = new Set(chosen("sections").split(",").filter(Boolean));
    const isOther = element.open === CLOSED.has(id);
    if (now.has(id) === isOther) return; // as when it is made
    now[isOther ? "add" : "delete"](id);
    choose({ sections: [...now].join(",") });
  } }, h("summary", {}, h("h2", {}, title)), body);
  let told;
  return {
    element,
    /** Draw the content again if what it shows has changed; without a value there is no section. */
    show(value, draw) {
      const text = JSON.stringify(value);
      if (text === told) return;
      told = text;
      element.hidden = !value || (typeof value === "object" && !Object.keys(value).length);
      if (draw && !element.hidden) body.replaceChildren(...draw(value));
    },
  };
}

function start(key, found) {
  const run = { key, line: found.line, facts: found.facts, columns: noRows(), system: noRows() };
  const unit = unitOf(run.line);
  const series = { key, label: "", unit, columns: run.columns };
  const machine = { key: `${key}\nsystem`, label: "", columns: run.system };
  const [head, values, pictures, printed] = [headOf(document.getElementById("name")), valuesOf(unit), picturesOf(key, unit), consoleOf(key)];
  const [curvesPlace, systemPlace] = [h("div"), h("div")];
  const parts = {
    curves: section("curves", "Curves", curvesPlace),
    values: section("values", "Values", values.element),
    others: section("others", "Values that are no numbers"),
    pictures: section("pictures", "Plots and images", pictures.element),
    console: section("console", "Console", printed.element),
    checkpoints: section("checkpoints", "Checkpoints"),
    system: section("system", "System", systemPlace),
    arguments: section("arguments", "Arguments"),
    environment: section("environment", "Environment"),
    results: section("results", "Results"),
    destinations: section("destinations", "Destinations"),
  };
  place.replaceChildren(head.element, ...Object.values(parts).map(({ element }) => element));
  const curves = charts(curvesPlace, { series: [series], settings: keptSettings(), changed: keepSettings });
  const system = charts(systemPlace, { series: [machine], axes: ["clock"], controls: false });
  news({ ...found, console_is_whole_tail: true });

  function showFacts() {
    const { facts } = run;
    Object.assign(series, { best: facts.best, evaluation: facts.evaluation, began: run.line.started_at });
    head.show(run);
    parts.checkpoints.show(facts.checkpoints, (all) => [checkpointsOf(all, unit)]);
    for (const name of ["arguments", "environment", "results"]) parts[name].show(facts[name], (told) => searchable(name, told));
    parts.others.show(facts.others, (all) => [othersOf(all, unit)]);
    parts.destinations.show(facts.destinations.length + facts.deliveries.length && [facts.destinations, facts.deliveries], () => destinationsOf(facts));
    parts.pictures.show(facts.pictures);
    pictures.count(facts.pictures);
  }

  function showEpochs() {
    values.update(series);
    const measured = Object.keys(run.columns.values).length;
    parts.curves.show(measured);
    parts.values.show(measured || Object.keys(series.evaluation ?? {}).length);
    head.show(run);
  }

  function print({ console: text = "", console_is_whole_tail: isEnd, console_cut: isCut }, isAll) {
    if (isCut) printed.cut();
    if (text || isEnd || isAll) printed.append(text, isEnd || isAll);
    parts.console.show(!printed.isEmpty());
  }

  function gone() {
    place.replaceChildren(h("p", { class: "notice", "data-kind": "warn", role: "alert" }, "This run was deleted. ", h("a", { href: at("/") }, "All runs")));
  }

  /** Take in what is new, and draw what shows it. */
  function news({ line, facts, progress, epochs, system: samples, is_whole: isAll, ...printing }) {
    if (isAll) [series.columns, machine.columns] = [run.columns, run.system] = [noRows(), noRows()];
    if (line) run.line = line;
    if (unitOf(run.line) !== unit) return location.reload(); // its first step tells that it counts steps
    if (facts) run.facts = facts;
    if (progress) run.facts = moved(run.facts, progress, epochs?.at ?? []);
    if (epochs) upsert(run.columns, timed(epochs, unit));
    if (samples) upsert(run.system, samples);
    if (facts || progress || line) showFacts();
    if (epochs || facts || progress || isAll) { showEpochs(); curves.update(); }
    if (samples || isAll) system.update();
    parts.system.show(run.system.at.length > 0);
    print(printing, isAll);
  }

  return { news, gone };
}

/** Facts of which some have moved. */
function moved(facts, { facts: newer = [], best, others = [] }, again) {
  const by = new Map(newer.map((each) => [each.label, each]));
  return { ...facts, best: best ?? facts.best, others: [...others, ...facts.others.filter(({ epoch }) => !again.includes(epoch))].slice(0, 500), facts: facts.facts.map((each) => by.get(each.label) ?? each) };
}

if (place) {
  const { key } = place.dataset;
  try {
    const found = await data("/data/run", [["key", key]]);
    const page = start(key, found);
    follow([["key", key], ["since", found.cursor]], { run: page.news, gone: page.gone });
  } catch (error) {
    place.replaceChildren(h("p", { class: "notice", "data-kind": "bad", role: "alert" }, error.message));
  }
}
