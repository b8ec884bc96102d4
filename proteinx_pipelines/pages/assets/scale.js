// Scales, ticks and numbers: the same sums as `figures/scales.py`, so that a picture may be drawn again.

/** @param {{domain: number[], range: number[], log?: boolean}} axis */
export function scaleOf(axis) {
  const f = axis.log ? Math.log : (/** @type {number} */ v) => v;
  const [low, high] = axis.domain.map(f);
  const [start, end] = axis.range;
  const span = high - low || 1;
  const inverse = (/** @type {number} */ at) => low + ((at - start) / (end - start)) * span;
  return {
    to: (/** @type {number} */ v) => start + ((f(v) - low) / span) * (end - start),
    from: (/** @type {number} */ at) => (axis.log ? Math.exp(inverse(at)) : inverse(at)),
  };
}

/** Round numbers within a range. @param {number} low @param {number} high @param {number} most */
export function ticksOf(low, high, most = 6) {
  const span = high - low;
  if (!(span > 0)) return [low];
  const rough = span / (most - 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((k) => k * power).find((each) => each >= rough * (1 - 1e-9)) || rough;
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k += 1) found.push(Number((k * step).toPrecision(12)));
  return found;
}

/** Four significant digits and a true minus; a dash where there is none. @param {number} value */
export function shown(value) {
  if (value === null || !Number.isFinite(value)) return "–";
  const text = Math.abs(value) >= 1e5 || (value !== 0 && Math.abs(value) < 1e-4) ? value.toExponential(2) : String(Number(value.toPrecision(4)));
  return text.replace("-", "−");
}

/** An array that `figure.packed` wrote. @param {{f32: string}} packed */
export function unpacked(packed) {
  const bytes = Uint8Array.from(atob(packed.f32), (letter) => letter.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

/** An SVG element. @param {string} name @param {Record<string, string | number>} attributes */
export function svgElement(name, attributes = {}) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return element;
}

/** A pointer's place in a drawing's own units. @param {SVGSVGElement} svg @param {MouseEvent} event */
export function placeIn(svg, event) {
  const box = svg.getBoundingClientRect();
  const view = svg.viewBox.baseVal;
  return [((event.clientX - box.left) / box.width) * view.width, ((event.clientY - box.top) / box.height) * view.height];
}
