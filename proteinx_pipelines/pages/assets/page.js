// Starts what the page holds: figures answer, tables sort. Without it the page shows the same, still.

import { columnsOf } from "./columns.js";
import { curve } from "./curve.js";
import { map } from "./map.js";
import { scatter } from "./scatter.js";
import { enliven, saveButton } from "./table.js";

/** @type {Record<string, (figure: HTMLElement, data: any, answer: HTMLElement) => void>} */
const KINDS = { curve, map, scatter };

for (const figure of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("figure[data-kind]"))) {
  const tools = document.createElement("div");
  tools.className = "tools";
  const name = figure.dataset.name || "figure";
  tools.append(saveButton("SVG", `${name}.svg`, "image/svg+xml", () => drawingOf(figure)));
  const data = figure.querySelector("script[type='application/json']");
  const values = JSON.parse(data?.textContent || "{}");
  if (data) tools.append(saveButton("CSV", `${name}.csv`, "text/csv", () => columnsOf(values)));
  const answer = document.createElement("div");
  answer.className = "answer";
  answer.setAttribute("aria-live", "polite");
  figure.querySelector(".drawing")?.before(tools);
  figure.querySelector(".drawing")?.after(answer);
  const start = KINDS[figure.dataset.kind || ""];
  if (start && data) start(figure, values, answer);
  else answer.remove();
}
document.querySelectorAll("table.live").forEach((table) => enliven(/** @type {HTMLTableElement} */ (table)));
document.documentElement.dataset.ready = "true";

/** The drawing with the style it needs outside of the page. @param {HTMLElement} figure */
function drawingOf(figure) {
  const copy = /** @type {SVGSVGElement} */ ((figure.querySelector(".drawing svg:not(.overview)"))?.cloneNode(true));
  const style = document.createElementNS("http://www.w3.org/2000/svg", "style");
  style.textContent = document.documentElement.dataset.figureStyle || "";
  copy.removeAttribute("hidden");
  copy.prepend(style);
  const hatch = document.querySelector(".hidden-defs defs");
  if (hatch) copy.prepend(hatch.cloneNode(true));
  return new XMLSerializer().serializeToString(copy);
}
