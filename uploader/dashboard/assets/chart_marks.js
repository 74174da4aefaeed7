// Marks on a chart: the best epoch, and the final evaluation.

/** Draw the best epoch as a dotted line with dots on the curves, and the final evaluation as an arrow at the edge. */
export function drawMarks({ ctx, bbox: { left, top, width, height }, valToPos }, { lines, xs, single, log }, { color, fontFamily }) {
  const px = devicePixelRatio;
  const size = 4 * px;
  const [x, y] = ["x", "y"].map((scale) => (value) => valToPos(value, scale, true));
  ctx.save();
  ctx.beginPath();
  ctx.rect(left - size, top - size, width + 4 * size, height + 2 * size);
  ctx.clip();
  const best = single && lines.find((line) => line.best != null);
  if (best) dotted(x(xs[best.best]), y(best.values[best.best]) > top + height / 2);
  for (const line of lines.filter((each) => !each.hidden)) {
    ctx.fillStyle = line.stroke;
    if (line.best != null && line.values[line.best] != null) dot(x(xs[line.best]), y(line.values[line.best]));
    if (line.end != null && !(log && line.end <= 0)) arrow(y(line.end));
  }
  ctx.restore();

  /** A dotted line whose word stands where its dot does not: above or below. */
  function dotted(at, isLow) {
    const isRight = at > left + width / 2;
    Object.assign(ctx, { strokeStyle: color, fillStyle: color, font: `${11 * px}px ${fontFamily}`, textAlign: isRight ? "right" : "left" });
    ctx.fillText("best", at + (isRight ? -size : size), isLow ? top + 2 * size : top + height - size);
    ctx.setLineDash([px, 3 * px]);
    ctx.beginPath();
    ctx.moveTo(at, top);
    ctx.lineTo(at, top + height);
    ctx.stroke();
  }

  function dot(at, value) {
    ctx.beginPath();
    ctx.arc(at, value, size, 0, 2 * Math.PI);
    ctx.fill();
  }

  function arrow(value) {
    const edge = left + width + px;
    ctx.beginPath();
    ctx.moveTo(edge, value);
    ctx.lineTo(edge + 2 * size, value - size);
    ctx.lineTo(edge + 2 * size, value + size);
    ctx.fill();
  }
}
