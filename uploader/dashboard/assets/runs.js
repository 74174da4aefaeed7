// The list of runs.

import { at, data, follow, h } from "./base.js";
import { listControls } from "./list_controls.js";
import { manyRows } from "./many_rows.js";
import { column, nameColumn, usual } from "./run_columns.js";
import { RunRows } from "./run_rows.js";
import { sparks } from "./sparks.js";
import { allChosen, choose, chosen } from "./state.js";
import { colours } from "./words.js";

const ASKED = ["search", "state", "project", "tag", "from", "to", "sort"];
const place = document.getElementById("runs");
const asked = () => Object.fromEntries(ASKED.map((name) => [name, chosen(name)]));
let picked = colours(allChosen("pick"));
let rows, ids, best;

const controls = listControls({ asked, want, ids: () => ids });
const table = manyRows({ label: "Runs", sorted, seen: sparks });
const nothing = h("div", { class: "empty card" }, h("h2", {}, "No run fits"), h("p", {}, "No run has all that is searched for and filtered by."));

function want(changes) {
  if ("column" in changes) {
    const [id, isWanted] = changes.column;
    ids = isWanted ? [...ids, id] : ids.filter((each) => each !== id);
    choose({ column: ids });
  } else if ("columns" in changes) {
    choose({ column: null });
  } else {
    choose(changes);
    table.top();
  }
  show();
}

function sorted({ id, down }) {
  const [first, second] = down ? [`-${id}`, id] : [id, `-${id}`];
  const now = chosen("sort");
  want({ sort: now === first ? second : now === second ? "" : first });
}

/** Have the server read runs, so that they are there when they are compared. */
function warm(keys) {
  if (keys.length) fetch(at("/data/curves?") + new URLSearchParams(keys.map((key) => ["key", key])), { method: "HEAD" }).catch(() => {});
}

function pick(key, isPicked) {
  if (isPicked) colours([key], picked), warm([key]);
  else picked.delete(key);
  choose({ pick: [...picked.keys()] });
  show();
}

function show() {
  const found = rows.asked(asked());
  const wanted = allChosen("column");
  ids = wanted.length ? wanted : usual(rows, found);
  best = new Map();
  const bestOf = (name) => {
    if (!best.has(name)) best.set(name, rows.best(found, name));
    return best.get(name);
  };
  const columns = [nameColumn(picked, pick), ...ids.map((id) => column(id, rows, bestOf)).filter(Boolean)];
  controls.show({ rows, found, columns, picked });
  nothing.hidden = found.length > 0 || !rows.byKey.size;
  table.element.hidden = !found.length;
  table.show(found, columns, chosen("sort"));
}

function lay() {
  if (rows.byKey.size) return place.replaceChildren(controls.head, controls.element, controls.states, table.element, nothing);
  return place.replaceChildren(h("h1", {}, "Runs"), h("div", { class: "empty card" },
    h("h2", {}, "No run yet"),
    h("p", {}, "A training appears here by itself as soon as it begins. Start one, for instance:"),
    h("pre", { tabindex: 0, "aria-label": "A command to start with" }, "python -m uploader exec -- yolo detect train model=yolo11n.yaml data=coco8.yaml epochs=3"),
    h("p", { class: "quiet" }, "Where this shows a platform, the training's journal is delivered to it by ", h("code", {}, "python -m uploader drain"), ".")));
}

addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
  event.preventDefault();
  controls.search.focus();
});

setInterval(() => { if (ids?.includes("took") && !document.hidden && rows.byKey.size) show(); }, 10000); // it takes longer by the clock, too

try {
  const list = await data("/data/runs");
  rows = new RunRows(list);
  lay();
  if (rows.byKey.size) show();
  warm([...picked.keys()]);
  follow([["runs", list.cursor]], {
    runs: (news) => {
      const wasEmpty = !rows.byKey.size;
      rows.change(news);
      for (const key of news.gone) if (picked.delete(key)) choose({ pick: [...picked.keys()] });
      if (wasEmpty !== !rows.byKey.size) lay();
      if (rows.byKey.size) show();
    },
  });
} catch (error) {
  place.replaceChildren(h("div", { class: "notice", "data-kind": "bad", role: "alert" }, `The runs cannot be shown: ${error.message}. `, h("a", { href: at("/") }, "Try again")));
}
