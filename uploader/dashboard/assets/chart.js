// One chart: uPlot with our axes, marks and keys.
import { distinct, incrsOf, logSplits, placeName, precise } from "./chart_axes.js";
import { drawMarks } from "./chart_marks.js";
import { short } from "./words.js";

/**
 * Draw a chart in a box, which gives it its size and colours, and gets the keyboard's focus. `told.cursor` is told the
 * cursor's place and value and each line's row there, `{at, y, rows}`, or null; `told.zoom` [from, to], or null for all.
 */
export function drawChart(box, view, told) {
  let now = view;
  const plot = new uPlot(optionsOf(), dataOf(), box);
  // Such handlers return nothing: what is false would cancel the event.
  plot.over.ondblclick = () => told.zoom(null);
  for (const name of ["down", "move", "up", "cancel"]) plot.over["onpointer" + name] = (event) => { if (event.pointerType === "touch") touched(name, event); };
  box.onkeydown = (event) => { if (keyed(event)) event.preventDefault(); };
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
      padding: [10, 24, 0, 0], // half of the last tick
      scales: { x: { time: false, range: rangeX }, y: { distr: now.log ? 3 : 1, range: rangeY } },
      axes: [
        { ...axis, size: 26, gap: 4, incrs: incrsOf(now.x), space: now.x === "epoch" ? 46 : 70, values: (_, places) => distinct(places.map(tick)) },
        { ...axis, gap: 4, size: widthOf, space: 28, values: (_, values) => distinct(values.map(precise)), ...(now.log && { splits: logSplits, filter: (_, splits) => splits }) },
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
      hooks: { setCursor: [moved], setSelect: [selected], draw: [() => drawMarks(plot, now, getComputedStyle(box))] },
    };
  }

  /** A line, with its raw values faint behind it if it is smoothed. */
  function seriesOf(line) {
    const common = { scale: "y", stroke: line.stroke, dash: line.dash, show: !line.hidden, spanGaps: false };
    const dots = { size: 5, filter: (_, __, show) => (show ? null : line.alone) };
    const main = { ...common, width: line.width ?? (now.lines.length > 12 ? 1 : 1.6), points: dots };
    return now.smoothing ? [{ ...common, alpha: 0.25, width: 1, points: { ...dots, size: 3 } }, main] : [main];
  }

  function dataOf() { return [now.xs, ...now.lines.flatMap((line) => (now.smoothing ? [line.raw, line.values] : [line.values]))]; }
  const tick = (value) => (now.x === "clock" && value % 60 === 0 ? placeName("clock", value, true).replace(/:00$/, "") : placeName(now.x, value, true));
  const main = (number) => 1 + (now.smoothing ? 2 * number + 1 : number);

  /** The first and the last row of what is shown. */
  function ends() { return now.ends ?? [0, now.xs.length - 1]; }

  function rangeX(_, low, high) { return low == null ? [0, 1] : low === high ? [low - 0.5, high + 0.5] : [low, high]; }

  function rangeY(_, low, high) {
    const ends = now.lines.filter((line) => !line.hidden && line.end != null && (!now.log || line.end > 0)).map((line) => line.end);
    const known = [low, high, ...(now.zoom ? [] : ends)].filter((each) => Number.isFinite(each));
    if (!known.length) return now.log ? [0.1, 1] : [0, 1];
    [low, high] = [Math.min(...known), Math.max(...known)];
    if (now.log) return low === high ? [low / 2, high * 2] : [low / 1.1, high * 1.1];
    const room = Math.min((high - low || Math.abs(high) || 1) * 0.06, Number.MAX_VALUE / 4);
    return [low >= 0 && low < room ? 0 : low - room, high + room];
  }

  function widthOf(_, values) { return Math.max(34, 12 + 6.6 * Math.max(0, ...(values ?? []).map((each) => each.length))); }

  function moved() {
    const on = plot.cursor.left >= 0 && plot.cursor.idx != null;
    told.cursor(on ? { at: now.xs[plot.cursor.idx], y: plot.posToVal(plot.cursor.top, "y"), rows: now.lines.map((_, number) => plot.cursor.idxs?.[main(number)] ?? null) } : null);
  }

  function selected() {
    const { left, width } = plot.select;
    if (width > 3) told.zoom([plot.posToVal(left, "x"), plot.posToVal(left + width, "x")]);
    unselect();
  }

  function unselect() { plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false); }

  /** A finger that goes sideways does what a mouse does; one that goes up or down scrolls, and the browser cancels it here. */
  function touched(name, event) {
    if (name === "cancel") unselect();
    plot.over.dispatchEvent(new MouseEvent("mouse" + name.replace("cancel", "up"), event));
  }

  /** Keys: arrows move the cursor, + and - zoom around it, 0 and Escape show all. */
  function keyed({ key, shiftKey, altKey, ctrlKey, metaKey }) {
    if (altKey || ctrlKey || metaKey) return false; // the browser's own
    const { min, max } = plot.scales.x;
    const [first, last] = ends();
    const row = plot.cursor.left >= 0 && plot.cursor.idx != null ? plot.cursor.idx : last;
    const far = shiftKey ? 10 : 1;
    const to = { ArrowLeft: row - far, ArrowRight: row + far, Home: first, End: last }[key];
    if (to != null) return goTo(Math.min(Math.max(to, first), last));
    if (key === "0" || key === "Escape") return told.zoom(null), now.zoom != null;
    if (!"+=-".includes(key) || !now.xs.length) return false;
    const half = ((max - min) / 2) * (key === "-" ? 2 : 0.5);
    told.zoom([Math.max(now.xs[row] - half, now.xs[first]), Math.min(now.xs[row] + half, now.xs[last])]);
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
    const at = row ?? ends()[1];
    const values = now.lines.filter((line) => !line.hidden).map((line) => `${line.label}: ${short(line.raw[at])}`);
    box.setAttribute("aria-valuemax", Math.max(now.xs.length, 1));
    box.setAttribute("aria-valuenow", Math.max(at + 1, 1));
    box.setAttribute("aria-valuetext", now.xs.length ? `${placeName(now.x, now.xs[at])}: ${values.slice(0, 8).join(", ")}` : "no values");
  }

  function setZoom() {
    const [min, max] = now.zoom ?? ends().map((row) => now.xs[row]);
    plot.setScale("x", min === max ? { min: min - 0.5, max: max + 0.5 } : { min, max });
  }

  return {
    /** Draw newer values of the same lines. Another axis, another smoothing or other lines need a new chart. */
    update(newer) {
      now = newer;
      plot.setData(dataOf(), now.zoom == null);
      setZoom();
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

const moves = (type) => type === "mousemove" || type === "mouseleave";
