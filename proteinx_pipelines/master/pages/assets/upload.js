// Files on their way to the Master: one line each with its progress, what the checks say, and a way to stop it.

import { button } from "./api.js";
import { say, size } from "./say.js";

/** Send a file as a data set. @param {File} file @param {URLSearchParams} options @param {HTMLElement} list @param {number} most @param {(made: any) => void} done */
export function upload(file, options, list, most, done) {
  const line = document.createElement("li");
  const name = Object.assign(document.createElement("b"), { textContent: file.name });
  const bar = document.createElement("progress");
  const told = document.createElement("span");
  bar.max = 1;
  bar.value = 0;
  bar.setAttribute("aria-label", say("upload_progress", { name: file.name }));
  told.className = "soft";
  line.append(name, " ", bar, " ", told);
  list.prepend(line);
  const refuse = (/** @type {string} */ detail, /** @type {string[]} */ problems = []) => {
    line.dataset.state = "refused";
    bar.remove();
    told.className = "bad";
    told.textContent = detail;
    if (problems.length) line.append(listOf(problems));
    stop.remove();
  };
  const request = new XMLHttpRequest();
  const stop = button(say("stop"), () => request.abort(), say("stop_upload", { name: file.name }));
  line.append(" ", stop);
  if (file.size > most) { refuse(say("too_large", { size: size(file.size), most: size(most) })); return; }
  const query = new URLSearchParams(options);
  query.set("file_name", file.name);
  request.open("POST", `/api/datasets?${query}`);
  request.setRequestHeader("Content-Type", "application/octet-stream");
  request.upload.addEventListener("progress", (event) => {
    bar.value = event.loaded / (event.total || 1);
    told.textContent = say("upload_sent", { sent: size(event.loaded), of: size(event.total) });
  });
  request.upload.addEventListener("load", () => { bar.removeAttribute("value"); told.textContent = say("checking"); });
  request.addEventListener("abort", () => refuse(say("stopped")));
  request.addEventListener("error", () => refuse(say("unreachable")));
  request.addEventListener("load", () => {
    let found = /** @type {any} */ ({});
    try { found = JSON.parse(request.responseText); } catch { /* told below */ }
    if (request.status >= 300) { refuse(found.detail || say("refused", { status: request.status }), found.problems || []); return; }
    line.dataset.state = "done";
    bar.remove();
    stop.remove();
    const link = Object.assign(document.createElement("a"), { href: `/datasets/${found.dataset_id}`, textContent: say("look_at", { name: found.name }) });
    told.textContent = say(request.status === 200 ? "was_there" : "uploaded", { n: found.rows, version: found.version });
    line.append(" ", link);
    if (found.problems?.length) line.append(listOf(found.problems));
    done(found);
  });
  request.send(file);
}

/** @param {string[]} texts */
function listOf(texts) {
  const list = document.createElement("ul");
  list.append(...texts.slice(0, 20).map((text) => Object.assign(document.createElement("li"), { textContent: text })));
  return list;
}
