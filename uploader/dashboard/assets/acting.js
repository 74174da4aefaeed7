// What a person does to a run. The key is kept for this tab, and a browser never sends it by itself.
import { at, h } from "./base.js";
import { bytes, count, unitOf } from "./words.js";

const KEPT = "uploader-key";

/** Ask in a dialog; returns what was written, true where nothing is to be written, undefined if cancelled, null if closed. */
const ask = ({ title, body, field, verb, danger, must, error }) => new Promise((resolve) => {
  const go = h("button", { type: "submit", class: danger ? "danger" : "primary", disabled: must != null && field.value !== must }, verb);
  field?.addEventListener("input", () => { go.disabled = must != null && field.value !== must; });
  const dialog = h("dialog", { "aria-label": title, onclose: () => { dialog.remove(); resolve(null); } },
    h("form", { class: "stack", onsubmit: (event) => { event.preventDefault(); resolve(field?.value ?? true); dialog.close(); } },
      h("h2", {}, title), body, error ? h("p", { class: "notice", "data-kind": "bad", role: "alert" }, error) : null, field,
      h("div", { class: "choices" }, h("button", { onclick: () => { resolve(); dialog.close(); } }, "Cancel"), go)));
  document.body.append(dialog);
  dialog.showModal();
  field?.select();
});

/** Ask the server to do it; asks for the key where the server wants one. Returns an error in words, or "". */
async function post(key, action, value) {
  for (let wrong = ""; ;) {
    const known = sessionStorage.getItem(KEPT);
    const headers = { "Content-Type": "application/json", ...(known && { Authorization: `Bearer ${known}` }) };
    const answer = await fetch(at("/data/act"), { method: "POST", headers, body: JSON.stringify({ key, action, value }) });
    if (answer.ok) return "";
    const told = (await answer.json().catch(() => ({}))).error ?? `The server answered ${answer.status}`;
    if (answer.status !== 401) return told;
    const field = h("input", { type: "password", autocomplete: "off", required: true, "aria-label": "Key" });
    const body = h("p", {}, "The server's key is needed to change runs. It is kept until this tab is closed.");
    const given = await ask({ title: "Key", body, field, verb: "Go on", error: wrong });
    if (!given) return told;
    sessionStorage.setItem(KEPT, given.trim());
    wrong = "The server did not take this key.";
  }
}

const text = (value, label) => h("input", { "aria-label": label, value });
const lines = (value, label) => Object.assign(h("textarea", { "aria-label": label, rows: 5 }), { value });

/** What is asked before each action, and what is sent for the answer. */
const ASKED = {
  stop: () => ({ title: "Stop this run?", body: h("p", {}, "It ends after this epoch or step, and keeps its results."), verb: "Stop" }),
  rename: ({ line }) => ({ title: "Rename", field: text(line.name, "Name"), verb: "Rename" }),
  tags: ({ line }) => ({ title: "Tags", body: h("p", { class: "quiet" }, "One on each line."), field: lines(line.tags.join("\n"), "Tags"), verb: "Save", sent: (told) => told.split("\n").filter((each) => each.trim()) }),
  note: ({ facts }) => ({ title: "Note", field: lines(facts.note, "Note"), verb: "Save" }),
  delete: ({ line, facts }) => ({
    title: "Delete this run?",
    body: [h("p", {}, "This cannot be undone. It removes from here:"), h("ul", {}, gone(line, facts).map((each) => h("li", {}, each))), h("p", {}, "Type its name to confirm: ", h("b", {}, line.name))],
    field: text("", "The run's name"), must: line.name, danger: true, verb: "Delete", sent: () => null,
  }),
};

/** What a deletion removes, in words. */
function gone(line, facts) {
  const size = facts.checkpoints.reduce((sum, each) => sum + (each.size ?? 0), 0);
  const files = facts.checkpoints.map((each) => `${each.name}${each.size == null ? "" : ` (${bytes(each.size)})`}`).join(", ");
  return [`${count(line.epochs_done, unitOf(line))} and all values`, facts.checkpoints.length ? `${count(facts.checkpoints.length, "checkpoint")}, ${bytes(size)}: ${files}` : "no checkpoint", "what it printed, its plots and images, and all else that is known of it"];
}

const WORDS = { stop: "Stop", rename: "Rename", tags: "Tags", note: "Note", delete: "Delete…" };

/**
 * Buttons for what may be done.
 * @param {function(): {key: string, line: object, facts: object}} of  the run as it is now
 * @param {function(string, string): void} told  is told an error, or "", and which action it was
 */
export function buttonsOf(of, told) {
  const written = new Map(); // but not taken, for the next time
  return of().facts.actions.map((action) => h("button", { class: action === "delete" ? "danger" : null, onclick: () => act(action) }, WORDS[action]));

  async function act(action) {
    for (let error = ""; ;) {
      const { sent = (value) => value, ...asked } = ASKED[action](of());
      const { field } = asked;
      if (field && written.has(action)) field.value = written.get(action);
      const given = await ask({ ...asked, error });
      if (field && given !== undefined) written.set(action, field.value);
      else written.delete(action);
      if (given == null) return;
      error = await post(of().key, action, given === true ? null : sent(given)).catch(() => "The server cannot be reached.");
      if (!error) written.delete(action);
      if (!error || !field) return told(error, action);
    }
  }
}
