// A picture's data as CSV, from what the page holds.

import { csvLines } from "./csv.js";
import { unpacked } from "./scale.js";

/** @param {any} data */
export function columnsOf(data) {
  if (data.panels) return cells(data);
  if (data.lines) return points(data);
  if (data.counts) return counts(data);
  const [measured, predicted] = [unpacked(data.measured), unpacked(data.predicted)];
  const deviation = data.deviation ? unpacked(data.deviation) : null;
  const head = ["mutant", data.x.label, data.y.label, ...(deviation ? ["deviation"] : [])];
  return csvLines([head, ...data.labels.map((/** @type {string} */ name, /** @type {number} */ k) => [name, measured[k], predicted[k], ...(deviation ? [deviation[k]] : [])])]);
}

/** @param {any} data */
function cells(data) {
  const tracks = data.tracks || [];
  const panels = data.panels.map((/** @type {any} */ panel) => unpacked(panel.values));
  const rows = [["position", "residue", ...data.panels.map((/** @type {any} */ panel) => panel.name), ...tracks.map((/** @type {any} */ track) => track.name)]];
  [...data.residues].forEach((residue, row) => data.labels.forEach((/** @type {string} */ label, /** @type {number} */ k) => {
    rows.push([label, residue, ...panels.map((/** @type {Float32Array} */ values) => values[row * data.labels.length + k]), ...tracks.map((/** @type {any} */ track) => track.values[k])]);
  }));
  return csvLines(rows);
}

/** @param {any} data */
function points(data) {
  const rows = [["line", data.x.label, data.y.label]];
  for (const line of data.lines) {
    const [x, y] = [unpacked(line.x), unpacked(line.y)];
    y.forEach((value, k) => rows.push([line.name, x[k], value]));
  }
  return csvLines(rows);
}

/** @param {any} data */
function counts(data) {
  const found = unpacked(data.counts);
  const at = (/** @type {number[]} */ domain, /** @type {number} */ k) => domain[0] + ((k + 0.5) / data.cells) * (domain[1] - domain[0]);
  const rows = [[data.x.label, data.y.label, "variants"]];
  found.forEach((n, k) => {
    if (n) rows.push([at(data.x.domain, k % data.cells), at(data.y.domain, data.cells - 1 - Math.floor(k / data.cells)), n]);
  });
  return csvLines(rows);
}
