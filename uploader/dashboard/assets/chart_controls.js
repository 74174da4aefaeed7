// What a person sets charts with, and how the page's address keeps it.
import { h } from "./base.js";
import { allChosen, choose, chosen } from "./state.js";
import { titled } from "./words.js";

const AXES = { time: "Time since the start", clock: "Time of day" };

/** Settings as the page's address tells them. */
export function keptSettings() {
  const zoom = chosen("zoom").split("~").map(Number);
  return {
    ...(chosen("x") && { x: chosen("x") }),
    smoothing: Math.min(Math.max(Number(chosen("smoothing")) || 0, 0), 0.999),
    log: chosen("log") === "1",
    filter: chosen("charts"),
    rooms: allChosen("room").length ? allChosen("room") : null,
    zoom: zoom.length === 2 && zoom.every(Number.isFinite) ? zoom : null,
  };
}

/** Keep settings in the page's address. */
export function keepSettings({ x, smoothing, log, filter, zoom, rooms }) {
  const places = zoom?.map((place) => Number(place.toPrecision(8))).join("~");
  choose({ x: x === "epoch" ? "" : x, smoothing: smoothing || "", log: log ? 1 : "", charts: filter, zoom: places, room: rooms });
}

/** Make the controls: `told(settings)` is called with what was set, `show` shows what holds. */
export function controlsOf(axes, unit, told) {
  const filter = h("input", { type: "search", placeholder: "Filter charts", "aria-label": "Filter charts by name", oninput: () => told({ filter: filter.value }) });
  // Even steps of the slider are even steps of how far back is averaged: up to 0.999, a thousand epochs.
  const slider = h("input", { type: "range", min: 0, max: 100, oninput: () => told({ smoothing: slider.value > 0 ? Number((1 - 10 ** (-slider.value * 0.03)).toFixed(4)) : 0 }) });
  const weight = h("output", { class: "number" });
  const log = h("input", { type: "checkbox", onchange: () => told({ log: log.checked }) });
  const x = h("select", { onchange: () => told({ x: x.value }) }, axes.map((each) => h("option", { value: each }, AXES[each] ?? `${titled(unit)}s`)));
  const all = h("button", { onclick: () => told({ zoom: null }) }, "Zoom out");
  const count = h("span", { class: "quiet", role: "status" });
  const element = h("div", { class: "row controls" }, filter, h("label", { class: "field" }, "Smoothing", slider, weight),
    h("label", { class: "field" }, log, "Log scale"), axes.length > 1 ? h("label", { class: "field" }, "Across", x) : null, all, count);
  return {
    element,
    show(state, shown, of) {
      if (filter.value !== state.filter) filter.value = state.filter;
      const position = Math.round(-Math.log10(1 - state.smoothing) / 0.03);
      if (document.activeElement !== slider) slider.value = position;
      slider.setAttribute("aria-valuetext", state.smoothing ? String(state.smoothing) : "off");
      weight.textContent = state.smoothing ? state.smoothing.toFixed(3) : "off";
      log.checked = state.log;
      x.value = state.x;
      all.hidden = !state.zoom;
      count.textContent = shown < of ? `${shown} of ${of} charts` : "";
    },
  };
}
