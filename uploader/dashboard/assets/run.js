// The page of a run: its sections, and what is new of it.
import { at, data, follow, h } from "./base.js";
import { charts, keepSettings, keptSettings } from "./charts.js";
import { consoleOf } from "./console.js";
import { picturesOf } from "./pictures.js";
import { headOf } from "./run_head.js";
import { checkpointsOf, destinationsOf, searchable, valuesOf } from "./run_tables.js";
import { upsert } from "./series.js";
import { choose, chosen } from "./state.js";

const place = document.getElementById("run");
const CLOSED = new Set(["system", "arguments", "environment", "results"]); // at first

/** A part of the page that can be closed; the address keeps which are not as they are at first. */
function section(id, title, ...content) {
  const other = new Set(chosen("sections").split(",").filter(Boolean));
  const body = h("div", { class: "body" }, content);
  const element = h("details", { class: "section", id, open: CLOSED.has(id) === other.has(id), ontoggle: () => {
    const now = new Set(chosen("sections").split(",").filter(Boolean));
    now[element.open === CLOSED.has(id) ? "add" : "delete"](id);
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
  const empty = () => ({ at: [], times: [], values: {} });
  const run = { key, line: found.line, facts: found.facts, columns: found.epochs ?? empty(), system: found.system ?? empty() };
  const series = { key, label: "", columns: run.columns };
  const machine = { key: `${key}\nsystem`, label: "", columns: run.system };
  const [head, values, printed] = [headOf(document.getElementById("name")), valuesOf(), consoleOf(key)];
  const [curvesPlace, systemPlace] = [h("div"), h("div")];
  const parts = {
    curves: section("curves", "Curves", curvesPlace),
    values: section("values", "Values", values.element),
    pictures: section("pictures", "Plots and images"),
    console: section("console", "Console", printed.element),
    checkpoints: section("checkpoints", "Checkpoints"),
    system: section("system", "System", systemPlace),
    arguments: section("arguments", "Arguments"),
    environment: section("environment", "Environment"),
    results: section("results", "Results"),
    destinations: section("destinations", "Destinations"),
  };
  place.replaceChildren(head.element, ...Object.values(parts).map(({ element }) => element));
  showFacts();
  const curves = charts(curvesPlace, { series: [series], settings: keptSettings(), changed: keepSettings });
  const system = charts(systemPlace, { series: [machine], axes: ["clock"], controls: false });
  print(found);
  showEpochs();
  showSystem();

  function showFacts() {
    const { facts } = run;
    Object.assign(series, { best: facts.best, evaluation: facts.evaluation, began: run.line.started_at });
    head.show(run);
    parts.checkpoints.show(facts.checkpoints, (all) => [checkpointsOf(all)]);
    for (const name of ["arguments", "environment", "results"]) parts[name].show(facts[name], (told) => searchable(name, told));
    parts.destinations.show(facts.destinations.length + facts.deliveries.length && [facts.destinations, facts.deliveries], () => destinationsOf(facts));
    parts.pictures.show(facts.pictures, () => [picturesPlace(key, facts)]);
  }

  function showEpochs() {
    values.update(series);
    parts.values.show(run.columns.at.length || Object.keys(series.evaluation ?? {}).length);
    head.show(run);
  }

  function showSystem() { parts.system.show(run.system.at.length > 0); }

  function print({ console: text, console_is_whole_tail: isWhole, console_cut: isCut }) {
    if (text || isWhole) printed.append(text ?? "", isWhole);
    if (isCut) printed.cut(true);
    parts.console.show(!printed.isEmpty());
  }

  return {
    news(told) {
      if (told.line) run.line = told.line;
      if (told.facts) run.facts = told.facts;
      if (told.epochs) upsert(run.columns, told.epochs);
      if (told.system) upsert(run.system, told.system);
      if (told.facts || told.line) showFacts();
      if (told.epochs || told.facts) { showEpochs(); curves.update(); }
      if (told.system) { showSystem(); system.update(); }
      print(told);
    },
    gone() {
      place.replaceChildren(h("p", { class: "notice", "data-kind": "warn", role: "alert" }, "This run was deleted. ", h("a", { href: at("/") }, "All runs")));
    },
  };
}

/** Pictures are asked for when somebody is about to see them. */
function picturesPlace(key, facts) {
  const shown = h("div", { class: "charts" }, h("p", { class: "quiet" }, "Loading…"));
  const watch = new IntersectionObserver(async ([entry]) => {
    if (!entry.isIntersecting) return;
    watch.disconnect();
    const told = await data("/data/pictures", [["key", key]]).catch((error) => error.message);
    shown.replaceChildren(...(typeof told === "string" ? [h("p", {}, told)] : picturesOf(told, facts.results?.classNames ?? [])));
  }, { rootMargin: "300px 0px" });
  watch.observe(shown);
  return shown;
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
