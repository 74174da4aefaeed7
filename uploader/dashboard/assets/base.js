// What every page uses: elements, requests, numbers and times in words.

const prefix = document.documentElement.dataset.prefix ?? "";

/** Make an element: h("a", { href: "/x", class: "y", onclick: fn }, "text", child, …). Text is never read as markup. */
export function h(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child != null));
  return made;
}

/** The address of a path of this server. */
export const at = (path) => prefix + path;

/** The address of a run's page. */
export const pageOf = (key) => at("/runs/" + key.split("/").map(encodeURIComponent).join("/"));

/** Ask for JSON: data("/data/trends", [["key", "a"], ["key", "b"]]). */
export async function data(path, parameters = []) {
  const query = new URLSearchParams(parameters).toString();
  const answer = await fetch(at(path) + (query ? `?${query}` : ""));
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error ?? `The server answered ${answer.status}`);
  return answer.json();
}

/**
 * Follow what is new. `cursors` are parameters of /data/events, `on` has a function for each kind of event.
 * A page that nobody sees closes its connection, since browsers allow six for a server, and goes on when it is seen.
 */
export function follow(cursors, on) {
  let stream = null;
  let known = null;
  const open = () => {
    const query = new URLSearchParams(known ?? cursors).toString();
    stream = new EventSource(at(`/data/events?${query}`));
    for (const [name, act] of Object.entries(on)) {
      stream.addEventListener(name, (event) => {
        known = pairs(JSON.parse(event.lastEventId));
        act(JSON.parse(event.data));
      });
    }
  };
  const close = () => { stream?.close(); stream = null; };
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : stream ?? open()));
  addEventListener("pagehide", close);
  if (!document.hidden) open();
}

function pairs(cursors) {
  return Object.entries(cursors).flatMap(([key, since]) => (key ? [["key", key], ["since", since]] : [["runs", since]]));
}

/** A number in a few digits. */
export function short(value) {
  if (value == null) return "";
  if (typeof value !== "number") return String(value);
  return Number.isInteger(value) && Math.abs(value) < 1e6 ? String(value) : String(Number(value.toPrecision(4)));
}
