// @ts-check
// The files of a folder: as many rows as are seen, of as many files as there are.

/** @import { FileEntry } from "./protocol.js" */

import { child, keyed, make, parse, setText } from "./dom.js";
import { fileName } from "./vetted.js";
import { sizeWords } from "./words.js";

const FILE_HIGH = 28; // px of a row
const FILES_AHEAD = 8; // rows drawn above and below what is seen

const FILE_LIST = parse(`<ul class="lu-files" data-lu="files" aria-label="Files"></ul>`);
const FILE = parse(`<li><button type="button" class="lu-file-row"><span class="lu-file-sign" aria-hidden="true"></span><bdi></bdi><span class="lu-faint"></span><span class="lu-change"></span></button></li>`);

const SIGNS = /** @type {Record<FileEntry["change"], string>} */ ({ "": "", "+": "+", "-": "−", "~": "~" });
const SIGN_WORDS = /** @type {Record<FileEntry["change"], string>} */ ({ "": "", "+": "added", "-": "removed", "~": "changed" });

export class FileList {
  /** @type {FileEntry[]} */
  files = [];
  /** @type {string | null} the path of the file that is shown beside */
  current = null;
  list = make(FILE_LIST);

  /**
   * @param {HTMLElement} place where it stands
   * @param {HTMLElement} scroller what scrolls it
   * @param {{onenter: (folder: string) => void, onselect: (path: string) => void}} options
   */
  constructor(place, scroller, options) {
    this.scroller = scroller;
    place.replaceWith(this.list);
    this.list.addEventListener("click", ({ target }) => {
      const file = this.files[Number(/** @type {Element} */ (target).closest("li")?.dataset.at)];
      if (file?.folder) options.onenter(file.path);
      else if (file) options.onselect(file.path);
    });
    this.list.addEventListener("keydown", (event) => this.#walk(event));
    scroller.addEventListener("scroll", () => this.#draw(), { passive: true });
    new ResizeObserver(() => this.#draw()).observe(scroller);
  }

  /** @param {FileEntry[]} files */
  show(files) {
    this.files = files;
    this.list.style.height = `${files.length * FILE_HIGH}px`;
    this.#draw();
  }

  /** @param {string | null} path */
  mark(path) {
    this.current = path;
    this.#draw();
  }

  #draw() {
    const above = this.scroller.scrollTop - this.list.offsetTop;
    const first = Math.max(0, Math.floor(above / FILE_HIGH) - FILES_AHEAD);
    const count = Math.ceil(this.scroller.clientHeight / FILE_HIGH) + 2 * FILES_AHEAD;
    // Who walks by keys stays where they are, however far the list is scrolled.
    const focused = /** @type {HTMLElement | null} */ (this.list.querySelector("li:focus-within"));
    const kept = focused ? this.files[Number(focused.dataset.at)] : undefined;
    const seen = this.files.slice(first, first + count);
    const at = kept && keyOf(kept) === focused?.dataset.key && !seen.includes(kept) ? this.files.indexOf(kept) : -1;
    const places = seen.map((_, index) => first + index).concat(at < 0 ? [] : [at]).sort((a, b) => a - b);
    keyed(this.list, places, (place) => keyOf(this.files[place]), FILE, (item, place) => this.#showFile(item, place));
  }

  /**
   * @param {HTMLElement} item
   * @param {number} place
   */
  #showFile(item, place) {
    const file = this.files[place];
    const button = child(item, 0);
    item.dataset.at = String(place);
    item.style.top = `${place * FILE_HIGH}px`;
    item.ariaPosInSet = String(place + 1);
    item.ariaSetSize = String(this.files.length);
    button.setAttribute("aria-current", String(file.path === this.current && !file.folder));
    button.title = fileName({ name: file.path }) + (file.folder ? "" : `, v${file.version}`);
    setText(child(button, 0), file.folder ? "▸" : "");
    setText(child(button, 1), fileName(file));
    setText(child(button, 2), file.folder ? "" : sizeWords(file.size));
    setText(child(button, 3), SIGNS[file.change]);
    child(button, 3).dataset.change = file.change;
    child(button, 3).title = SIGN_WORDS[file.change];
  }

  /** @param {KeyboardEvent} event */
  #walk(event) {
    const at = Number(/** @type {Element} */ (event.target).closest("li")?.dataset.at);
    const last = this.files.length - 1;
    const page = Math.max(1, Math.floor(this.scroller.clientHeight / FILE_HIGH) - 1);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: last, PageDown: Math.min(last, at + page), PageUp: Math.max(0, at - page) }[event.key];
    if (to === undefined || !this.files[to]) return;
    event.preventDefault();
    const [top, room] = [this.list.offsetTop + to * FILE_HIGH, this.scroller.clientHeight - FILE_HIGH];
    this.scroller.scrollTop = Math.max(top - room, Math.min(this.scroller.scrollTop, top));
    this.#draw();
    /** @type {HTMLElement | null} */ (this.list.querySelector(`li[data-at="${to}"] button`))?.focus({ preventScroll: true });
  }
}

/** @param {FileEntry} file */
function keyOf({ path, folder }) {
  return `${folder} ${path}`;
}
