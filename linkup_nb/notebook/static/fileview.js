// @ts-check
// One file of a drive: what it looks like at a version, what has changed, its history, and where a text began.

/** @import { DiffLine, DiffRow, DriveEntry, Requests, VersionOfFile } from "./protocol.js" */
/** @import { Blobs, Kernel } from "./kernel.js" */
/** @typedef {{drive: DriveEntry, path: string, versions: number[]}} What */

import { child, element, keyed, make, parse, parts, say, setText } from "./dom.js";
import { sentenceOf } from "./kernel.js";
import { enlarge } from "./enlarge.js";
import { openMenu } from "./popover.js";
import { AUDIO_TYPES, IMAGE_TYPES, fileName, vetted } from "./vetted.js";
import { sizeWords } from "./words.js";

const FILE_VIEW = parse(`
  <div class="lu-file-view" hidden>
    <header class="lu-file-head">
      <button type="button" class="lu-link lu-file-back" data-lu="file-back">‹ Files</button>
      <bdi class="lu-file-title" data-lu="file-title"></bdi>
      <span class="lu-faint" data-lu="file-summary"></span>
      <span class="lu-grow"></span>
      <button type="button" class="lu-link" data-lu="file-restore" hidden>Restore</button>
      <button type="button" class="lu-link" data-lu="file-save">Save</button>
      <button type="button" class="lu-icon lu-i-more" data-lu="file-more" aria-label="More" title="More"></button>
    </header>
    <div class="lu-file-body" data-lu="file-body" tabindex="0" role="group" aria-label="Contents"></div>
    <div class="lu-file-below">
      <section aria-label="History of this file"><h3>History of this file</h3>
        <div class="lu-scroll" tabindex="0" role="group" aria-label="History"><table class="lu-table"><thead><tr><th>Version</th><th>What</th><th class="lu-number">Size</th></tr></thead><tbody data-lu="file-history"></tbody></table></div></section>
      <section aria-label="Find where it began"><h3>Find where it began</h3>
        <form class="lu-find" data-lu="find-form" novalidate><input data-lu="find-text" autocomplete="off" spellcheck="false" placeholder="A text in the file" aria-label="A text in the file"><button class="lu-button lu-plain">Find</button></form>
        <p data-lu="find-note" role="status"></p></section>
    </div>
  </div>`);

const CHANGE_ROW = parse(`<tr data-lu="file-version"><td><button type="button" class="lu-cell"></button></td><td></td><td class="lu-number"></td></tr>`);
const OPERATIONS = { put: "put", link: "link", delete: "deleted" };

export class FileView {
  /** @type {What | null} */
  what = null;
  shownAs = "";
  /** @type {string[]} of the pictures or the sound that are shown */
  urls = [];

  /**
   * @param {HTMLElement} place
   * @param {Kernel} kernel
   * @param {Blobs} blobs
   * @param {{onfail: (sentence: string) => void, onexpression: (python: string) => void, onversions: (versions: number[]) => void}} options
   */
  constructor(place, kernel, blobs, options) {
    this.kernel = kernel;
    this.blobs = blobs;
    this.options = options;
    this.root = make(FILE_VIEW);
    this.parts = parts(this.root);
    this.parts["file-save"].addEventListener("click", () => this.#save());
    this.parts["file-restore"].addEventListener("click", () => this.#restore());
    this.parts["file-more"].addEventListener("click", () => this.#menu());
    this.parts["find-form"].addEventListener("submit", (event) => this.#find(event));
    this.parts["file-history"].addEventListener("click", ({ target }) => {
      const version = Number(/** @type {Element} */ (target).closest("tr")?.getAttribute("data-key"));
      if (version) this.options.onversions(this.what && this.what.versions.length > 1 ? [Math.min(version, this.what.versions[1]), Math.max(version, this.what.versions[1])] : [version]);
    });
    this.parts["file-back"].addEventListener("click", () => place.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true })));
    this.parts["file-body"].addEventListener("click", ({ target }) => target instanceof HTMLImageElement && enlarge(target));
    place.append(this.root);
  }

  /** @param {What} what */
  async show(what) {
    const { drive, path, versions } = what;
    const other = path !== this.what?.path || drive.id !== this.what.drive.id;
    const grown = drive.version !== this.what?.drive.version;
    this.what = what;
    this.root.hidden = false;
    setText(this.parts["file-title"], fileName({ name: path.split("/").at(-1) ?? "" }));
    this.parts["file-title"].title = path;
    const past = versions.length === 1 && versions[0] !== drive.version;
    this.parts["file-restore"].hidden = !past || !drive.writable;
    setText(this.parts["file-restore"], `Restore as v${drive.version + 1}`);
    if (other) say(this.parts["find-note"], "");
    if (other || grown) this.#history();
    const key = `${drive.id} ${path} ${versions.join()}`;
    if (key === this.shownAs && !other) return;
    this.shownAs = key;
    if (versions.length > 1) await this.#compare(what);
    else await this.#preview(what);
  }

  close() {
    this.what = null;
    this.shownAs = "";
    this.root.hidden = true;
    this.#clear();
  }

  #clear() {
    for (const url of this.urls) this.blobs.revoke(url);
    this.urls = [];
    this.parts["file-body"].replaceChildren();
    setText(this.parts["file-summary"], "");
  }

  /** @param {What} what */
  async #preview(what) {
    const answer = await this.#request("preview", { drive: what.drive.id, version: what.versions[0], path: what.path }, what);
    if (!answer) return;
    const { content, buffers } = answer;
    this.#clear();
    const body = this.parts["file-body"];
    if (content.kind === "html") body.append(vetted(content.html ?? ""));
    else if (content.kind === "picture" && IMAGE_TYPES.has(content.mime ?? "")) {
      const url = this.blobs.make(/** @type {BlobPart[]} */ (buffers), content.mime ?? "");
      this.urls.push(url);
      body.append(element("img", "file-picture", { src: url, alt: fileName({ name: what.path }) }));
    } else if (content.kind === "sound" && AUDIO_TYPES.has(content.mime ?? "")) {
      const url = this.blobs.make(/** @type {BlobPart[]} */ (buffers), content.mime ?? "");
      this.urls.push(url);
      body.append(element("audio", "file-sound", { src: url, controls: true }));
    }
    const stored = what.drive.writable || content.stored === 100 ? "" : content.stored ? `${content.stored} % was here` : "fetched just now";
    const about = [content.size === undefined ? "" : sizeWords(content.size), stored, content.note];
    setText(this.parts["file-summary"], about.filter(Boolean).join(" · "));
    this.options.onexpression(content.python ?? "");
  }

  /** @param {What} what */
  async #compare(what) {
    const [a, b] = what.versions;
    const answer = await this.#request("compare", { drive: what.drive.id, path: what.path, a, b }, what);
    if (!answer) return;
    this.#clear();
    setText(this.parts["file-summary"], answer.content.summary ?? "");
    const { lines = [], columns = [], differing = [], pictures, python = "" } = answer.content;
    const body = this.parts["file-body"];
    if (differing.length) body.append(diffTable(columns, differing));
    else {
      const list = element("ol", "diff");
      for (const line of lines) list.append(diffLine(line));
      body.append(list);
    }
    this.options.onexpression(python);
    if (pictures) await this.#sideBySide(what);
  }

  /** @param {What} what of pictures */
  async #sideBySide(what) {
    const pair = element("div", "pictures");
    this.parts["file-body"].prepend(pair);
    for (const version of what.versions) {
      const answer = await this.#request("preview", { drive: what.drive.id, version, path: what.path, beside: true }, what, true);
      if (!answer || !pair.isConnected) continue;
      const figure = element("figure", "side");
      if (answer.content.kind === "picture" && IMAGE_TYPES.has(answer.content.mime ?? "")) {
        const url = this.blobs.make(/** @type {BlobPart[]} */ (answer.buffers), answer.content.mime ?? "");
        this.urls.push(url);
        figure.append(element("img", "file-picture", { src: url, alt: `Version ${version}` }));
      } else figure.append(element("p", "file-note", {}, answer.content.note || "No picture."));
      figure.append(element("figcaption", "side-caption", {}, `v${version}`));
      pair.append(figure);
    }
  }

  async #history() {
    const { what } = this;
    if (!what) return;
    const answer = await this.#request("file_history", { drive: what.drive.id, path: what.path }, what, true);
    if (!answer) return;
    const changes = answer.content.changes ?? [];
    keyed(this.parts["file-history"], changes, ({ version }) => String(version), CHANGE_ROW, (row, change) => this.#showChange(row, change));
  }

  /**
   * @param {HTMLElement} row
   * @param {VersionOfFile} change
   */
  #showChange(row, { version, operation, before, after }) {
    setText(child(child(row, 0), 0), `v${version}`);
    setText(child(row, 1), operation === "put" && before === null ? "new" : OPERATIONS[operation]);
    setText(child(row, 2), after === null ? "" : sizeWords(after));
    row.ariaSelected = String(this.what?.versions.includes(version) ?? false);
  }

  /** @param {Event} event */
  async #find(event) {
    event.preventDefault();
    const { what } = this;
    const text = /** @type {HTMLInputElement} */ (this.parts["find-text"]).value;
    if (!what || !text) return;
    say(this.parts["find-note"], "Looking…");
    try {
      const { content } = await this.kernel.request("find", { drive: what.drive.id, path: what.path, text });
      say(this.parts["find-note"], content.sentence ?? "");
      if (content.found) this.options.onversions([content.found]);
    } catch (error) {
      say(this.parts["find-note"], sentenceOf(error));
    }
  }

  async #restore() {
    const { what } = this;
    if (!what) return;
    const version = what.versions[0];
    const answer = await this.#request("restore", { drive: what.drive.id, path: what.path, version }, null);
    if (answer) setText(this.parts["file-summary"], `Restored as v${answer.content.version}.`);
  }

  async #save() {
    const { what } = this;
    if (!what) return;
    const about = { drive: what.drive.id, version: what.versions.at(-1) ?? 0, path: what.path };
    /** @type {DataView[]} */
    const pieces = [];
    for (let index = 0, chunks = 1; index < chunks; index++) {
      const answer = await this.#request("read", { ...about, index }, null);
      if (!answer) return;
      chunks = answer.content.chunks ?? 1;
      pieces.push(...answer.buffers);
      if (chunks > 1) setText(this.parts["file-summary"], `Saving: ${index + 1} of ${chunks} MiB`);
    }
    const url = URL.createObjectURL(new Blob(/** @type {BlobPart[]} */ (pieces), { type: "application/octet-stream" }));
    element("a", "download", { href: url, download: fileName({ name: what.path.split("/").at(-1) ?? "file" }) }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  }

  #menu() {
    const { what } = this;
    if (!what) return;
    const about = { drive: what.drive.id, version: what.versions.at(-1) ?? 0, path: what.path };
    openMenu(this.parts["file-more"], [
      { label: "Open in the browser", pick: async () => void window.open((await this.#request("serve", about, null))?.content.link, "_blank", "noopener") },
    ], "File");
  }

  /**
   * `null` for what failed, which is said, and for the answer about what is shown no more.
   * @template {"preview" | "compare" | "file_history" | "restore" | "read" | "serve"} Type
   * @param {Type} type
   * @param {Requests[Type]} fields
   * @param {What | null} about
   * @param {boolean} [quiet]
   */
  async #request(type, fields, about, quiet = false) {
    try {
      const answer = await this.kernel.request(type, fields);
      return about && about.path !== this.what?.path ? null : answer;
    } catch (error) {
      if (quiet) return null;
      if (!about) this.options.onfail(sentenceOf(error));
      else if (about === this.what) {
        this.#clear();
        this.parts["file-body"].append(element("p", "file-note", {}, sentenceOf(error)));
      }
      return null;
    }
  }
}

/**
 * The rows that differ, with what each changed cell was.
 * @param {string[]} columns
 * @param {DiffRow[]} rows
 */
function diffTable(columns, rows) {
  const table = element("table", "diff-table", { className: "lu-table lu-diff-table" });
  const head = element("tr", "diff-head");
  head.append(element("th", "diff-sign-head", {}, ""), ...columns.map((name) => element("th", "diff-column", { dir: "auto" }, name)));
  table.append(element("thead", "diff-thead"));
  table.firstElementChild?.append(head);
  const body = element("tbody", "diff-rows");
  for (const { sign, cells } of rows) {
    const row = element("tr", "diff-row");
    row.dataset.sign = sign;
    row.append(element("td", "diff-sign", {}, { "+": "+", "-": "−", "~": "~" }[sign]));
    for (const { text, was } of cells) {
      const cell = element("td", "diff-cell", { dir: "auto" });
      if (was !== null) cell.append(element("del", "diff-was", {}, was), " ");
      cell.append(was === null ? text : element("ins", "diff-now", {}, text));
      row.append(cell);
    }
    body.append(row);
  }
  table.append(body);
  return table;
}

/** @param {DiffLine} line */
function diffLine({ sign, text }) {
  const item = element("li", "diff-line", {}, "");
  item.dataset.sign = sign;
  item.append(element("span", "diff-sign", {}, { "+": "+", "-": "−", " ": "", "@": "" }[sign]), element("code", "diff-text", { dir: "auto" }, text));
  return item;
}
