// The head of a run's page: what it is, how it stands, and what may be done.
import { at, h, isFile } from "./base.js";
import { buttonsOf } from "./acting.js";
import { factsOf, linkTo } from "./run_tables.js";
import { chip, count, duration, farOf, time, unitOf } from "./words.js";

const RECENT = 10; // epochs from which the time that is left is told

/** What is known of the time that is left, in words. */
export function timeLeft(line, times) {
  const { state, epochs_planned: planned } = line;
  const done = farOf(line);
  if (state !== "running" || !planned || planned <= done) return "";
  const known = times.slice(-RECENT - 1).map((each) => Date.parse(each) / 1000).filter(Number.isFinite);
  const took = known.slice(1).map((time, row) => time - known[row]).sort((one, other) => one - other);
  const each = took[(took.length - 1) >> 1]; // the median: between sessions nobody trained
  return each > 0 ? `about ${duration(each * (planned - done))} left` : "";
}

/** Make the head; `show(run)` shows a run as it is: {key, line, facts, columns}. */
export function headOf(title) {
  let now = null;
  const said = h("p", { class: "notice", "data-kind": "bad", role: "alert", hidden: true });
  const standing = h("div", { class: "stack" });
  const about = h("div", { class: "about" });
  const actions = h("div", { class: "row actions" });
  const element = h("div", { class: "stack" }, h("div", { class: "row" }, h("div", { class: "grow" }, title), actions), said, standing, about);
  const told = {};

  function show(run) {
    now = run;
    const { line, facts, columns } = run;
    if (title.textContent !== line.name) [title.textContent, document.title] = [line.name, document.title.replace(/^.* · /s, `${line.name} · `)];
    anew("standing", [line, timeLeft(line, columns.times ?? [])], () => standing.replaceChildren(...standingOf(line, timeLeft(line, columns.times ?? []))));
    anew("about", [facts.facts, facts.description, facts.note, facts.destinations], () => about.replaceChildren(...aboutOf(facts)));
    anew("actions", facts.actions, () => {
      const held = actions.contains(document.activeElement);
      actions.replaceChildren(...buttonsOf(() => now, acted), isFile ? "" : h("a", { class: "button", href: at(`/data/archive?${new URLSearchParams({ key: run.key })}`), download: true }, "Download everything"));
      if (held) actions.firstChild.focus?.();
    });
  }

  /** Draw a part again only if what it shows has changed. */
  function anew(part, value, draw) {
    const text = JSON.stringify(value);
    if (told[part] !== text) draw();
    told[part] = text;
  }

  function acted(error, action) {
    said.hidden = !error;
    said.textContent = error;
    if (!error && action === "delete") location.assign(at("/"));
  }

  return { element, show };
}

function standingOf(line, left) {
  const { epochs_planned: planned, step } = line;
  const [unit, done] = [unitOf(line), farOf(line)];
  const trained = planned ? `${done.toLocaleString("en")} of ${count(planned, unit)}` : step != null ? `step ${step.toLocaleString("en")}` : done ? count(done, unit) : "";
  return [
    h("div", { class: "row" }, chip(line.state), line.project ? h("span", {}, line.project) : null, (line.tags ?? []).map((tag) => h("span", { class: "tag" }, tag)),
      h("span", { class: "quiet" }, [trained, left].filter(Boolean).join(" · ")), h("span", { class: "quiet" }, "last heard of ", time(line.heard_at))),
    planned && line.state === "running" ? h("div", { class: "progress", role: "progressbar", "aria-label": `${unit}s`, "aria-valuemin": 0, "aria-valuemax": planned, "aria-valuenow": Math.min(done, planned), "--done": Math.min(done / planned, 1) }) : null,
    line.trouble ? h("p", { class: "notice", "data-kind": "bad" }, line.trouble) : null,
  ].filter(Boolean);
}

function aboutOf({ facts, description, note, destinations }) {
  const views = destinations.filter(({ url }) => url).map(({ url, name }) => linkTo(url, `View at ${hostOf(url) ?? name}`));
  const words = [description && h("p", {}, description), note && h("p", { class: "notice note" }, note), views.length && h("p", { class: "row" }, views)].filter(Boolean);
  return [words.length && h("div", { class: "stack" }, words), facts.length && factsOf(facts)].filter(Boolean);
}

const hostOf = (url) => { try { return new URL(url).host; } catch { return null; } };
