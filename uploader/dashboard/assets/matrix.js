// A confusion matrix as a table: a column for what was true, a row for what was predicted.
import { h } from "./base.js";
import { wide } from "./run_tables.js";
import { short } from "./words.js";

const MOST = 100; // classes in it; of more, those with the most mistakes are shown
const FEW = 24; // so many have room for a number in each cell

/** Make a card of a matrix of counts: matrix[predicted][true]. One row more than there are names is the background. */
export function matrixOf(title, matrix, names) {
  const size = matrix.length;
  const nameOf = (at) => names[at] ?? (at === size - 1 && at >= names.length && names.length ? "background" : `class ${at}`);
  const sums = matrix[0].map((_, column) => matrix.reduce((sum, row) => sum + row[column], 0));
  const shown = chosenOf(matrix, sums);
  const most = Math.max(1, ...shown.map((row) => Math.max(...shown.map((column) => matrix[row][column]))));
  const said = h("p", { class: "quiet said", role: "status" }, "Point at a cell to see its numbers.");
  const share = (row, column) => (sums[column] ? matrix[row][column] / sums[column] : 0);
  const counts = h("input", { type: "checkbox", onchange: () => fill() });
  const body = h("tbody");
  const table = h("table", { class: shown.length > FEW ? "matrix small" : "matrix", onpointerover: ({ target }) => tell(target) },
    h("caption", { class: "sr" }, `${title}: rows are what was predicted, columns what was true`),
    h("thead", {}, h("tr", {}, h("td", { class: "corner" }, "predicted ↓ true →"), shown.map((at) => h("th", { scope: "col" }, h("span", {}, nameOf(at)))))), body);
  fill();
  return h("section", { class: `card chart ${shown.length > 10 ? "wide" : ""}`, "aria-label": title }, h("div", { class: "row" }, h("h3", { class: "grow" }, title), h("label", { class: "field" }, counts, "Counts")),
    shown.length < size ? h("p", { class: "quiet" }, `The ${shown.length} classes with the most mistakes, of ${size}.`) : null,
    wide(`${title}, the table`, table), said); // below: what grows above would move the cell away

  function fill() {
    body.replaceChildren(...shown.map((row) => h("tr", {}, h("th", { scope: "row" }, nameOf(row)), shown.map((column) => cellOf(row, column)))));
  }

  function cellOf(row, column) {
    const count = matrix[row][column];
    const part = counts.checked ? count / most : share(row, column);
    const text = count ? (counts.checked ? short(count) : share(row, column).toFixed(2)) : "";
    return Object.assign(h("td", { "--part": `${Math.round(45 * Math.sqrt(part))}%`, class: row === column ? "right" : null }, text), { at: [row, column] });
  }

  function tell({ at }) {
    if (!at) return;
    const [row, column] = at;
    said.textContent = `True ${nameOf(column)}, predicted ${nameOf(row)}: ${short(matrix[row][column])}, ${(100 * share(row, column)).toFixed(1)} % of ${nameOf(column)}`;
  }
}

/** Which rows are shown, in their order. */
function chosenOf(matrix, sums) {
  const all = matrix.map((_, at) => at);
  if (all.length <= MOST) return all;
  const wrong = (at) => sums[at] - matrix[at][at] + matrix[at].reduce((sum, each) => sum + each, 0) - matrix[at][at];
  return all.sort((a, b) => wrong(b) - wrong(a)).slice(0, MOST).sort((a, b) => a - b);
}
