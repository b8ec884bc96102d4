// The submit page: fields write into the flags' text, the plan follows it, and what is sent is sent once.

import "./site.js";
import { api, attempt, fragment, Refused } from "./api.js";
import { seldom } from "./live.js";
import { pairs } from "./pairs.js";

const form = /** @type {HTMLFormElement} */ (document.getElementById("submit"));
const text = /** @type {HTMLTextAreaElement} */ (document.getElementById("flags"));
const plan = () => /** @type {HTMLElement} */ (document.getElementById("plan"));
const problems = /** @type {HTMLElement} */ (document.getElementById("problems"));
const fields = [.../** @type {NodeListOf<HTMLInputElement>} */ (form.querySelectorAll("[data-flag]"))];
/** What the page says of the form; `form.dataset` is its field of that name. @param {string} name */
const said = (name) => form.getAttribute(`data-${name}`) || "";
let key = crypto.randomUUID();

/** The value of a flag in the text. @param {string} name */
function valueOf(name) {
  const found = text.value.split("\n").map((line) => line.trim()).find((line) => line.split("=")[0].trim() === name);
  return found === undefined ? "" : found.slice(found.indexOf("=") + 1).trim();
}

/** Write a flag into the text; an empty value removes its line. @param {string} name @param {string} value */
function write(name, value) {
  const lines = text.value.split("\n");
  const at = lines.findIndex((line) => line.split("=")[0].trim() === name);
  if (at >= 0 && value) lines[at] = `${name}=${value}`;
  else if (at >= 0) lines.splice(at, 1);
  else if (value) lines.splice(lines[lines.length - 1] === "" ? lines.length - 1 : lines.length, 0, `${name}=${value}`);
  text.value = lines.join("\n");
}

function showFields() {
  for (const field of fields) {
    if (field === document.activeElement) continue;
    const value = valueOf(field.dataset.flag || "");
    if (field instanceof HTMLSelectElement && value && ![...field.options].some((each) => each.value === value)) field.add(new Option(value, value));
    field.value = value;
  }
}

function request() {
  const given = new FormData(form);
  const deadline = String(given.get("deadline") || "");
  return {
    flags: text.value,
    ...(given.get("dataset") ? { dataset: given.get("dataset") } : {}),
    ...(given.get("experiment_id") ? { experiment_id: given.get("experiment_id") } : {}),
    ...(given.get("group") ? { group: given.get("group") } : {}),
    ...(deadline ? { deadline: new Date(deadline).toISOString() } : {}),
    ...(given.get("held") ? { held: true } : {}),
    priority: Number(given.get("priority") || 0),
  };
}

/** Send the experiments of a sweep as a unit of a group; the group's address. @param {string} template */
async function sendSweep(template) {
  const given = new FormData(form);
  const group = await api("POST", "/groups", { name: given.get("group") || template });
  const asked = { template, flags: pairs(text.value), priority: Number(given.get("priority") || 0), ...(given.get("dataset") ? { dataset: given.get("dataset") } : {}) };
  const unit = await api("POST", `/groups/${group.group_id}/units`, asked, { "Idempotency-Key": key });
  await api("POST", `/units/${unit.unit_id}/submit`);
  return `/groups/${group.group_id}`;
}

async function send() {
  if (said("sweep")) return sendSweep(said("sweep"));
  return `/jobs/${(await api("POST", "/jobs", request(), { "Idempotency-Key": key })).job_id}`;
}

const look = seldom(async () => {
  const found = await fragment("/submit/plan", undefined, { flags: text.value, like: said("like") });
  const next = found.getElementById("plan");
  if (next) plan().replaceWith(next);
  text.setAttribute("aria-invalid", String(plan().dataset.state === "wrong"));
  const command = document.getElementById("command");
  if (command) command.textContent = [said("sweep") ? `proteinx submit --template ${said("sweep")}` : "proteinx submit", ...text.value.split("\n").map((line) => line.trim()).filter((line) => line && !line.startsWith("#")).map((line) => (/^[\w./=,:@+-]+$/.test(line) ? line : `'${line.replaceAll("'", "'\\''")}'`))].join(" \\\n  ");
}, 500);

/** @param {string[]} found */
function showProblems(found) {
  problems.replaceChildren(...found.map((each) => Object.assign(document.createElement("li"), { textContent: each })));
}

form.addEventListener("input", (event) => {
  const field = /** @type {HTMLInputElement} */ (event.target);
  key = crypto.randomUUID();
  showProblems([]);
  if (field.dataset.flag) write(field.dataset.flag, field.value.trim());
  if (field.name === "dataset") takeDataset();
  showFields();
  look();
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  const press = /** @type {HTMLButtonElement} */ (document.getElementById("send"));
  press.disabled = true;
  attempt(async () => {
    try {
      location.assign(await send());
    } catch (error) {
      if (error instanceof Refused) showProblems(error.problems.length ? error.problems : [error.message]);
      throw error;
    }
  }).then((done) => { if (!done) press.disabled = false; });
});

/** The source of a chosen data set has its name. */
function takeDataset() {
  const name = /** @type {HTMLSelectElement} */ (form.elements.namedItem("dataset")).selectedOptions[0]?.dataset.name;
  if (name) write("data.source", name.includes("#") || name !== name.trim() ? JSON.stringify(name) : name);
}

const list = /** @type {HTMLElement} */ (document.getElementById("flag-list"));
document.getElementById("find-flag")?.addEventListener("input", (event) => {
  const words = /** @type {HTMLInputElement} */ (event.target).value.toLowerCase().split(/\s+/);
  for (const line of /** @type {HTMLCollectionOf<HTMLElement>} */ (list.children)) line.hidden = !words.every((word) => (line.textContent || "").toLowerCase().includes(word));
  event.stopPropagation();
});
list.addEventListener("click", (event) => {
  const line = /** @type {HTMLElement | null} */ (event.target instanceof Element && event.target.closest("button") ? event.target.closest("li") : null);
  if (!line) return;
  const name = line.dataset.name || "";
  if (!valueOf(name)) write(name, line.dataset.default === "required" ? "" : line.dataset.default || "");
  const at = text.value.indexOf(`${name}=`);
  text.focus();
  text.setSelectionRange(at + name.length + 1, text.value.indexOf("\n", at) < 0 ? text.value.length : text.value.indexOf("\n", at));
  look();
});
takeDataset();
showFields();
look();
document.documentElement.dataset.ready = "true";
