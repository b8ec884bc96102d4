// Lines: the values at the pointer's place, line by line.

import { placeIn, scaleOf, shown, svgElement, unpacked } from "./scale.js";
import { say } from "./scatter.js";

/** @param {HTMLElement} figure @param {any} data @param {HTMLElement} answer */
export function curve(figure, data, answer) {
  const svg = /** @type {SVGSVGElement} */ (figure.querySelector("svg"));
  const lines = data.lines.map((/** @type {any} */ line) => ({ ...line, x: unpacked(line.x), y: unpacked(line.y) }));
  const x = scaleOf(data.x);
  const rule = svgElement("path", { class: "axis", visibility: "hidden" });
  svg.append(rule);
  svg.addEventListener("pointermove", (event) => {
    const [px] = placeIn(svg, event);
    if (px < data.x.range[0] || px > data.x.range[1]) return;
    const at = x.from(px);
    rule.setAttribute("d", `M${px} ${data.y.range[0]}V${data.y.range[1]}`);
    rule.setAttribute("visibility", "visible");
    const words = lines.slice(0, 6).map((/** @type {any} */ line) => `${line.name || data.y.label} ${shown(valueAt(line, at))}`);
    say(answer, `${data.x.label} ${shown(at)}`, words.join(", "));
    svg.dataset.shown = words.join(", ");
  });
  svg.addEventListener("pointerleave", () => rule.setAttribute("visibility", "hidden"));
}

/** The height of an outline's step, or of the nearest point of a line. @param {any} line @param {number} at */
function valueAt(line, at) {
  if (line.steps) {
    const k = line.x.findIndex((/** @type {number} */ edge) => edge > at) - 1;
    return k >= 0 ? line.y[k] : NaN;
  }
  let [best, least] = [NaN, Infinity];
  for (let k = 0; k < line.x.length; k += 1) {
    const d = Math.abs(line.x[k] - at);
    if (d < least && Number.isFinite(line.y[k])) [best, least] = [line.y[k], d];
  }
  return best;
}
