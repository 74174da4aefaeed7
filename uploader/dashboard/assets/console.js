// What a run printed: it follows the end unless a person reads elsewhere, and can be searched.
import { at, h, isFile } from "./base.js";
import { parts, Terminal } from "./terminal.js";

const [SOME, MOST] = [2000, 50000]; // lines on the page, at first and if a person wants the beginning
const SAME = 400; // so much of a new end is looked for in what is there

/** Make a console. `append(text, isWholeEnd)` shows what is new, or an end that replaces the one that is there. */
export function consoleOf(key) {
  const pre = h("pre", { class: "console", tabindex: 0, role: "region", "aria-label": "What the run printed", onscroll: () => setFollowing(isAtEnd()) });
  const search = h("input", { type: "search", placeholder: "Search", "aria-label": "Search what the run printed", oninput: () => find(0), onkeydown: (event) => event.key === "Enter" && find(event.shiftKey ? -1 : 1) });
  const hits = h("span", { class: "quiet number", role: "status" });
  const follow = h("button", { "aria-pressed": "true", onclick: () => toEnd() }, "Follow");
  const address = at(`/data/console?${new URLSearchParams({ key })}`);
  const more = h("button", { hidden: true, onclick: () => whole() }, "Show the beginning");
  const bar = h("div", { class: "row controls" }, search, hits, follow, more, isFile ? "" : h("a", { href: address, target: "_blank", rel: "noopener" }, "Whole text"));
  let [text, terminal, shown, found, now, most, isCut] = ["", new Terminal(), [], [], 0, SOME, false];

  function append(added, isWholeEnd = false) {
    if (isWholeEnd) replace(added);
    else { text += added; terminal.feed(added); }
    draw();
  }

  /** Put a newer end in the place of the old one; what stood before it stays. */
  function replace(end) {
    const from = end ? text.lastIndexOf(end.slice(0, SAME)) : -1;
    text = from < 0 ? end : text.slice(0, from) + end;
    const before = terminal.lines;
    terminal = new Terminal();
    terminal.feed(text);
    const different = terminal.lines.findIndex((line, row) => line !== before[row]);
    terminal.changed = different < 0 ? terminal.lines.length : different;
    if (terminal.lines.length > most || before.length > most) terminal.changed = 0;
  }

  /** Draw the lines that have changed, and leave the others as they are. */
  function draw() {
    const keep = isFollowing() ? null : pre.scrollTop;
    const skipped = Math.max(0, terminal.lines.length - most);
    for (let drop = Math.min(skipped - (pre.dropped ?? 0), shown.length); drop > 0; drop -= 1) shown.shift().remove();
    pre.dropped = skipped;
    const from = Math.max(terminal.changed - skipped, 0);
    shown.splice(from).forEach((line) => line.remove());
    const added = terminal.lines.slice(skipped + from, terminal.lines.at(-1) ? undefined : -1).map(lineOf);
    shown.push(...added);
    pre.append(...added);
    terminal.changed = terminal.lines.length;
    if (search.value) find(0, false);
    more.hidden = !(isCut || skipped) || most === MOST;
    if (keep === null) toEnd();
    else pre.scrollTop = keep;
  }

  const lineOf = (line) => h("div", {}, parts(line).map(([told, look]) => (look ? h("span", { class: look }, told) : told)), line ? null : h("br"));

  function find(step, go = true) {
    const words = search.value.toLowerCase();
    found.forEach((line) => line.removeAttribute("class"));
    found = words ? shown.filter((line) => line.textContent.toLowerCase().includes(words)) : [];
    now = found.length ? (step ? (now + step + found.length) % found.length : go ? found.length - 1 : Math.min(now, found.length - 1)) : 0;
    found.forEach((line, number) => { line.className = number === now ? "hit now" : "hit"; });
    hits.textContent = words ? (found.length ? `${now + 1} of ${found.length}` : "not found") : "";
    if (!go || !found.length) return;
    setFollowing(false);
    pre.scrollTop = found[now].offsetTop - pre.clientHeight / 2;
  }

  async function whole() {
    if (isCut) {
      const answer = await fetch(address);
      if (!answer.ok) return;
      text = await answer.text();
    }
    [most, isCut, terminal] = [MOST, false, new Terminal()];
    terminal.feed(text);
    terminal.changed = 0;
    setFollowing(false);
    draw();
    pre.scrollTop = 0;
  }

  const isAtEnd = () => pre.scrollHeight - pre.scrollTop - pre.clientHeight < 24;
  const isFollowing = () => follow.getAttribute("aria-pressed") === "true";
  function setFollowing(on) { follow.setAttribute("aria-pressed", String(on)); }
  function toEnd() { setFollowing(true); pre.scrollTop = pre.scrollHeight; }

  return { element: h("div", {}, bar, pre), append, cut() { isCut = !isFile; }, isEmpty: () => !text };
}
