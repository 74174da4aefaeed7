// One chart: uPlot with our axes, marks and keys.
import { short } from "./words.js";

const MARK = 4; // half the size of a mark, in CSS pixels

const two = (value) => String(Math.floor(value)).padStart(2, "0");

/** A place on the horizontal axis in words: "1:05:00" of time, "14:30:05" of the clock, "epoch 12" of any other. */
export function placeName(x, value, bare = false) {
  if (x !== "clock" && x !== "time") return bare ? precise(value) : `${x} ${precise(value)}`;
  if (x === "clock") return new Date(value * 1000).toLocaleString([], { dateStyle: bare ? undefined : "medium", timeStyle: "medium", hourCycle: "h23" });
  const [hours, minutes] = [value / 3600, (value / 60) % 60];
  return hours >= 1 ? `${Math.floor(hours)}:${two(minutes)}:${two(value % 60)}` : `${Math.floor(minutes)}:${two(value % 60)}`;
}

/**
 * Draw a chart.
 * @param {HTMLElement} box   takes its size and colours; gets the keyboard's focus
 * @param {object} view       what is drawn, see `update`
 * @param {object} told       functions: `cursor({at, y, rows})` its place, its value and each line's row there, or null;
 *                            `zoom([from, to])` or `zoom(null)` what a person wants to see
 */
export function drawChart(box, view, told) {
  let now = view;
  const plot = new uPlot(optionsOf(), dataOf(), box);
  plot.over.addEventListener("dblclick", () => told.zoom(null));
  box.onkeydown = (event) => keyed(event) && event.preventDefault();
  describe(null);
  setZoom();

  function optionsOf() {
    const ink = getComputedStyle(box);
    const rule = { stroke: ink.getPropertyValue("border-top-color"), width: 1 };
    const axis = { stroke: ink.color, font: `11px ${ink.fontFamily}`, grid: rule, ticks: { ...rule, size: 4 }, border: { show: false } };
    return {
      width: box.clientWidth,
      height: box.clientHeight,
      legend: { show: false },
      padding: [10, 14, 0, 0],
      scales: { x: { time: false, range: rangeX }, y: { distr: now.log ? 3 : 1, range: rangeY } },
      axes: [
        { ...axis, size: 26, gap: 4, incrs: incrsOf(now.x), space: now.x === "epoch" ? 46 : 70, values: (_, places) => places.map((each) => tick(each)) },
        { ...axis, gap: 4, size: widthOf, space: 28, values: (_, values) => values.map(precise), ...(now.log && { splits: logSplits, filter: (_, splits) => splits }) },
      ],
      series: [{}, ...now.lines.flatMap((line) => seriesOf(line))],
      cursor: {
        y: false,
        drag: { x: true, y: false, setScale: false },
        bind: { dblclick: () => null },
        hover: { prox: 40 },
        focus: { prox: now.lines.length > 3 ? 24 : -1 },
        points: { size: 6 },
        sync: { key: now.sync, scales: ["x", null], filters: { pub: moves, sub: moves } },
      },
      focus: { alpha: 0.25 },
      hooks: { setCursor: [moved], setSelect: [selected], draw: [marked] },
    };
  }

  /** A line, with its raw values faint behind it if it is smoothed. */
  function seriesOf(line) {
    const common = { scale: "y", stroke: line.stroke, dash: line.dash, show: !line.hidden, spanGaps: false };
    const dots = { size: 5, filter: (_, __, show) => (show ? null : line.alone) };
    const main = { ...common, width: line.width ?? (now.lines.length > 12 ? 1 : 1.6), points: dots };
    return now.smoothing ? [{ ...common, alpha: 0.25, width: 1, points: { ...dots, size: 3 } }, main] : [main];
  }

  function dataOf() {
    return [now.xs, ...now.lines.flatMap((line) => (now.smoothing ? [line.raw, line.values] : [line.values]))];
  }

  const tick = (value) => (now.x === "clock" && value % 60 === 0 ? placeName("clock", value, true).replace(/:00$/, "") : placeName(now.x, value, true));
  const main = (number) => 1 + (now.smoothing ? 2 * number + 1 : number);

  function rangeX(_, low, high) {
    if (low == null) return [0, 1];
    return low === high ? [low - 0.5, high + 0.5] : [low, high];
  }

  function rangeY(_, low, high) {
    const ends = now.lines.filter((line) => !line.hidden && line.end != null && (!now.log || line.end > 0)).map((line) => line.end);
    const known = [low, high, ...ends].filter((each) => Number.isFinite(each));
    if (!known.length) return now.log ? [0.1, 1] : [0, 1];
    [low, high] = [Math.min(...known), Math.max(...known)];
    if (now.log) return low === high ? [low / 2, high * 2] : [low / 1.1, high * 1.1];
    const room = Math.min((high - low || Math.abs(high) || 1) * 0.06, Number.MAX_VALUE / 4);
    return [low >= 0 && low < room ? 0 : low - room, high + room];
  }

  function widthOf(_, values) {
    return Math.max(34, 12 + 6.6 * Math.max(0, ...(values ?? []).map((each) => each.length)));
  }

  function moved() {
    const on = plot.cursor.left >= 0 && plot.cursor.idx != null;
    told.cursor(on ? { at: now.xs[plot.cursor.idx], y: plot.posToVal(plot.cursor.top, "y"), rows: now.lines.map((_, number) => plot.cursor.idxs?.[main(number)] ?? null) } : null);
  }

  function selected() {
    const { left, width } = plot.select;
    if (width > 3) told.zoom([plot.posToVal(left, "x"), plot.posToVal(left + width, "x")]);
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  }

  /** The best epoch as a dashed line with dots on the curves, the final evaluation as an arrow at the edge. */
  function marked() {
    const { ctx, bbox } = plot;
    const dpr = devicePixelRatio;
    const size = MARK * dpr;
    const at = (value, scale) => plot.valToPos(value, scale, true);
    const within = (place, from, length) => place >= from - 1 && place <= from + length + 1;
    ctx.save();
    const alone = now.lines.find((line) => line.best != null);
    if (now.single && alone) vertical(at(now.xs[alone.best], "x"));
    for (const line of now.lines.filter((each) => !each.hidden)) {
      ctx.fillStyle = line.stroke;
      const value = line.values[line.best];
      if (line.best != null && value != null) dot(at(now.xs[line.best], "x"), at(value, "y"));
      if (line.end != null && !(now.log && line.end <= 0)) arrow(at(line.end, "y"));
    }
    ctx.restore();

    function vertical(x) {
      if (!within(x, bbox.left, bbox.width)) return;
      ctx.strokeStyle = ctx.fillStyle = getComputedStyle(box).color;
      ctx.font = `${11 * dpr}px ${getComputedStyle(box).fontFamily}`;
      ctx.textAlign = x > bbox.left + bbox.width / 2 ? "right" : "left";
      ctx.fillText("best", x + (ctx.textAlign === "right" ? -size : size), bbox.top + 2 * size);
      ctx.setLineDash([dpr, 3 * dpr]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
    function dot(x, y) {
      if (!within(x, bbox.left, bbox.width) || !within(y, bbox.top, bbox.height)) return;
      ctx.beginPath();
      ctx.arc(x, y, size, 0, 2 * Math.PI);
      ctx.fill();
    }
    function arrow(y) {
      if (!within(y, bbox.top, bbox.height)) return;
      const x = bbox.left + bbox.width + 1;
      ctx.beginPath();
      ctx.moveTo(x, y);
      ctx.lineTo(x + 2 * size, y - size);
      ctx.lineTo(x + 2 * size, y + size);
      ctx.fill();
    }
  }

  /** Keys: arrows move the cursor, + and - zoom around it, 0 and Escape show all. */
  function keyed({ key, shiftKey }) {
    const { min, max } = plot.scales.x;
    const row = plot.cursor.left >= 0 && plot.cursor.idx != null ? plot.cursor.idx : now.xs.length - 1;
    const far = shiftKey ? 10 : 1;
    const to = { ArrowLeft: row - far, ArrowRight: row + far, Home: 0, End: now.xs.length - 1 }[key];
    if (to != null) return goTo(Math.min(Math.max(to, 0), now.xs.length - 1));
    if (key === "0" || key === "Escape") return told.zoom(null), now.zoom != null;
    if (!"+=-".includes(key) || !now.xs.length) return false;
    const half = ((max - min) / 2) * (key === "-" ? 2 : 0.5);
    told.zoom([Math.max(now.xs[row] - half, now.xs[0]), Math.min(now.xs[row] + half, now.xs.at(-1))]);
    return true;
  }

  function goTo(row) {
    const { min, max } = plot.scales.x;
    const x = now.xs[row];
    if (x < min || x > max) told.zoom([x - (max - min) / 2, x + (max - min) / 2]);
    plot.setCursor({ left: plot.valToPos(x, "x"), top: plot.over.clientHeight / 2 }, true, true);
    describe(row);
    return true;
  }

  /** What a screen reader says of the chart: the cursor is a slider, whose value is told when a key moves it. */
  function describe(row) {
    const at = row ?? now.xs.length - 1;
    const values = now.lines.filter((line) => !line.hidden).map((line) => `${line.label}: ${short(line.raw[at])}`);
    box.setAttribute("aria-valuemax", Math.max(now.xs.length, 1));
    box.setAttribute("aria-valuenow", Math.max(at + 1, 1));
    box.setAttribute("aria-valuetext", now.xs.length ? `${placeName(now.x, now.xs[at])}: ${values.slice(0, 8).join(", ")}` : "no values");
  }

  function setZoom() {
    const [min, max] = now.zoom ?? [now.xs[0] ?? 0, now.xs.at(-1) ?? 1];
    plot.setScale("x", { min, max });
  }

  return {
    /** Draw newer values of the same lines. Another axis, another smoothing or other lines need a new chart. */
    update(newer) {
      now = newer;
      plot.setData(dataOf(), now.zoom == null);
      if (now.zoom) setZoom();
      describe(null);
    },
    /** Show what `zoom` says, of the same values. */
    zoom(zoom) { now = { ...now, zoom }; setZoom(); },
    show(number, shown) {
      now.lines[number].hidden = !shown;
      if (now.smoothing) plot.setSeries(main(number) - 1, { show: shown });
      plot.setSeries(main(number), { show: shown });
      describe(null);
    },
    fit() { if (box.clientWidth) plot.setSize({ width: box.clientWidth, height: box.clientHeight }); },
    destroy() { box.onkeydown = null; plot.destroy(); },
  };
}

/** A number on an axis, whose neighbours may differ from it by little. */
const precise = (value) => (short(value).includes("e") ? short(value) : String(Number(value.toPrecision(7))));
const moves = (type) => type === "mousemove" || type === "mouseleave";

/** Steps between ticks: whole epochs; whole seconds, minutes, hours and days. */
function incrsOf(x) {
  if (x !== "clock" && x !== "time" && x !== "epoch") return undefined;
  if (x === "epoch") return [0, 1, 2, 3, 4, 5, 6, 7].flatMap((power) => [1, 2, 5].map((each) => each * 10 ** power));
  const [minute, hour, day] = [60, 3600, 86400];
  return [1, 5, 15, 30, minute, 5 * minute, 15 * minute, 30 * minute, hour, 2 * hour, 6 * hour, 12 * hour, ...[1, 2, 7, 30, 90, 365].map((each) => each * day)];
}

/** Ticks of a logarithmic axis: even ones within two decades, else powers of ten with halves and fifths. */
function logSplits(_, __, low, high) {
  if (high / low < 30) {
    const rough = (high - low) / 5;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough);
    const first = Math.ceil(low / step);
    return Array.from({ length: Math.floor(high / step) - first + 1 }, (___, n) => (first + n) * step);
  }
  const [from, to] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const every = Math.ceil((to - from) / 6);
  const within = to - from > 3 ? [1] : [1, 2, 5];
  const found = [];
  for (let power = from; power <= to; power += every) found.push(...within.map((each) => each * 10 ** power));
  return found.filter((each) => each >= low && each <= high);
}
