// Measured against predicted: hover and click a dot, zoom with the wheel, pan by dragging, list a selection with Shift.

import { placeIn, scaleOf, shown, svgElement, ticksOf, unpacked } from "./scale.js";

const NEAR = 14;
let clips = 0;

/** @param {HTMLElement} figure @param {any} data @param {HTMLElement} answer */
export function scatter(figure, data, answer) {
  const svg = /** @type {SVGSVGElement} */ (figure.querySelector("svg"));
  if (data.counts) return density(svg, data, answer);
  const [measured, predicted] = [unpacked(data.measured), unpacked(data.predicted)];
  const deviation = data.deviation ? unpacked(data.deviation) : null;
  const home = { x: [...data.x.domain], y: [...data.y.domain] };
  const marks = /** @type {SVGPathElement} */ (svg.querySelector("[data-marks]"));
  const plot = { left: data.x.range[0], right: data.x.range[1], top: data.y.range[1], bottom: data.y.range[0] };
  clip(svg, marks, plot);
  const ring = svgElement("circle", { r: 6, class: "pinned", visibility: "hidden" });
  const box = svgElement("rect", { class: "pinned", visibility: "hidden" });
  svg.append(ring, box);
  let pinned = -1;
  /** @type {null | {x: number, y: number, px: number, py: number, list: boolean, moved: boolean}} */
  let drag = null;

  const draw = () => {
    const [x, y] = [scaleOf(data.x), scaleOf(data.y)];
    let path = "";
    for (let k = 0; k < measured.length; k += 1) path += `M${x.to(measured[k]).toFixed(1)} ${y.to(predicted[k]).toFixed(1)}h0`;
    marks.setAttribute("d", path);
    axes(svg, data, home);
    if (pinned >= 0) mark(pinned);
    svg.dataset.domain = [...data.x.domain, ...data.y.domain].map(shown).join(" ");
  };
  const mark = (/** @type {number} */ k) => {
    ring.setAttribute("cx", String(scaleOf(data.x).to(measured[k])));
    ring.setAttribute("cy", String(scaleOf(data.y).to(predicted[k])));
    ring.setAttribute("visibility", "visible");
  };
  const nearest = (/** @type {number} */ px, /** @type {number} */ py) => {
    const [x, y] = [scaleOf(data.x), scaleOf(data.y)];
    let [best, least] = [-1, NEAR * NEAR];
    for (let k = 0; k < measured.length; k += 1) {
      const d = (x.to(measured[k]) - px) ** 2 + (y.to(predicted[k]) - py) ** 2;
      if (d < least) [best, least] = [k, d];
    }
    return best;
  };
  const tell = (/** @type {number} */ k) => {
    const words = [`${data.x.label} ${shown(measured[k])}`, `${data.y.label} ${shown(predicted[k])}`];
    if (deviation) words.push(`95 % interval ${shown(predicted[k] - 1.96 * deviation[k])} to ${shown(predicted[k] + 1.96 * deviation[k])}`);
    say(answer, data.labels[k], words.join(", "));
    mark(k);
    svg.dataset.shown = data.labels[k];
  };
  const zoom = (/** @type {number} */ px, /** @type {number} */ py, /** @type {number} */ factor) => {
    for (const [axis, at] of /** @type {[any, number][]} */ ([[data.x, px], [data.y, py]])) {
      const centre = scaleOf(axis).from(at);
      axis.domain = axis.domain.map((/** @type {number} */ v) => centre + (v - centre) * factor);
    }
    draw();
  };
  svg.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.altKey && document.activeElement !== svg) return;
    event.preventDefault();
    const [px, py] = placeIn(svg, event);
    zoom(px, py, event.deltaY > 0 ? 1.25 : 0.8);
  }, { passive: false });
  svg.addEventListener("pointerdown", (event) => {
    const [px, py] = placeIn(svg, event);
    drag = { x: px, y: py, px, py, list: event.shiftKey, moved: false };
    svg.setPointerCapture(event.pointerId);
  });
  svg.addEventListener("pointermove", (event) => {
    const [px, py] = placeIn(svg, event);
    if (!drag) {
      const k = nearest(px, py);
      if (k >= 0 && pinned < 0) tell(k);
      return;
    }
    drag.moved ||= Math.hypot(px - drag.x, py - drag.y) > 3;
    if (drag.list) return frame(box, drag.x, drag.y, px, py);
    for (const [axis, from, to] of /** @type {[any, number, number][]} */ ([[data.x, drag.px, px], [data.y, drag.py, py]])) {
      const scale = scaleOf(axis);
      const shift = scale.from(from) - scale.from(to);
      axis.domain = axis.domain.map((/** @type {number} */ v) => v + shift);
    }
    [drag.px, drag.py] = [px, py];
    draw();
  });
  svg.addEventListener("pointerup", (event) => {
    const [px, py] = placeIn(svg, event);
    if (drag && !drag.moved) {
      const k = nearest(px, py);
      pinned = k === pinned ? -1 : k;
      if (pinned >= 0) tell(pinned);
      else ring.setAttribute("visibility", "hidden");
    } else if (drag && drag.list) list(drag.x, drag.y, px, py);
    box.setAttribute("visibility", "hidden");
    drag = null;
  });
  const list = (/** @type {number} */ ax, /** @type {number} */ ay, /** @type {number} */ bx, /** @type {number} */ by) => {
    const [x, y] = [scaleOf(data.x), scaleOf(data.y)];
    const inside = [...data.labels.keys()].filter((k) => between(x.to(measured[k]), ax, bx) && between(y.to(predicted[k]), ay, by));
    const names = inside.slice(0, 60).map((k) => data.labels[k]).join(", ");
    say(answer, `${inside.length} selected`, names + (inside.length > 60 ? ", …" : ""));
  };
  svg.setAttribute("tabindex", "0");
  svg.addEventListener("keydown", (event) => {
    if (event.key === "+" || event.key === "-") zoom((plot.left + plot.right) / 2, (plot.top + plot.bottom) / 2, event.key === "+" ? 0.8 : 1.25);
    if (event.key === "0" || event.key === "Escape") {
      [data.x.domain, data.y.domain, pinned] = [[...home.x], [...home.y], -1];
      ring.setAttribute("visibility", "hidden");
      draw();
    }
  });
  say(answer, "", "Point at a dot; click to keep it. Drag to move, Ctrl + wheel or + and − to zoom, 0 for all, Shift + drag to list.");
}

/** @param {SVGSVGElement} svg @param {any} data @param {HTMLElement} answer */
function density(svg, data, answer) {
  const counts = unpacked(data.counts);
  const [x, y] = [scaleOf(data.x), scaleOf(data.y)];
  const total = counts.reduce((sum, each) => sum + each, 0);
  svg.addEventListener("pointermove", (event) => {
    const [px, py] = placeIn(svg, event);
    const column = Math.floor(((px - data.x.range[0]) / (data.x.range[1] - data.x.range[0])) * data.cells);
    const row = Math.floor(((py - data.y.range[1]) / (data.y.range[0] - data.y.range[1])) * data.cells);
    if (!between(column, 0, data.cells - 1) || !between(row, 0, data.cells - 1)) return;
    const n = counts[row * data.cells + column];
    say(answer, `${n} variants`, `near ${data.x.label} ${shown(x.from(px))}, ${data.y.label} ${shown(y.from(py))}`);
    svg.dataset.shown = String(n);
  });
  say(answer, "", `A density of ${total.toLocaleString("en")} variants: point at a cell to count them.`);
}

/** Ticks and guides for the range now shown. @param {SVGSVGElement} svg @param {any} data @param {any} home */
function axes(svg, data, home) {
  const group = /** @type {SVGGElement} */ (svg.querySelector("[data-axes]"));
  const [x, y] = [scaleOf(data.x), scaleOf(data.y)];
  const [[left, right], [bottom, top]] = [data.x.range, data.y.range];
  group.replaceChildren();
  for (const v of ticksOf(data.x.domain[0], data.x.domain[1])) {
    group.append(svgElement("path", { class: "grid", d: `M${x.to(v)} ${bottom}V${top}` }));
    group.append(label(x.to(v), bottom + 15, shown(v), "middle"));
  }
  for (const v of ticksOf(data.y.domain[0], data.y.domain[1])) {
    group.append(svgElement("path", { class: "grid", d: `M${left} ${y.to(v)}H${right}` }));
    group.append(label(left - 6, y.to(v) + 4, shown(v), "end"));
  }
  group.append(svgElement("path", { class: "axis", fill: "none", d: `M${left} ${top}V${bottom}H${right}` }));
  const whole = data.x.domain.every((/** @type {number} */ v, /** @type {number} */ k) => v === home.x[k]);
  for (const name of ["[data-guides]", "[data-margins]"]) {
    const other = svg.querySelector(name);
    if (other) other.setAttribute("visibility", whole ? "visible" : "hidden");
  }
}

/** @param {number} x @param {number} y @param {string} text @param {string} anchor */
function label(x, y, text, anchor) {
  const element = svgElement("text", { x, y, class: "soft", "text-anchor": anchor });
  element.textContent = text;
  return element;
}

/** Dots outside the plot are not drawn. @param {SVGSVGElement} svg @param {Element} marks @param {any} plot */
function clip(svg, marks, plot) {
  const path = svgElement("clipPath", { id: `clip-${clips += 1}` });
  path.append(svgElement("rect", { x: plot.left, y: plot.top, width: plot.right - plot.left, height: plot.bottom - plot.top }));
  svg.append(path);
  marks.setAttribute("clip-path", `url(#clip-${clips})`);
}

/** @param {Element} box @param {number} ax @param {number} ay @param {number} bx @param {number} by */
function frame(box, ax, ay, bx, by) {
  const at = { x: Math.min(ax, bx), y: Math.min(ay, by), width: Math.abs(ax - bx), height: Math.abs(ay - by), visibility: "visible" };
  for (const [key, value] of Object.entries(at)) box.setAttribute(key, String(value));
}

/** @param {number} v @param {number} a @param {number} b */
function between(v, a, b) {
  return v >= Math.min(a, b) && v <= Math.max(a, b);
}

/** @param {HTMLElement} answer @param {string} name @param {string} words */
export function say(answer, name, words) {
  const strong = document.createElement("b");
  strong.textContent = name;
  answer.replaceChildren(strong, name ? ` ${words}` : words);
}
