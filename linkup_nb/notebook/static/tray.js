// @ts-check
// Files that wait to be sent: what was pasted, dropped or chosen goes nowhere before the reader says so.

/** @import { Blobs } from "./kernel.js" */

import { child, element, make, parse, part } from "./dom.js";
import { IMAGE_TYPES, fileName } from "./vetted.js";
import { sizeWords } from "./words.js";

const ITEM = parse(`
  <li class="lu-waiting" data-lu="waiting">
    <span class="lu-i-file" aria-hidden="true"></span>
    <span class="lu-file"><bdi></bdi> <span class="lu-faint"></span></span>
    <button type="button" class="lu-link" data-lu="remove">Remove</button>
  </li>`);

/**
 * The files of a clip. Of a clip that holds text too, as a spreadsheet's cells do, its pictures only show the text: the text
 * wins. A file manager's clip holds the files' names as text.
 * @param {DataTransfer} clip
 */
export function filesOfClip(clip) {
  const lines = clip.getData("text/plain").split(/[\r\n]+/).filter((line) => line.trim());
  const isFile = (/** @type {File} */ file) =>
    !lines.length || !file.type.startsWith("image/") || lines.some((line) => line.endsWith(file.name));
  return [...clip.files].filter(isFile);
}

/** The files that wait in each room. */
export class Tray {
  /** @type {Map<string | null, File[]>} by topic */
  waiting = new Map();
  /** @type {string | null} */
  topic = null;
  /** @type {string[]} of the previews */
  urls = [];

  /**
   * @param {HTMLElement} list
   * @param {Blobs} blobs
   * @param {() => void} onremoved
   */
  constructor(list, blobs, onremoved) {
    this.list = list;
    this.blobs = blobs;
    this.onremoved = onremoved;
  }

  /** @param {string | null} topic */
  open(topic) {
    this.topic = topic;
    this.#show();
  }

  /**
   * @param {string | null} topic
   * @param {File[]} files
   */
  add(topic, files) {
    this.waiting.set(topic, [...(this.waiting.get(topic) ?? []), ...files]);
    this.#show();
  }

  /** The files of the room that is open, which wait here no more. */
  take() {
    const files = this.waiting.get(this.topic) ?? [];
    this.waiting.delete(this.topic);
    this.#show();
    return files;
  }

  #show() {
    const files = this.waiting.get(this.topic) ?? [];
    for (const url of this.urls) this.blobs.revoke(url);
    this.urls = [];
    this.list.replaceChildren(...files.map((file) => this.#build(file)));
    this.list.hidden = !files.length;
  }

  /** @param {File} file */
  #build(file) {
    const item = make(ITEM);
    const about = child(item, 1);
    const name = fileName(file);
    if (IMAGE_TYPES.has(file.type)) child(item, 0).replaceWith(this.#preview(file));
    child(about, 0).textContent = name;
    child(about, 1).textContent = `${sizeWords(file.size)} · not sent yet`;
    const remove = part(item, "remove");
    remove.ariaLabel = `Remove ${name}`;
    remove.addEventListener("click", () => {
      this.waiting.set(this.topic, (this.waiting.get(this.topic) ?? []).filter((other) => other !== file));
      this.#show();
      this.onremoved();
    });
    return item;
  }

  /** @param {File} file */
  #preview(file) {
    const url = this.blobs.make([file], file.type);
    this.urls.push(url);
    return element("img", "preview", { src: url, alt: "" });
  }
}
