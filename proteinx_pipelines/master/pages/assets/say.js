// Texts in the page's language, which the page brings with it.

/** @type {Record<string, string>} */
const texts = JSON.parse(document.getElementById("words")?.textContent || "{}");

/** The text of a key; with `n` of 1 its singular where there is one. @param {string} key @param {Record<string, any>} values */
export function say(key, values = {}) {
  const text = (values.n === 1 && texts[`${key}.one`]) || texts[key] || key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

const STEPS = /** @type {[number, string][]} */ ([[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]]);

/** How long ago, in the largest unit; the same words as the server's. @param {string} time */
export function ago(time) {
  const seconds = (Date.now() - Date.parse(time)) / 1000;
  if (seconds < 5) return say("ago.now");
  const [size, unit] = STEPS.find((step) => seconds >= step[0]) || STEPS[3];
  return say(`ago.${unit}`, { n: Math.floor(seconds / size) });
}

/** A duration in its two largest units. @param {number} seconds */
export function duration(seconds) {
  if (seconds < 60) return say("duration.seconds", { n: seconds < 9.95 ? seconds.toFixed(1) : seconds.toFixed(0) });
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return say("duration.minutes", { n: minutes, s: Math.round(seconds % 60) });
  return say("duration.hours", { n: Math.floor(minutes / 60), m: minutes % 60 });
}

/** Bytes in a unit that fits. @param {number} bytes */
export function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let k = 0;
  for (; bytes >= 1000 && k < units.length - 1; k += 1) bytes /= 1000;
  return `${k && bytes < 100 ? bytes.toFixed(1) : Math.round(bytes)} ${units[k]}`;
}
