// Flags as people type them: lines name=value.

import { Refused } from "./api.js";
import { say } from "./say.js";

/** Lines `name=value` as an object; a value is JSON where it reads as JSON. @param {string} text */
export function pairs(text) {
  const found = /** @type {Record<string, any>} */ ({});
  for (const line of text.split("\n").map((each) => each.trim()).filter((each) => each && !each.startsWith("#"))) {
    const [name, value] = [line.slice(0, line.indexOf("=")).trim(), line.slice(line.indexOf("=") + 1).trim()];
    if (!line.includes("=")) throw new Refused(0, { detail: say("no_pair", { line }) });
    try { found[name] = JSON.parse(value); } catch { found[name] = value; }
  }
  return found;
}
