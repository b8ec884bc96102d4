// Position by residue: one panel at a time, letters that stay, an overview to jump, every cell answers.

import { placeIn, shown, svgElement, unpacked } from "./scale.js";
import { say } from "./scatter.js";

const TOP = 24;

/** @param {HTMLElement} figure @param {any} data @param {HTMLElement} answer */
export function map(figure, data, answer) {
  const strip = /** @type {HTMLElement} */ (figure.querySelector(".strip"));
  const still = /** @type {SVGSVGElement} */ (strip.querySelector("svg"));
  const panels = data.panels.map((/** @type {any} */ panel) => ({ ...panel, values: unpacked(panel.values) }));
  const columns = data.labels.length;
  const { width, height: whole } = still.viewBox.baseVal;
  const head = data.head || 0;
  const tracks = data.tracks || [];
  const foot = whole - head - panels.length * data.panel;
  // The still drawing stays as it is, for print; what answers is a view of its own that refers to it.
  const svg = /** @type {SVGSVGElement} */ (svgElement("svg", { width, role: "img", "aria-label": still.getAttribute("aria-label") || "" }));
  const beside = /** @type {SVGSVGElement} */ (svgElement("svg", { class: "beside", width: data.axis, "aria-hidden": "true" }));
  const ring = svgElement("rect", { width: data.cell, height: data.cell, class: "pinned", visibility: "hidden" });
  still.setAttribute("hidden", "");
  strip.append(svg);
  figure.querySelector(".map-frame")?.append(beside);
  /** @type {number[]} */
  let shownPanels = [];
  let pinned = false;

  const show = (/** @type {number[]} */ which) => {
    shownPanels = which;
    const height = head + which.length * data.panel + foot;
    const last = (panels.length - 1) * data.panel;
    svg.replaceChildren(...which.flatMap((panel, k) => [
      svgElement("use", { href: `#map-panel-${panel}`, y: (k - panel) * data.panel }),
      titled(panels[panel], data.axis, head + k * data.panel + 15),
    ]), ...(head ? [svgElement("use", { href: "#map-tracks" })] : []), svgElement("use", { href: "#map-positions", y: (which.length - 1) * data.panel - last }), ring);
    beside.replaceChildren(...which.map((_, k) => svgElement("use", { href: "#map-letters", y: k * data.panel })));
    for (const [each, wide] of /** @type {[SVGSVGElement, number][]} */ ([[svg, width], [beside, data.axis]])) {
      each.setAttribute("height", String(height));
      each.setAttribute("viewBox", `0 0 ${wide} ${height}`);
    }
    svg.dataset.panel = which.map((panel) => panels[panel].name).join(", ");
    ring.setAttribute("visibility", "hidden");
  };
  const cellAt = (/** @type {MouseEvent} */ event) => {
    const [px, py] = placeIn(svg, event);
    const column = Math.floor((px - data.axis) / data.cell);
    const row = Math.floor((((py - head) % data.panel) - TOP) / data.cell);
    const panel = Math.floor((py - head) / data.panel);
    const inside = py >= head && column >= 0 && column < columns && row >= 0 && row < data.residues.length && panel < shownPanels.length;
    return inside ? [column, row, panel] : null;
  };
  const tell = (/** @type {number[]} */ cell) => {
    const [column, row, panel] = cell;
    const name = data.labels[column] + data.residues[row];
    const own = row === data.wild_type[column] ? ["wild type"] : [];
    const words = panels.map((/** @type {any} */ each) => `${each.name} ${shown(each.values[row * columns + column])}`);
    const around = tracks.filter((/** @type {any} */ track) => track.values[column]).map((/** @type {any} */ track) => `${track.name.toLowerCase()} ${track.values[column]}`);
    say(answer, name, [...own, ...words, ...around].join(", "));
    ring.setAttribute("x", String(data.axis + column * data.cell));
    ring.setAttribute("y", String(head + panel * data.panel + TOP + row * data.cell));
    ring.setAttribute("visibility", "visible");
    svg.dataset.shown = name;
  };
  svg.addEventListener("pointermove", (event) => {
    const cell = cellAt(event);
    if (cell && !pinned) tell(cell);
  });
  svg.addEventListener("click", (event) => {
    const cell = cellAt(event);
    pinned = Boolean(cell) && !pinned;
    if (cell) tell(cell);
  });
  figure.querySelector(".tools")?.prepend(...tabs(panels, show));
  if (columns * data.cell > strip.clientWidth) figure.querySelector(".map-frame")?.before(overview(still, strip, data, columns));
  show([0]);
  say(answer, "", "Point at a cell; click to keep it. Dots mark the wild type; hatched: no value. Blue is above the middle of the scale, red below.");
}

/** A panel's name and the ends of its scale. @param {any} panel @param {number} x @param {number} y */
function titled(panel, x, y) {
  const text = svgElement("text", { x, y });
  text.textContent = `${panel.name}: ${shown(panel.limits[0])} (red) to ${shown(panel.limits[1])} (blue), ${panel.unit}`;
  return text;
}

/** @param {any[]} panels @param {(which: number[]) => void} show */
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
    show(k < panels.length ? [k] : panels.map((_, each) => each));
  }));
  buttons.forEach((each, k) => each.setAttribute("aria-pressed", String(k === 0)));
  return buttons;
}

/** The whole protein in one line; click to go there. @param {SVGSVGElement} still @param {HTMLElement} strip @param {any} data @param {number} columns */
function overview(still, strip, data, columns) {
  const small = svgElement("svg", { class: "overview", viewBox: `${data.axis} ${(data.head || 0) + TOP} ${columns * data.cell} ${data.cell * data.residues.length}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  const picture = still.querySelector("#map-panel-0 image");
  if (picture) small.append(picture.cloneNode());
  const here = svgElement("rect", { class: "pinned", y: (data.head || 0) + TOP + 2, height: data.cell * data.residues.length - 4, "stroke-width": 6, "vector-effect": "non-scaling-stroke" });
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
