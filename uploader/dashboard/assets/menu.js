// What opens below a button.

import { h } from "./base.js";

/** Make a menu: it closes by Escape, by a press elsewhere, or when what has focus is elsewhere. */
export function menu(label, ...content) {
  const summary = h("summary", { class: "button" }, label);
  const made = h("details", { class: "menu", onkeydown: closeByKey, onfocusout: closeByFocus }, summary, h("div", { class: "stack" }, content));
  document.addEventListener("pointerdown", (event) => { if (!made.contains(event.target)) made.open = false; });
  function closeByKey(event) {
    if (event.key !== "Escape" || !made.open) return;
    made.open = false;
    summary.focus();
  }
  function closeByFocus(event) {
    if (event.relatedTarget && !made.contains(event.relatedTarget)) made.open = false;
  }
  return made;
}
