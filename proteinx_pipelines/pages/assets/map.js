// Position by residue: one panel at a time, letters that stay, an overview to jump, every cell answers.

import { placeIn, shown, svgElement, unpacked } from "./scale.js";
import { say } from "./scatter.js";

const TOP = 24;

/** @param {HTMLElement} figure @param {any} data @param {HTMLElement} answer */
export function map(figure, data, answer) {
  const strip = /** @type {HTMLElement} */ (figure.querySelector(".strip"));
  const svg = /** @type {SVGSVGElement} */ (strip.querySelector("svg"));
  const panels = data.panels.map((/** @type {any} */ panel) => ({ ...panel, values: unpacked(panel.values) }));
  const columns = data.labels.length;
  const foot = svg.viewBox.baseVal.height - panels.length * data.panel;
  const ring = svgElement("rect", { width: data.cell, height: data.cell, class: "pinned", visibility: "hidden" });
  svg.append(ring);
  const beside = lettersOf(svg, data);
  figure.querySelector(".map-frame")?.append(beside);
  let pinned = false;

  const show = (/** @type {number} */ which) => {
    // A window onto the drawing: the panel itself, and the positions' names below the last one.
    const one = which >= 0;
    const body = svg.querySelectorAll("[data-panel]");
    body.forEach((each, k) => each.setAttribute("visibility", !one || k === which ? "visible" : "hidden"));
    const names = svg.querySelector("[data-positions]");
    const lift = one ? (panels.length - 1) * data.panel : 0;
    body.forEach((each, k) => each.setAttribute("transform", `translate(0 ${one ? -k * data.panel : 0})`));
    names?.setAttribute("transform", `translate(0 ${-lift})`);
    const height = (one ? data.panel : panels.length * data.panel) + foot;
    for (const each of [svg, beside]) {
      each.setAttribute("height", String(height));
      each.setAttribute("viewBox", `0 0 ${each.viewBox.baseVal.width} ${height}`);
    }
    svg.dataset.panel = one ? panels[which].name : "all";
    ring.setAttribute("visibility", "hidden");
  };
  const cellAt = (/** @type {PointerEvent} */ event) => {
    const [px, py] = placeIn(svg, event);
    const column = Math.floor((px - data.axis) / data.cell);
    const row = Math.floor(((py % data.panel) - TOP) / data.cell);
    return column >= 0 && column < columns && row >= 0 && row < data.residues.length ? [column, row, Math.floor(py / data.panel)] : null;
  };
  const tell = (/** @type {number[]} */ cell) => {
    const [column, row, panel] = cell;
    const name = data.labels[column] + data.residues[row];
    const own = row === data.wild_type[column] ? ["wild type"] : [];
    const words = panels.map((/** @type {any} */ each) => `${each.name} ${shown(each.values[row * columns + column])}`);
    say(answer, name, [...own, ...words].join(", "));
    ring.setAttribute("x", String(data.axis + column * data.cell));
    ring.setAttribute("y", String(panel * data.panel + TOP + row * data.cell));
    ring.setAttribute("visibility", "visible");
    svg.dataset.shown = name;
  };
  svg.addEventListener("pointermove", (event) => {
    const cell = cellAt(event);
    if (cell && !pinned) tell(cell);
  });
  svg.addEventListener("click", (event) => {
    const cell = cellAt(/** @type {PointerEvent} */ (event));
    pinned = Boolean(cell) && !pinned;
    if (cell) tell(cell);
  });
  figure.querySelector(".tools")?.prepend(...tabs(panels, show));
  if (columns * data.cell > strip.clientWidth) strip.before(overview(svg, strip, data, columns));
  show(0);
  say(answer, "", "Point at a cell; click to keep it. Dots mark the wild type; hatched: no value. Blue is above the middle of the scale, red below.");
}

/** @param {any[]} panels @param {(which: number) => void} show */
function tabs(panels, show) {
  const names = [...panels.map((panel) => panel.name), "all"];
  if (panels.length < 2) return [];
  const buttons = names.map((name) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    return button;
  });
  buttons.forEach((button, k) => button.addEventListener("click", () => {
    buttons.forEach((each) => each.setAttribute("aria-pressed", String(each === button)));
    show(k < panels.length ? k : -1);
  }));
  buttons.forEach((each, k) => each.setAttribute("aria-pressed", String(k === 0)));
  return buttons;
}

/** The residues' letters, which stay where they are while the strip scrolls. @param {SVGSVGElement} svg @param {any} data */
function lettersOf(svg, data) {
  const copy = /** @type {SVGSVGElement} */ (svgElement("svg", { class: "beside", width: data.axis, viewBox: `0 0 ${data.axis} ${svg.viewBox.baseVal.height}`, "aria-hidden": "true" }));
  copy.append(svgElement("use", { href: "#map-letters" }));
  return copy;
}

/** The whole protein in one line; click to go there. @param {SVGSVGElement} svg @param {HTMLElement} strip @param {any} data @param {number} columns */
function overview(svg, strip, data, columns) {
  const small = svgElement("svg", { class: "overview", viewBox: `${data.axis} ${TOP} ${columns * data.cell} ${data.cell * data.residues.length}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  const picture = svg.querySelector("image");
  if (picture) small.append(picture.cloneNode());
  const here = svgElement("rect", { class: "pinned", y: TOP + 2, height: data.cell * data.residues.length - 4, "stroke-width": 6, "vector-effect": "non-scaling-stroke" });
  small.append(here);
  const place = () => {
    here.setAttribute("x", String(data.axis + strip.scrollLeft));
    here.setAttribute("width", String(strip.clientWidth));
  };
  strip.addEventListener("scroll", place);
  small.addEventListener("click", (event) => {
    const box = small.getBoundingClientRect();
    const share = (/** @type {MouseEvent} */ (event).clientX - box.left) / box.width;
    strip.scrollLeft = share * columns * data.cell - strip.clientWidth / 2;
  });
  place();
  return small;
}
