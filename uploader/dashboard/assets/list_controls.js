// What a person chooses in the list: words to search for, states, filters, columns and the order.

import { at, h, pageOf } from "./base.js";
import { menu } from "./menu.js";
import { choices, column, metricName } from "./run_columns.js";
import { newestFirst } from "./run_rows.js";
import { count, kindOf } from "./words.js";

/** Make the controls. `asked` is what is chosen; `want(changes)` is told of what a person changes. */
export function listControls({ asked, want, ids }) {
  const search = h("input", {
    type: "search", placeholder: "Search names, tags, arguments…", "aria-label": "Search runs", "aria-keyshortcuts": "/", value: asked().search, autocomplete: "off",
    spellcheck: "false", class: "grow", oninput: () => want({ search: search.value }) });
  const states = h("div", { class: "row states", role: "group", "aria-label": "State" });
  const told = h("p", { class: "quiet told", role: "status" });
  const newest = h("a", { class: "newest" });
  const compare = h("a", { class: "button primary" });
  const clear = h("button", { class: "plain", onclick: () => want({ search: "", state: "", project: "", tag: "", from: "", to: "" }) }, "Clear filters");
  const filters = {
    project: field("Project", "project", "select"),
    tag: field("Tag", "tag", "select"),
    from: field("Started from", "from", "input"),
    to: field("until", "to", "input"),
  };
  const filterMenu = menu("Filter", Object.values(filters).map((each) => each.label));
  const order = h("select", { "aria-label": "Order", class: "order", onchange: () => want({ sort: order.value }) });
  const columnMenu = menu("Columns");
  columnMenu.addEventListener("toggle", () => { if (columnMenu.open) fillColumns(); });
  let current = null;

  function field(label, name, tag) {
    const input = h(tag, { type: tag === "input" && "date", onchange: () => want({ [name]: input.value }) });
    return { input, label: h("label", { class: "field spread" }, label, input) };
  }

  function fillColumns() {
    const find = h("input", { type: "search", placeholder: "Find a column…", "aria-label": "Find a column", oninput: () => {
      for (const each of columnMenu.querySelectorAll("label")) each.hidden = !each.textContent.toLowerCase().includes(find.value.toLowerCase());
    } });
    const groups = Object.entries(choices(current)).filter(([, all]) => all.length).map(([title, all]) => h("fieldset", {}, h("legend", {}, title), all.map((id) =>
      h("label", { class: "field" }, h("input", { type: "checkbox", checked: ids().includes(id), onchange: (event) => want({ column: [id, event.target.checked] }) }), column(id, current).label))));
    columnMenu.lastChild.replaceChildren(h("div", { class: "row" }, find, h("button", { class: "plain", onclick: () => { want({ columns: null }); fillColumns(); } }, "Reset")), ...groups);
  }

  function fillStates(rows) {
    const counts = new Map([[asked().state, 0], ["", rows.length]]);
    const trouble = rows.filter((row) => row.trouble).length;
    if (trouble) counts.set("trouble", trouble);
    for (const row of rows) counts.set(row.state, (counts.get(row.state) ?? 0) + 1);
    const all = [...counts].sort(([one], [other]) => rank(one) - rank(other));
    same(states, all.map(([state]) => state), (state) => h("button", { onclick: () => want({ state: asked().state === state ? "" : state }) },
      h("span", { class: state ? "chip" : null, "data-kind": state === "trouble" ? "warn" : kindOf(state) }, state === "trouble" ? "in trouble" : state || "All"), h("span", { class: "quiet count" })));
    all.forEach(([state, count], place) => {
      states.children[place].setAttribute("aria-pressed", asked().state === state);
      states.children[place].lastChild.textContent = count.toLocaleString("en");
    });
  }

  function fillFilters(rows) {
    const { project, tag, from, to } = asked();
    options(filters.project.input, [["", "All"], ...among(rows.map((row) => row.project), project)], project);
    options(filters.tag.input, [["", "All"], ...among(rows.flatMap((row) => row.tags), tag)], tag);
    filters.from.input.value = from;
    filters.to.input.value = to;
    const count = [project, tag, from, to].filter(Boolean).length;
    filterMenu.firstChild.textContent = count ? `Filter (${count})` : "Filter";
  }

  function fillOrder(shown) {
    const both = shown.filter((each) => !each.unsorted).map((each) => (each.down ? [`-${each.id}`, each.id] : [each.id, `-${each.id}`]).map((id) =>
      [id, `${metricName(each.label)} ${id.startsWith("-") ? "↓" : "↑"}`]));
    options(order, [["", "Trouble first"], ...both.flat()], asked().sort);
  }

  return {
    head: h("div", { class: "row runs-head" }, h("h1", {}, "Runs"), told, newest),
    element: h("div", { class: "row runs-tools" }, search, h("div", { class: "row" }, filterMenu, columnMenu, order, compare)),
    states: h("div", { class: "row" }, states, clear),
    search,
    /** Show what is chosen and how much there is; only what has changed is touched, also while a person types. */
    show({ rows, found, columns, picked }) {
      current = rows;
      const all = rows.all;
      const wanted = asked();
      const { search: searched, state, project, tag, from, to } = wanted;
      fillStates(rows.asked({ ...wanted, state: "" }));
      fillFilters(all);
      fillOrder(columns);
      if (search.value !== searched && document.activeElement !== search) search.value = searched;
      clear.hidden = ![searched, state, project, tag, from, to].some(Boolean);
      text(told, found.length === all.length ? count(all.length, "run") : `${found.length.toLocaleString("en")} of ${count(all.length, "run")}`);
      const last = [...all].sort(newestFirst)[0];
      newest.href = pageOf(last?.key ?? "");
      text(newest, `Newest: ${last?.name}`);
      const keys = [...picked.keys()];
      text(compare, keys.length ? `Compare ${keys.length}` : "Compare");
      compare.title = keys.length < 2 ? "Choose two or more by their boxes" : "";
      compare.role = "link"; // also where it has no address
      compare.ariaDisabled = keys.length < 2 ? "true" : null;
      if (keys.length > 1) compare.href = at("/compare?") + new URLSearchParams(keys.map((key) => ["run", key]));
      else compare.removeAttribute("href");
    },
  };
}

const rank = (state) => (state === "" ? 0 : state === "trouble" ? 1 : { busy: 2, warn: 3, bad: 4, good: 5, idle: 6 }[kindOf(state)]);
const text = (element, said) => { if (element.textContent !== said) element.textContent = said; };

function among(values, chosen) {
  const counts = new Map(chosen ? [[chosen, 0]] : []);
  for (const value of values) if (value) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort(([one], [other]) => one.localeCompare(other)).map(([value, number]) => [value, `${value} (${number})`]);
}

/** Give a select its options; one that is open stays as it is while nothing has changed. */
function options(select, all, value) {
  const said = JSON.stringify(all);
  if (select.dataset.said !== said) {
    select.dataset.said = said;
    select.replaceChildren(...all.map(([id, label]) => h("option", { value: id }, label)));
  }
  select.value = value;
}

/** Keep a child for each name, and make only those that are new. */
function same(element, names, make) {
  const known = new Map([...element.children].map((child) => [child.dataset.name, child]));
  const children = names.map((name) => known.get(name) ?? make(name));
  children.forEach((child, place) => { child.dataset.name = names[place]; });
  if (children.some((child, place) => element.children[place] !== child) || element.children.length !== children.length) element.replaceChildren(...children);
}
