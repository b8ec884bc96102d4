// Curves that grow: one picture a metric, one line a fold, drawn anew at most every frame.

import { scaleOf, shown, svgElement, ticksOf } from "./scale.js";
import { say } from "./say.js";

const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7f7f7f"];
const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [470, 240, 58, 456, 28, 204];
const MOST = 12;

export class LiveCurves {
  /** @param {HTMLElement} place */
  constructor(place) {
    this.place = place;
    /** @type {Map<string, {figure: HTMLElement, lines: Map<string, [number, number][]>, unit: string}>} */
    this.metrics = new Map();
    /** @type {Set<string>} */
    this.stale = new Set();
  }

  get isEmpty() { return this.metrics.size === 0; }

  /** @param {{name?: string, value?: number | null, step?: number | null, epoch?: number | null, fold?: number | null}} value */
  add(value) {
    if (!value.name || typeof value.value !== "number") return;
    const [part, name] = value.name.includes("/") ? [value.name.slice(0, value.name.indexOf("/")), value.name.slice(value.name.indexOf("/") + 1)] : ["", value.name];
    const at = value.epoch ?? value.step;
    if (at === null || at === undefined) return;
    let metric = this.metrics.get(name);
    if (!metric) {
      if (this.metrics.size >= MOST) return;
      metric = { figure: this.figureOf(name), lines: new Map(), unit: value.epoch === null || value.epoch === undefined ? "step" : "epoch" };
      this.metrics.set(name, metric);
    }
    const key = [part, value.fold === null || value.fold === undefined ? "" : say("fold", { n: value.fold })].filter(Boolean).join(", ") || name;
    if (!metric.lines.has(key)) metric.lines.set(key, []);
    metric.lines.get(key)?.push([at, value.value]);
    if (!this.stale.size) requestAnimationFrame(() => { this.stale.forEach((each) => this.draw(each)); this.stale.clear(); });
    this.stale.add(name);
  }

  /** @param {string} name */
  figureOf(name) {
    const figure = document.createElement("figure");
    figure.dataset.metric = name;
    figure.append(Object.assign(document.createElement("h3"), { textContent: name }), Object.assign(document.createElement("div"), { className: "drawing" }), document.createElement("figcaption"));
    this.place.append(figure);
    return figure;
  }

  /** @param {string} name */
  draw(name) {
    const metric = this.metrics.get(name);
    if (!metric) return;
    const points = [...metric.lines.values()].flat();
    const [xs, ys] = [points.map((each) => each[0]), points.map((each) => each[1])];
    const x = { domain: padded(Math.min(...xs), Math.max(...xs), 0), range: [LEFT, RIGHT] };
    const y = { domain: padded(Math.min(...ys), Math.max(...ys), 0.06), range: [BOTTOM, TOP] };
    const svg = svgElement("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, role: "img" });
    axes(svg, x, y, say(metric.unit));
    const [sx, sy] = [scaleOf(x), scaleOf(y)];
    const ends = [];
    let k = 0;
    for (const [key, line] of metric.lines) {
      const colour = COLOURS[k % COLOURS.length];
      const path = line.map(([at, value], j) => `${j ? "L" : "M"}${sx.to(at).toFixed(1)} ${sy.to(value).toFixed(1)}`).join("");
      svg.append(svgElement("path", { d: line.length > 1 ? path : `${path}h0.1`, fill: "none", stroke: colour, "stroke-width": line.length > 1 ? 1.8 : 6, "stroke-linecap": "round" }));
      if (metric.lines.size > 1 && k < 5) {
        svg.append(svgElement("path", { d: `M${LEFT + k * 80} 14h14`, stroke: colour, "stroke-width": 3 }));
        svg.append(Object.assign(svgElement("text", { x: LEFT + 18 + k * 80, y: 18 }), { textContent: key }));
      }
      ends.push(`${key} ${shown(line[line.length - 1][1])}`);
      k += 1;
    }
    svg.setAttribute("aria-label", `${name}: ${ends.join(", ")}`);
    metric.figure.dataset.points = String(points.length);
    metric.figure.querySelector(".drawing")?.replaceChildren(svg);
    const caption = metric.figure.querySelector("figcaption");
    if (caption) caption.textContent = say("newest", { values: ends.slice(0, 5).join(", ") });
  }
}

/** @param {number} low @param {number} high @param {number} share */
function padded(low, high, share) {
  if (low === high) return [low - 0.5, high + 0.5];
  return [low - (high - low) * share, high + (high - low) * share];
}

/** @param {Element} svg @param {{domain: number[], range: number[]}} x @param {{domain: number[], range: number[]}} y @param {string} unit */
function axes(svg, x, y, unit) {
  const [sx, sy] = [scaleOf(x), scaleOf(y)];
  for (const tick of ticksOf(y.domain[0], y.domain[1], 5)) {
    svg.append(svgElement("path", { class: "grid", d: `M${LEFT} ${sy.to(tick).toFixed(1)}H${RIGHT}` }));
    svg.append(Object.assign(svgElement("text", { class: "soft", x: LEFT - 6, y: (sy.to(tick) + 4).toFixed(1), "text-anchor": "end" }), { textContent: shown(tick) }));
  }
  for (const tick of ticksOf(x.domain[0], x.domain[1], 6).filter((each) => Number.isInteger(each))) {
    svg.append(Object.assign(svgElement("text", { class: "soft", x: sx.to(tick).toFixed(1), y: BOTTOM + 16, "text-anchor": "middle" }), { textContent: shown(tick) }));
  }
  svg.append(svgElement("path", { class: "axis", fill: "none", d: `M${LEFT} ${TOP}V${BOTTOM}H${RIGHT}` }));
  svg.append(Object.assign(svgElement("text", { x: (LEFT + RIGHT) / 2, y: HEIGHT - 4, "text-anchor": "middle" }), { textContent: unit }));
}
