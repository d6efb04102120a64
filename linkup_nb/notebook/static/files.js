// @ts-check
// Files of messages: shown when they are near, fetched and saved when somebody wants them.

/** @import { ProgressUpdate, Row } from "./protocol.js" */
/** @import { Blobs, Kernel } from "./kernel.js" */
/** @typedef {{row: Row, node: HTMLElement, url?: string}} WithFile */

import { element, part, setText } from "./dom.js";
import { download, sentenceOf } from "./kernel.js";
import { openPopover } from "./popover.js";
import { AUDIO_TYPES, IMAGE_TYPES, fileName } from "./vetted.js";
import { sizeWords } from "./words.js";

const SAVED_WITHIN = 60_000; // ms that the browser may take to save a file

/**
 * A recording made in a browser states no length until its end has been sought.
 * @param {HTMLAudioElement} audio
 */
function settleLength(audio) {
  if (audio.duration !== Infinity) return;
  audio.addEventListener("durationchange", () => (audio.currentTime = 0), { once: true });
  audio.currentTime = Number.MAX_SAFE_INTEGER;
}

/** The files of the log of one room. */
export class Files {
  left = new AbortController();
  /** @type {string | null} */
  topic = null;

  /**
   * @param {Kernel} kernel
   * @param {Blobs} blobs
   */
  constructor(kernel, blobs) {
    this.kernel = kernel;
    this.blobs = blobs;
  }

  /** @param {string | null} topic */
  open(topic) {
    this.left.abort();
    this.left = new AbortController();
    this.topic = topic;
  }

  close() {
    this.left.abort();
  }

  /**
   * Shows an image or a player, from bytes fetched now.
   * @param {WithFile} entry
   */
  async show(entry) {
    const media = /** @type {HTMLImageElement | HTMLAudioElement | null} */ (entry.node.querySelector("img, audio"));
    const { file } = entry.row;
    if (!media || !file || media.dataset.state === "ready") return;
    const { signal } = this.left;
    media.dataset.state = "loading";
    entry.node.querySelector(".lu-failure")?.remove();
    try {
      if (file.version) await this.#load(entry.row, undefined, signal);
      const { parts, mime } = await download(this.kernel, this.topic, entry.row.id, { inline: true, signal });
      if (!(media instanceof HTMLAudioElement ? AUDIO_TYPES : IMAGE_TYPES).has(mime)) throw new Error("This is not what its sender says it is.");
      const url = (entry.url = this.blobs.make(/** @type {BlobPart[]} */ (parts), mime));
      await new Promise((resolve, reject) => {
        media.onload = media.onloadedmetadata = resolve;
        media.onerror = () => reject(new Error("This browser cannot show it."));
        media.src = url;
      });
      if (media instanceof HTMLAudioElement) settleLength(media);
      media.dataset.state = "ready";
    } catch (error) {
      if (signal.aborted) return;
      media.dataset.state = "failed";
      const failure = element("p", "failure", { className: "lu-faint lu-failure" }, `${sentenceOf(error)} `);
      failure.append(element("button", "retry", { type: "button", className: "lu-link" }, "Try again"));
      media.after(failure);
    }
  }

  /**
   * Saves an attachment on the reader's disk, as bytes of no type, under a name that shows its true end.
   * @param {WithFile} entry
   * @param {HTMLElement} button
   * @param {number} [version] another than the message names
   */
  async save({ row }, button, version) {
    const { signal } = this.left;
    if (!row.file || button.ariaDisabled === "true") return;
    button.ariaDisabled = "true"; // a button that is really disabled would lose the focus
    try {
      if (row.file.version) await this.#load(row, version, signal);
      const progress = (/** @type {number} */ share) => (button.dataset.note = `${Math.round(share * 100)} %`);
      const { parts } = await download(this.kernel, this.topic, row.id, { version, progress, signal });
      const url = this.blobs.make(/** @type {BlobPart[]} */ (parts), "application/octet-stream");
      element("a", "saved", { href: url, download: fileName(row.file) }).click();
      setTimeout(() => this.blobs.revoke(url), SAVED_WITHIN);
      delete button.dataset.note;
    } catch (error) {
      button.dataset.note = sentenceOf(error);
    }
    button.ariaDisabled = null;
  }

  /** @param {Row} row */
  stop(row) {
    if (this.topic) this.kernel.request("load_cancel", { topic: this.topic, target: row.id }, { quiet: true }).catch(() => {});
  }

  /**
   * Lists the versions of a file, each to be saved.
   * @param {WithFile} entry
   * @param {HTMLElement} button
   */
  async versions(entry, button) {
    if (!this.topic) return;
    try {
      const { content } = await this.kernel.request("versions", { topic: this.topic, target: entry.row.id }, { signal: this.left.signal });
      const found = content.versions ?? [];
      setText(button, `v${entry.row.file?.version} · ${found.length} version${found.length === 1 ? "" : "s"}`);
      const list = element("ul", "version-list", { className: "lu-list lu-version-list" });
      for (const { version, size } of found) {
        const item = element("li", "version-entry", {}, `version ${version}, ${sizeWords(size)} `);
        const save = element("button", "save-version", { type: "button", className: "lu-link" }, "Save");
        save.addEventListener("click", () => this.save(entry, save, version));
        item.append(save);
        list.append(item);
      }
      openPopover(button, list, "Versions");
    } catch (error) {
      button.dataset.note = sentenceOf(error);
    }
  }

  /**
   * @param {HTMLElement} node of the row
   * @param {ProgressUpdate} update
   */
  progress(node, { received, size, senders }) {
    const place = node.querySelector(`[data-lu="progress"]`);
    if (!(place instanceof HTMLElement)) return;
    place.hidden = received >= size;
    const bar = /** @type {HTMLProgressElement} */ (place.firstElementChild);
    bar.value = size ? received / size : 1;
    const from = senders.length ? ` · from ${senders.join(" and ")}` : "";
    setText(part(place, "progress-words"), `${sizeWords(received)} of ${sizeWords(size)}${from}`);
  }

  /**
   * Brings the file into the store, with its progress on the card.
   * @param {Row} row
   * @param {number | undefined} version
   * @param {AbortSignal} signal
   */
  async #load(row, version, signal) {
    if (this.topic) await this.kernel.request("load", { topic: this.topic, target: row.id, version }, { quiet: true, signal });
  }
}
