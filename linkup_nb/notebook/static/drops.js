// @ts-check
// What is pasted and dropped anywhere in the panel.

import { isEditable } from "./focus.js";
import { filesOfClip } from "./tray.js";

/**
 * Hands on what is pasted or dropped in `root`, and keeps it from the notebook around it.
 * @param {HTMLElement} root
 * @param {{wanted: () => boolean, typing: () => boolean, onfiles: (files: File[]) => void, ontext: (text: string) => void}} options `wanted` whether
 *   what is shown takes anything, `typing` whether text belongs where the focus is
 */
export function takeDrops(root, { wanted, typing, onfiles, ontext }) {
  root.addEventListener("paste", (event) => {
    event.stopPropagation();
    const clip = event.clipboardData;
    if (!clip || !wanted()) return;
    const files = filesOfClip(clip);
    const text = isEditable(event.target) || typing() ? "" : clip.getData("text/plain");
    if (!files.length && !text) return;
    event.preventDefault();
    if (files.length) onfiles(files);
    else ontext(text);
  });
  for (const type of /** @type {const} */ (["dragover", "dragleave", "drop"])) {
    root.addEventListener(type, (event) => {
      if (!event.dataTransfer?.types.includes("Files") || !wanted()) return;
      event.preventDefault();
      event.stopPropagation();
      root.classList.toggle("lu-dropping", event.type === "dragover");
      if (event.type === "drop") onfiles([...event.dataTransfer.files]);
    });
  }
}
