// Runs beside each other: /compare?run=KEY&run=KEY

import { at, follow, h, pageOf } from "./base.js";
import { charts, keepSettings, keptSettings } from "./charts.js";
import { askCurves, comparedRuns, flat, resultsOf, rowsOf, surroundings, takeIn, TIMES } from "./compared.js";
import { metricName } from "./run_columns.js";
import { dashes, dashOf } from "./series.js";
import { allChosen, choose } from "./state.js";
import { chip, colours, count, ends, even, isJudged, lowerIsBetter, short, unitOf } from "./words.js";

const AT_ONCE = 10; // runs in one answer
const place = document.getElementById("compare");
const colour = colours(allChosen("run"));
const hidden = new Set(allChosen("hide"));
const [head, differences, curves, results] = ["head", "differences", "curves", "results"].map((id) => h("section", { id, class: id === "curves" ? null : "card" }));
const plots = h("div");
const inView = new Set(); // metrics whose charts have been in view
let runs = [];
let awaited = []; // keys of those that have not come in yet
let drawn = null;
let showing = null;
let asking = null;
let pause = 0;
let isBegun = false;
let byTime = keptSettings().x === "time";

/** How many runs of the same colour are before it, of those that the address names: 0 and more. */
const roundOf = (key) => [...colour.keys()].filter((each) => colour.get(each) === colour.get(key)).indexOf(key);
const swatchOf = (key) => h("span", { class: "swatch", "--run": colour.get(key), "--dash": dashes(dashOf(2 * roundOf(key))) });
const seriesOf = ({ key, line, facts, epochs, awaited }) => ({
  key, unit: unitOf(line), label: line.name.length < 26 ? line.name : `${line.name.slice(0, 14)}…${line.name.slice(-8)}`, colour: colour.get(key), round: roundOf(key), hidden: hidden.has(key),
  columns: epochs, best: facts.best, evaluation: facts.evaluation, began: line.started_at, isAwaited: (name) => awaited.has(name) || (byTime && awaited.has(TIMES)) });

/** Write again what is not as it was; a part that somebody is reading stays where it is. */
function show() {
  fill(head, headOf());
  fill(differences, table("What differs", { Arguments: runs.map(({ facts }) => flat(facts.arguments)), Environment: runs.map(({ facts }) => surroundings(facts.environment)) }));
  fill(results, table("Results", { "": runs.map((run) => resultsOf(run, runs.every(({ line }) => line.step != null))) }));
  drawn ??= charts(plots, { series: runs.map(seriesOf), settings: keptSettings(), changed, wanted });
  drawn.update(runs.map(seriesOf));
}

function changed(settings) {
  keepSettings(settings);
  byTime = settings.x === "time";
  wanted();
}

/** Show what has come in, together with what comes right after it; the longer drawing takes, the more of it at once. */
function soon() {
  showing ??= setTimeout(() => {
    const began = performance.now();
    showing = null;
    show();
    pause = 40 + 3 * (performance.now() - began);
  }, pause);
}

/** Ask for the curves of charts that have come into view, of all of them at once, after the first curves of all runs. */
function wanted(names = []) {
  for (const name of names) inView.add(name);
  if (isBegun) asking ??= setTimeout(ask, 40);
}

async function ask() {
  asking = null;
  if (await askCurves(runs, [...inView, ...(byTime ? [TIMES] : [])])) soon();
}

function fill(section, content) {
  const isOpen = section.querySelector("details")?.open;
  const said = content.map((part) => part?.outerHTML).join("");
  if (section.said === said) return;
  section.said = said;
  const held = section.contains(document.activeElement) && document.activeElement.getAttribute("aria-label");
  section.replaceChildren(...content.filter(Boolean));
  if (isOpen) section.querySelector("details")?.setAttribute("open", "");
  if (held) section.querySelector(`[aria-label="${CSS.escape(held)}"]`)?.focus({ preventScroll: true });
}

const keys = () => [...runs.map(({ key }) => key), ...awaited];

function headOf() {
  const others = at("/?" + new URLSearchParams(keys().map((key) => ["pick", key])));
  return [
    h("div", { class: "row" }, h("h2", { class: "grow" }, awaited.length ? `Loading ${runs.length} of ${count(keys().length, "run")}` : count(runs.length, "run")), h("a", { class: "button", href: others }, "Choose others")),
    keys().length < 2 ? h("p", { class: "notice" }, "One run has nothing to be compared with. Choose another.") : null,
    h("ul", { class: "compared", tabindex: 0, "aria-label": "Runs" }, runs.map(({ key, line }) => h("li", {},
      h("button", { class: "plain", "aria-pressed": String(!hidden.has(key)), "aria-label": `Curves of ${line.name}`, title: "Show or hide its curves", onclick: () => hide(key) },
        swatchOf(key)),
      h("a", { href: pageOf(key), class: "grow ends", title: line.name }, ends(line.name)), chip(line.state),
      h("button", { class: "plain", "aria-label": `Take out ${line.name}`, title: "Take it out", onclick: () => takeOut(key) }, "✕")))),
  ];
}

/** A table of values by group, with a column for each run; what is the same for all is folded away. */
function table(title, groups) {
  const compared = Object.entries(groups).map(([name, all]) => ({ name, ...rowsOf(all) }));
  const bodies = compared.filter(({ different }) => different.length).map(({ name, different }) => h("tbody", {},
    name ? h("tr", {}, h("th", { class: "group", scope: "rowgroup", colspan: runs.length + 1 }, name)) : null, different.map(rowOf)));
  const same = compared.flatMap((group) => group.same).map(({ name, values }) => rowOf({ name, values: values.slice(0, 1) }));
  const names = runs.map(({ key, line }) => h("th", { scope: "col" }, h("span", { class: "ends", title: line.name }, swatchOf(key), ends(line.name))));
  return [
    h("h2", {}, title),
    bodies.length ? beside(title, runs.length, h("thead", {}, h("tr", {}, h("td", { class: "pinned" }), names)), bodies) : h("p", { class: "quiet" }, "Nothing differs."),
    same.length ? h("details", {}, h("summary", {}, `${same.length} the same`), beside(`${title}: the same`, 1, h("tbody", {}, same))) : null,
  ];
}

const beside = (label, columns, ...parts) => h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label }, h("table", { class: "beside", "--runs": columns }, parts));

function rowOf({ name, values }) {
  const isMetric = runs.some(({ line }) => name in line.metrics);
  const numbers = values.filter((value) => typeof value === "number");
  const best = isMetric && isJudged(name) && numbers.length > 1 ? Math[lowerIsBetter(name) ? "min" : "max"](...numbers) : null;
  return h("tr", {}, h("th", { class: "pinned", scope: "row", title: name }, metricName(name)),
    values.map((value) => h("td", {}, h("span", { class: best != null && value === best ? "best" : null }, (isMetric ? even : short)(value) || "–"))));
}

function hide(key) {
  if (!hidden.delete(key)) hidden.add(key);
  choose({ hide: [...hidden] });
  show();
}

function takeOut(key) {
  runs = runs.filter((run) => run.key !== key);
  hidden.delete(key);
  choose({ run: keys(), hide: [...hidden] });
  if (!keys().length) return nothing();
  show();
  head.querySelector("ul").focus();
}

function nothing() {
  place.replaceChildren(h("div", { class: "empty card" }, h("h2", {}, "No run is chosen"),
    h("p", {}, "Choose two or more in the list by the boxes before their names, then press Compare."), h("p", {}, h("a", { class: "button primary", href: at("/") }, "Choose runs"))));
}

async function begin() {
  const asked = [...new Set(allChosen("run"))];
  if (!asked.length) return nothing();
  curves.replaceChildren(h("h2", {}, "Curves"), plots);
  place.replaceChildren(head, differences, curves, results);
  awaited = asked;
  fill(head, headOf());
  const parts = Array.from({ length: Math.ceil(asked.length / AT_ONCE) }, (_, part) => asked.slice(part * AT_ONCE, (part + 1) * AT_ONCE));
  const lost = await Promise.all(parts.map(async (keys) => {
    let why = "there is no such run here";
    const found = await comparedRuns(keys).catch((error) => { why = error.message; return []; });
    awaited = awaited.filter((each) => !keys.includes(each));
    runs = [...runs, ...found].sort((one, other) => asked.indexOf(one.key) - asked.indexOf(other.key));
    soon();
    return keys.filter((key) => !found.some((run) => run.key === key)).map((key) => h("p", { class: "notice", "data-kind": "warn" }, `${key} is not shown: ${why}`));
  }));
  if (runs.length) soon();
  else nothing();
  isBegun = true;
  wanted();
  place.prepend(...lost.flat());
  follow(runs.flatMap(({ key, cursor }) => [["key", key], ["since", cursor]]), {
    run: (news) => {
      const run = runs.find(({ key }) => key === news.key);
      if (run) takeIn(run, news);
      if (run) soon();
    },
    gone: ({ key }) => { if (runs.some((run) => run.key === key)) takeOut(key); },
  }, [["curves", 1]]);
}

await begin();
