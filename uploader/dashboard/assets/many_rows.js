// A table of thousands of rows, of which only those in view are in the page.

import { h } from "./base.js";

const BEYOND = 6; // rows above and below what is in view, so that Tab and slow scrolling find them there

/**
 * Make the table. `show(rows, columns)` fills it; a row is told from others by its `key`, and a cell is written again
 * only if what its column's `said(row)` returns has changed. `sorted(id)` is called for a head that is pressed, `seen(rows,
 * cellOf)` after other rows have come into view.
 */
export function manyRows({ label, sorted, seen }) {
  const [above, below] = [spacer(), spacer()];
  const head = h("tr", { role: "row", "aria-rowindex": 1 });
  const body = h("tbody", { role: "rowgroup" }, above, below);
  const sizes = h("colgroup");
  const table = h("table", { role: "table", "aria-label": label, class: "many" }, sizes, h("thead", { role: "rowgroup" }, head), body);
  const element = h("div", { class: "scroll runs-scroll", tabindex: 0, role: "region", "aria-label": label }, table);
  const drawn = new Map();
  let [rows, columns, height, viewed] = [[], [], 0, ""];

  function place() {
    const box = element.getBoundingClientRect();
    const start = body.getBoundingClientRect().top;
    const [top, bottom] = [Math.max(box.top, 0), Math.min(box.bottom, innerHeight)];
    const size = height || 48;
    const first = Math.max(0, Math.min(rows.length, Math.floor((top - start) / size)) - BEYOND);
    const last = Math.min(rows.length, Math.max(first, Math.ceil((bottom - start) / size) + BEYOND));
    const held = document.activeElement;
    const wanted = rows.slice(first, last);
    drop(new Set(wanted.map((row) => row.key)));
    let before = above;
    wanted.forEach((row, place) => {
      const one = patched(row);
      one.line.setAttribute("aria-rowindex", first + place + 2);
      if (before.nextSibling !== one.line) before.after(one.line);
      before = one.line;
    });
    above.firstChild.style.height = `${first * size}px`;
    below.firstChild.style.height = `${(rows.length - last) * size}px`;
    above.hidden = first === 0;
    below.hidden = last === rows.length;
    if (document.activeElement !== held && document.activeElement === document.body) (held.isConnected ? held : element).focus({ preventScroll: true });
    measure();
    seen(wanted, cellOf);
  }

  /** A row's real height is known once there is one; it depends on the width of the page. */
  function measure() {
    const found = drawn.values().next().value?.line.offsetHeight ?? 0;
    if (!found || found === height) return;
    height = found;
    place();
  }

  function drop(kept) {
    for (const [key, { line }] of drawn) {
      if (kept.has(key)) continue;
      line.remove();
      drawn.delete(key);
    }
  }

  function patched(row) {
    const one = drawn.get(row.key) ?? made(row.key);
    columns.forEach((column, place) => {
      const said = column.said(row);
      if (one.said[place] === said) return;
      one.said[place] = said;
      if (column.show) write(one.cells[place], [column.show(row)].flat());
    });
    return one;
  }

  function made(key) {
    const cells = columns.map((column, place) => h(place ? "td" : "th", {
      role: place ? "cell" : "rowheader", scope: place ? null : "row", "data-column": column.id, "data-label": column.label,
      class: place ? (column.number ? "number" : null) : "pinned" }));
    const line = h("tr", { role: "row", "data-key": key }, cells);
    drawn.set(key, { line, cells, said: [] });
    return drawn.get(key);
  }

  const cellOf = (key, id) => drawn.get(key)?.cells[columns.findIndex((column) => column.id === id)];

  function draw(chosen) {
    columns = chosen;
    drop(new Set());
    sizes.replaceChildren(...columns.map((column) => {
      const size = h("col");
      if (column.width) size.style.width = `${column.width}rem`;
      return size;
    }));
    table.style.minWidth = `${columns.reduce((sum, column) => sum + (column.width ?? 15), 0)}rem`;
    table.setAttribute("aria-colcount", columns.length);
    head.replaceChildren(...columns.map((column, place) => h("th", {
      role: "columnheader", scope: "col", title: column.title, "data-column": column.id, class: `${place ? "" : "pinned"} ${column.number ? "number" : ""}` },
    column.unsorted ? column.label : h("button", { class: "plain", onclick: () => sorted(column) }, h("span", {}, column.label)))));
  }

  let waiting = 0;
  const soon = () => { waiting ||= requestAnimationFrame(() => { waiting = 0; place(); }); };
  addEventListener("scroll", soon, { capture: true, passive: true });
  new ResizeObserver(soon).observe(element);
  element.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const line = event.target.closest("tbody tr");
    if (!step || !line || event.altKey || event.ctrlKey || event.metaKey) return;
    const next = step > 0 ? line.nextElementSibling : line.previousElementSibling;
    const control = next?.querySelector(event.target.matches("input") ? "input" : "a");
    if (!control) return;
    event.preventDefault();
    control.focus();
  });

  return {
    element,
    show(all, chosen, sort) {
      const ids = chosen.map((column) => column.id).join("\n");
      if (viewed !== ids) draw(chosen);
      else columns = chosen;
      viewed = ids;
      rows = all;
      table.setAttribute("aria-rowcount", rows.length + 1);
      for (const cell of head.children) {
        cell.removeAttribute("aria-sort");
        if (sort.replace("-", "") === cell.dataset.column) cell.setAttribute("aria-sort", sort.startsWith("-") ? "descending" : "ascending");
      }
      place();
    },
    /** Go back to the first row. */
    top() { element.scrollTop = 0; },
  };
}

/** Replace what a cell shows; what is the same element stays, so that focus does. */
function write(cell, children) {
  const held = cell.contains(document.activeElement) ? document.activeElement.tagName : null;
  cell.replaceChildren(...children.filter((child) => child != null));
  if (held) cell.querySelector(held)?.focus({ preventScroll: true });
}

function spacer() {
  return h("tr", { "aria-hidden": "true", class: "spacer", hidden: true }, h("td"));
}
