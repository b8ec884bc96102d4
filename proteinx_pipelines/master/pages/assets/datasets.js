// The data sets page: files dropped anywhere on it, or chosen.

import "./site.js";
import { refreshPart, startPart } from "./part.js";
import { upload } from "./upload.js";

const drop = /** @type {HTMLFormElement | null} */ (document.getElementById("drop"));
const input = /** @type {HTMLInputElement | null} */ (document.getElementById("file"));
const list = /** @type {HTMLElement} */ (document.getElementById("uploads"));

/** @param {FileList | null | undefined} files */
function take(files) {
  if (!drop || !files) return;
  const options = new URLSearchParams();
  for (const [name, value] of new FormData(drop)) if (typeof value === "string" && value.trim()) options.append(name, value.trim());
  for (const file of files) {
    const own = new URLSearchParams(options);
    if (files.length > 1) own.delete("name");
    upload(file, own, list, Number(drop.dataset.most), () => refreshPart());
  }
}
if (drop && input) {
  input.addEventListener("change", () => { take(input.files); input.value = ""; });
  drop.addEventListener("submit", (event) => event.preventDefault());
  const holdsFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => { if (holdsFiles(event)) { event.preventDefault(); drop.classList.add("over"); } });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); });
  document.addEventListener("drop", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    drop.classList.remove("over");
    take(event.dataTransfer?.files);
  });
}
startPart();
