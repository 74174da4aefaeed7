// What every page uses: elements, requests, and what is new.

const prefix = document.documentElement.dataset.prefix ?? "";
/** What a page that is a file has in place of a server: what it would be answered, by path; null on a server. */
const held = JSON.parse(document.getElementById("held")?.textContent ?? "null");
/** Whether there is no server to ask. */
export const isFile = held !== null;
const SVG = new Set(["svg", "path", "circle", "line", "title"]);

/** Make an element: h("a", { href: "/x", class: "y", onclick: fn }, "text", child, …). Text is never read as markup. */
export function h(tag, attributes = {}, ...children) {
  const made = SVG.has(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  if (tag === "button") made.type = tag; // and not what sends a form
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name.startsWith("--")) value != null && made.style.setProperty(name, value); // an attribute `style` is forbidden here
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children.flat(Infinity).filter((child) => child != null));
  return made;
}

/** The address of a path of this server. */
export const at = (path) => prefix + path;

/** The address of a run's page. */
export const pageOf = (key) => at("/runs/" + key.split("/").map(encodeURIComponent).join("/"));

/** Ask for JSON: data("/data/trends", [["key", "a"], ["key", "b"]]). */
export async function data(path, parameters = []) {
  if (held) return held[path];
  const query = new URLSearchParams(parameters).toString();
  const answer = await fetch(at(path) + (query ? `?${query}` : ""));
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error ?? `The server answered ${answer.status}`);
  return answer.json();
}

/**
 * Follow what is new. `cursors` and `more` are parameters of /data/events, `on` has a function for each kind of event.
 * A page that nobody sees closes its connection, since browsers allow six for a server, and goes on when it is seen.
 */
export function follow(cursors, on, more = []) {
  if (isFile) return;
  let stream = null;
  const known = {}; // what came later than that
  let again = null;
  const open = () => {
    clearTimeout(again);
    const query = new URLSearchParams([...cursors, ...pairs(known), ...more]);
    const mine = stream = new EventSource(at(`/data/events?${query}`));
    stream.addEventListener("open", () => told(""));
    stream.addEventListener("trouble", (event) => told(JSON.parse(event.data).error));
    stream.addEventListener("error", async () => {
      connected(false);
      // A browser tries again, but not after an answer that is no stream, such as a proxy's 502; nor does it tell which.
      if (mine.readyState !== EventSource.CLOSED) return;
      const { status } = await fetch(at("/data/trends")).catch(() => ({}));
      if (stream !== mine) return;
      if (status !== 401 && status !== 403) return void (again = setTimeout(open, 4000));
      clearTimeout(telling);
      say("no", "This page's server was started again: open the address that it printed");
    });
    for (const [name, act] of Object.entries(on)) {
      stream.addEventListener(name, (event) => {
        Object.assign(known, JSON.parse(event.lastEventId));
        act(JSON.parse(event.data));
      });
    }
  };
  const close = () => { clearTimeout(again); stream?.close(); stream = null; };
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : stream ?? open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => { if (event.persisted && !document.hidden) stream ?? open(); });
  if (!document.hidden) open();
}

function pairs(cursors) {
  return Object.entries(cursors).flatMap(([key, since]) => (key ? [["key", key], ["since", since]] : [["runs", since]]));
}

const trouble = h("p", { class: "notice", "data-kind": "bad", role: "alert" });

/** Say above the page why nothing new can be read; without words that is over. */
function told(words) {
  connected(!words);
  trouble.textContent = words;
  words ? document.getElementById("main").prepend(trouble) : trouble.remove();
}

let telling = null;

/** Say in the head whether the page is live: a loss only once it lasts, so that nobody is told of a hiccup. */
function connected(live) {
  if (!live) return void (telling ??= setTimeout(say, 2500, "no", "Reconnecting…")); // from the first of many failures
  clearTimeout(telling);
  telling = null;
  say("yes", "Live");
}

function say(live, said) {
  const place = document.getElementById("connection");
  place.dataset.live = live;
  if (place.textContent !== said) place.textContent = said;
}
