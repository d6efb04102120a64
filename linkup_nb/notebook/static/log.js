// @ts-check
// The messages of one room.

/** @import { Row, Typesetter } from "./protocol.js" */
/** @import { Blobs, Kernel } from "./kernel.js" */
/** @typedef {{row: Row, node: HTMLElement, url?: string}} Shown */

import { child, copyText, element, part, say, setAvatar, setText } from "./dom.js";
import { download, sentenceOf } from "./kernel.js";
import { draw } from "./math.js";
import { buildDay, buildDivider, buildRow, sameAuthor } from "./row.js";
import { fileName, mediaType } from "./vetted.js";
import { dateOf, dayNumber, dayWords, deliveryWords } from "./words.js";

const SEEN_EVERY = 300; // ms
const SAVED_WITHIN = 60_000; // ms that the browser may take to save a file
const GROUP_WITHIN = 5 * 60_000; // ms between rows of one author that share a head
const END_SLACK = 24; // px from the end that still count as the end
const BLOCK = 50; // rows that are laid out, or left out of the layout, together
const QUIET_BATCH = 20; // more rows than this at once are not read out to screen readers

/**
 * A recording made in a browser states no length until its end has been sought.
 * @param {HTMLAudioElement} audio
 */
function settleLength(audio) {
  if (audio.duration !== Infinity) return;
  audio.addEventListener("durationchange", () => (audio.currentTime = 0), { once: true });
  audio.currentTime = Number.MAX_SAFE_INTEGER;
}

/** The messages of one room, and where in them the reader is. */
export class Log {
  /** @type {Map<number, Shown>} by seq */
  shown = new Map();
  /** @type {Row | null} the one that came last */
  last = null;
  /** @type {{node: HTMLElement, seq: number} | null} */
  divider = null;
  atEnd = true;
  visible = false;
  missed = 0;
  readTo = -1;
  top = 0; // px, where the reader was last, in rows of
  height = 0; // px
  /** @type {number | null} */
  selected = null;
  /** @type {HTMLElement | null} the last one */
  block = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  seenTimer = undefined;
  left = new AbortController();
  sizes = new ResizeObserver(() => this.#keepPlace());
  /** @type {string | null} */
  topic = null;

  /**
   * @param {Record<string, HTMLElement>} parts
   * @param {Kernel} kernel
   * @param {Blobs} blobs
   * @param {{onread: (seq: number) => void, onselect: (seq: number) => void, typesetter?: Typesetter | null}} options
   */
  constructor(parts, kernel, blobs, { onread, onselect, typesetter }) {
    this.kernel = kernel;
    this.blobs = blobs;
    this.typesetter = typesetter;
    this.onread = onread;
    this.onselect = onselect;
    this.scroller = parts.log;
    this.rows = child(this.scroller, 0);
    this.pill = parts["new-pill"];
    this.pill.addEventListener("click", () => this.toEnd());
    this.scroller.addEventListener("scroll", () => this.#onScroll(), { passive: true });
    this.scroller.addEventListener("keydown", (event) => this.#onKey(event));
    this.rows.addEventListener("click", (event) => this.#onClick(event));
    this.nearby = new IntersectionObserver((entries) => this.#onNearby(entries), { root: this.scroller, rootMargin: "400px" });
    this.sizes.observe(this.scroller);
    this.sizes.observe(this.rows);
  }

  get empty() {
    return this.shown.size === 0;
  }

  /** Whether somebody is looking at the end. */
  get present() {
    return this.atEnd && this.visible;
  }

  /**
   * Empties the log for `topic`.
   * @param {string | null} topic
   * @param {number | null | undefined} seen the row up to which it was read before, none when all of it was
   */
  reset(topic, seen) {
    this.left.abort();
    this.left = new AbortController();
    clearTimeout(this.seenTimer);
    this.seenTimer = undefined;
    this.nearby.disconnect();
    for (const { url } of this.shown.values()) this.blobs.revoke(url);
    this.shown.clear();
    this.rows.replaceChildren();
    this.last = null;
    this.divider = null;
    this.missed = 0;
    this.readTo = seen ?? Infinity;
    this.topic = topic;
    this.toEnd();
  }

  /**
   * Appends rows.
   * @param {Row[]} rows
   * @param {boolean} live whether they came after this view
   */
  add(rows, live) {
    this.scroller.ariaLive = live && rows.length <= QUIET_BATCH ? "polite" : "off";
    const blocks = document.createDocumentFragment();
    for (const row of rows) {
      if (!this.block || this.shown.size % BLOCK === 0) this.block = blocks.appendChild(element("div", "block"));
      this.#append(this.block, row, live);
    }
    this.rows.append(blocks);
    if (live && rows.some((row) => row.own)) this.toEnd();
    this.#markRead(live);
  }

  /** To be called when the rows from before this view are complete. */
  replayed() {
    if (this.readTo === Infinity) this.readTo = -1;
    this.#markRead(true);
  }

  /**
   * Forgets the rows before `oldest`, as the kernel has.
   * @param {number} oldest
   */
  drop(oldest) {
    for (const [seq, { node, url }] of this.shown) {
      if (seq >= oldest) break;
      const block = node.parentElement;
      this.blobs.revoke(url);
      while (block && block.firstChild !== node) block.firstChild?.remove();
      node.remove();
      if (!block?.firstChild) block?.remove();
      this.shown.delete(seq);
    }
    const first = this.shown.values().next().value;
    if (first?.node.classList.contains("lu-grouped")) {
      first.node.classList.remove("lu-grouped");
      setAvatar(child(first.node, 0), first.row);
    }
    if (first && !first.node.previousSibling) first.node.before(buildDay(dateOf(first.row)));
  }

  /**
   * @param {number} seq
   * @param {number} recipients
   */
  delivered(seq, recipients) {
    const entry = this.shown.get(seq);
    if (entry) setText(part(entry.node, "delivery"), deliveryWords(recipients));
  }

  /** @param {number | null} seq */
  select(seq) {
    if (seq === this.selected) return;
    this.shown.get(this.selected ?? -1)?.node.removeAttribute("aria-current");
    this.selected = seq;
    this.shown.get(seq ?? -1)?.node.setAttribute("aria-current", "true");
  }

  /** @param {boolean} visible */
  setVisible(visible) {
    this.visible = visible;
    this.#markRead(true);
  }

  toEnd() {
    this.#setAtEnd(true);
    this.#keepPlace();
  }

  close() {
    this.left.abort();
    clearTimeout(this.seenTimer);
    this.sizes.disconnect();
    this.nearby.disconnect();
  }

  /**
   * @param {HTMLElement} block
   * @param {Row} row
   * @param {boolean} live
   */
  #append(block, row, live) {
    const date = dateOf(row);
    const before = this.last;
    const newDay = !before || dayNumber(dateOf(before)) !== dayNumber(date);
    const divides = this.#divides(row, live);
    const grouped = !newDay && !divides && sameAuthor(before, row) && row.time - before.time < GROUP_WITHIN;
    const node = buildRow(row, date, grouped);
    if (row.seq === this.selected) node.setAttribute("aria-current", "true");
    if (live && !this.present && !row.own && row.kind !== "notice") this.missed += 1;
    if (newDay) block.append(this.#newDay(date));
    if (divides) block.append(this.#newDivider(row.seq));
    block.append(node);
    this.shown.set(row.seq, { row, node });
    this.last = row;
    if (node.querySelector("img, audio, .lu-math")) this.nearby.observe(node);
  }

  /**
   * Whether the "New" line belongs before this row.
   * @param {Row} row
   * @param {boolean} live
   */
  #divides(row, live) {
    if (row.own || row.kind === "notice" || row.seq <= this.readTo || this.readTo === Infinity) return false;
    return live ? !this.present && !(this.divider && this.divider.seq > this.readTo) : !this.divider;
  }

  /** @param {number} seq */
  #newDivider(seq) {
    this.divider?.node.remove();
    this.divider = { seq, node: buildDivider("new-divider", "New") };
    return this.divider.node;
  }

  /** @param {Date} date */
  #newDay(date) {
    const days = /** @type {NodeListOf<HTMLElement>} */ (this.rows.querySelectorAll(".lu-day"));
    for (const day of days) setText(day, dayWords(new Date(Number(day.dataset.time))));
    return buildDay(date);
  }

  /** @param {boolean} live */
  #markRead(live) {
    if (live && this.present && this.last && this.last.seq > this.readTo) {
      this.readTo = this.last.seq;
      this.seenTimer ||= setTimeout(() => {
        this.seenTimer = undefined;
        this.onread(this.readTo);
      }, SEEN_EVERY);
    }
    if (this.present) this.missed = 0;
    say(this.pill, this.missed && !this.atEnd ? `${this.missed} new message${this.missed === 1 ? "" : "s"} ↓` : "");
  }

  /** @param {boolean} atEnd */
  #setAtEnd(atEnd) {
    this.atEnd = atEnd;
    this.scroller.classList.toggle("lu-at-end", atEnd);
    this.#markRead(true);
  }

  /** Runs before each frame in which rows came, went or changed their height, or the log did. */
  #keepPlace() {
    if (this.atEnd) this.scroller.scrollTop = this.scroller.scrollHeight;
    else if (this.scroller.scrollTop === 0) this.scroller.scrollTop = this.top; // it was out of the document meanwhile
    this.top = this.scroller.scrollTop;
    this.height = this.scroller.scrollHeight;
  }

  /** Only the reader's own move upwards leaves the end; rows that grow or shrink do not. */
  #onScroll() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    if (!clientHeight) return;
    const shrunk = Math.max(0, this.height - scrollHeight);
    if (scrollHeight - scrollTop - clientHeight <= END_SLACK) this.#setAtEnd(true);
    else if (scrollTop < this.top - shrunk - 1) this.#setAtEnd(false);
    this.top = scrollTop;
    this.height = scrollHeight;
  }

  /** @param {MouseEvent} event */
  #onClick(event) {
    const target = /** @type {Element} */ (event.target);
    const entry = this.#entryOf(target);
    if (!entry) return;
    const button = target.closest("button");
    if (button?.dataset.lu === "copy-code") copyText(button.previousElementSibling?.textContent ?? "", button);
    else if (button?.dataset.lu === "download") this.#save(entry.row, button);
    else if (button?.dataset.lu === "retry") this.#load(entry);
    else if (!target.closest("a, audio") && getSelection()?.isCollapsed) this.#pick(entry.row);
  }

  /** @param {Element} target */
  #entryOf(target) {
    const node = /** @type {HTMLElement | null} */ (target.closest(".lu-row"));
    return this.shown.get(Number(node?.dataset.seq));
  }

  /** @param {Row} row */
  #pick(row) {
    if (row.kind !== "notice") this.onselect(row.seq);
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const entry = this.#entryOf(/** @type {Element} */ (event.target));
    if (event.target !== (entry?.node ?? this.scroller)) return;
    if (entry && (event.key === "Enter" || event.key === " ")) this.#pick(entry.row);
    else if (event.key === "ArrowUp") this.shown.get(entry ? entry.row.seq - 1 : (this.last?.seq ?? -1))?.node.focus();
    else if (event.key === "ArrowDown" && entry) this.shown.get(entry.row.seq + 1)?.node.focus();
    else if (event.key === "End") this.toEnd();
    else return;
    event.preventDefault();
  }

  /** @param {IntersectionObserverEntry[]} entries */
  #onNearby(entries) {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      this.nearby.unobserve(target);
      const entry = this.#entryOf(target);
      if (entry?.row.file) this.#load(entry);
      else if (entry) draw(part(entry.node, "body"), this.typesetter);
    }
  }

  /**
   * Shows an image or a player, from bytes fetched now that the row is near.
   * @param {Shown} entry
   */
  async #load(entry) {
    const media = /** @type {HTMLImageElement | HTMLAudioElement | null} */ (entry.node.querySelector("img, audio"));
    const { file } = entry.row;
    if (!media || !file) return;
    const { signal } = this.left;
    media.dataset.state = "loading";
    entry.node.querySelector(".lu-failure")?.remove();
    try {
      const parts = await download(this.kernel, this.topic, entry.row.seq, () => {}, signal);
      const url = (entry.url = this.blobs.make(/** @type {BlobPart[]} */ (parts), mediaType(file)));
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
   * @param {Row} row
   * @param {HTMLButtonElement} button
   */
  async #save({ seq, file }, button) {
    const { signal } = this.left;
    if (!file) return;
    if (button.ariaDisabled === "true") return;
    button.ariaDisabled = "true"; // a button that is really disabled would lose the focus
    try {
      /** @param {number} share */
      const progress = (share) => (button.dataset.note = `${Math.round(share * 100)} %`);
      const parts = await download(this.kernel, this.topic, seq, progress, signal);
      const url = this.blobs.make(/** @type {BlobPart[]} */ (parts), "application/octet-stream");
      element("a", "saved", { href: url, download: fileName(file) }).click();
      setTimeout(() => this.blobs.revoke(url), SAVED_WITHIN);
      delete button.dataset.note;
    } catch (error) {
      button.dataset.note = sentenceOf(error);
    }
    button.ariaDisabled = null;
  }
}
