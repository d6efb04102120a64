// @ts-check
// The messages of one room or channel: a window of them, and where in it the reader is.

/** @import { ProgressUpdate, Row, Rows, Typesetter } from "./protocol.js" */
/** @import { Blobs, Kernel } from "./kernel.js" */
/** @import { Voice } from "./voice.js" */
/** @import { Shown } from "./sheet.js" */

import { Actions } from "./actions.js";
import { child, part, say } from "./dom.js";
import { Files } from "./files.js";
import { listenToRows } from "./gestures.js";
import { RESEND } from "./kernel.js";
import { draw } from "./math.js";
import { Reading } from "./reading.js";
import { Mentions } from "./mentions.js";
import { buildRow } from "./row.js";
import { Sheet } from "./sheet.js";
import { dateOf, earlierWords } from "./words.js";

const END_SLACK = 24; // px from the end that still count as the end
const NEAR = 800; // px from the first or last row at which more are asked for
const PAGE_ROWS = 60; // rows that are asked for at once
const MAX_LOADED = 10_000; // rows in the page; beyond, those at the far end are let go
const MARKED_FOR = 2_000; // ms for which a row that was jumped to is marked

export class Log {
  atEnd = true;
  visible = false;
  unreadInAll = 0;
  /** @type {Row[]} that came above what is seen */
  earlier = [];
  /** @type {{id: string | null} | null} where the reader was before a jump; without an id at the end */
  origin = null;
  top = 0; // px, where the reader was last, in rows of
  height = 0; // px
  /** @type {string | null} */
  selected = null;
  /** @type {"before" | "after" | "around" | null} what is being asked for */
  asking = null;
  sizes = new ResizeObserver(() => this.#keepPlace());
  /** @type {string | null} */
  topic = null;
  channel = "";
  mentions = new Mentions();

  /**
   * @param {Record<string, HTMLElement>} parts
   * @param {Kernel} kernel
   * @param {Blobs} blobs
   * @param {{
   *   voice: Voice,
   *   typesetter?: Typesetter | null,
   *   onread: (about: {topic: string, channel: string, targets: string[], since: string | null, until: string | null}) => void,
   *   onselect: (id: string) => void,
   *   onreply: (row: Row) => void,
   *   onedit: (row: Row) => void,
   *   onload: () => void,
   *   onfail: (sentence: string) => void, onnote: (sentence: string) => void,
   * }} options
   */
  constructor(parts, kernel, blobs, options) {
    this.kernel = kernel;
    this.blobs = blobs;
    this.options = options;
    this.voice = options.voice;
    this.typesetter = options.typesetter;
    this.files = new Files(kernel, blobs);
    this.actions = new Actions(kernel, options.voice, options);
    this.reading = new Reading((seen) => this.topic && options.onread({ topic: this.topic, channel: this.channel, ...seen }));
    this.scroller = parts.log;
    this.rows = child(this.scroller, 0);
    this.window = new Sheet(this.rows, (divider) => this.onScreen.observe(divider));
    this.pill = parts["new-pill"];
    this.earlierPill = parts["earlier-pill"];
    this.pill.addEventListener("click", () => this.toNewest());
    this.earlierPill.addEventListener("click", () => this.jump((this.earlier[0] ?? this.window.firstNew?.row).id));
    this.scroller.addEventListener("scroll", () => this.#onScroll(), { passive: true });
    listenToRows(this);
    this.nearby = new IntersectionObserver((entries) => this.#onNearby(entries), { root: this.scroller, rootMargin: "400px" });
    this.onScreen = new IntersectionObserver((entries) => this.#onScreen(entries), { root: this.scroller });
    for (const box of [this.scroller, this.rows]) this.sizes.observe(box);
  }

  get empty() {
    return !this.window.entries.some(({ row }) => row.kind !== "notice" || !row.name);
  }

  /** Whether somebody is looking at the end. */
  get present() {
    return this.atEnd && this.visible;
  }

  /** The reader's own last message, if it is loaded. */
  get lastOwn() {
    return this.window.entries.findLast(({ row }) => row.own && row.actions?.includes("edit"))?.row ?? null;
  }

  /**
   * Shows a room, or one of its channels, as it is from the beginning on.
   * @param {string | null} topic
   * @param {string} channel
   */
  open(topic, channel) {
    this.reading.clear();
    this.topic = this.actions.topic = topic;
    this.channel = channel;
    this.files.open(topic);
    this.earlier = [];
    this.origin = null;
  }

  /** @param {Rows} rows a window, or what has come or changed */
  show(rows) {
    this.unreadInAll = rows.unread;
    if (rows.reset) this.#reset(rows.rows, rows.start, rows.end, rows.divider);
    else this.#news(rows.rows);
    this.#markRead();
  }

  /** Asks again for what is around the reader: more has changed than the kernel has told. Whether there is anything. */
  renew() {
    const top = this.window.firstBelow(this.scroller.getBoundingClientRect().top);
    if (!top) return false;
    if (this.atEnd) this.#around(null, () => this.toEnd());
    else this.#around(top.row.id, () => this.#place(top.row.id, false));
    return true;
  }

  /** @param {ProgressUpdate} update */
  progress(update) {
    const entry = this.window.byId.get(update.target);
    if (update.room === this.topic && entry) this.files.progress(entry.node, update);
  }

  /** @param {string | null} id */
  select(id) {
    if (id === this.selected) return;
    this.window.byId.get(this.selected ?? "")?.node.removeAttribute("aria-current");
    this.selected = id;
    this.window.byId.get(id ?? "")?.node.setAttribute("aria-current", "true");
  }

  /** @param {boolean} visible */
  setVisible(visible) {
    this.visible = visible;
    if (visible) this.#watchUnread();
    this.#markRead();
  }

  /**
   * Goes to a message, wherever it is.
   * @param {string} id
   */
  jump(id) {
    this.origin ??= { id: this.atEnd ? null : (this.window.firstBelow(this.scroller.getBoundingClientRect().top)?.row.id ?? null) };
    if (this.window.byId.has(id)) this.#place(id, true);
    else this.#around(id, () => this.#place(id, true));
  }

  /** Where one was before jumping; whether one had jumped. */
  back() {
    const { origin } = this;
    this.origin = null;
    if (!origin) return false;
    const { id } = origin;
    if (id === null) this.toNewest();
    else if (this.window.byId.has(id)) this.#place(id, false);
    else this.#around(id, () => this.#place(id, false));
    return true;
  }

  /** The last row there is, and all before it counts as read. */
  toNewest() {
    const since = this.window.divider?.place ?? this.#unreadPlaces()[0];
    this.origin = null;
    this.earlier = [];
    const arrive = () => {
      this.toEnd();
      if (since && this.visible && this.window.last) this.reading.seeAll(since, this.window.last.row.place);
    };
    if (this.window.end) arrive();
    else this.#around(null, arrive);
  }

  toEnd() {
    this.#setAtEnd(true);
    this.#keepPlace();
  }

  close() {
    this.files.close();
    this.reading.close();
    this.sizes.disconnect();
    this.nearby.disconnect();
    this.onScreen.disconnect();
  }

  /**
   * @param {Row[]} rows
   * @param {boolean} start
   * @param {boolean} end
   * @param {string | null} divider
   */
  #reset(rows, start, end, divider) {
    this.nearby.disconnect();
    this.onScreen.disconnect();
    for (const { url } of this.window.entries) this.blobs.revoke(url);
    this.window.clear();
    this.actions.hover(null, null);
    this.window.start = start;
    this.window.end = end;
    this.#add(0, rows);
    const first = divider && this.window.byId.get(divider);
    if (first) this.window.setDivider(first, this.unreadInAll);
    this.atEnd = end && !first;
    this.scroller.classList.toggle("lu-at-end", this.atEnd);
    this.#keepPlace();
    if (first) this.#toDivider(first);
    this.#fill();
  }

  /**
   * The first unread row with a little above it; the end, if all that is unread fits.
   * @param {Shown} first
   */
  #toDivider(first) {
    const context = this.window.entries[Math.max(0, this.window.indexOf(first.row.place) - 2)];
    this.scroller.scrollTop += context.node.getBoundingClientRect().top - this.scroller.getBoundingClientRect().top - 8;
    this.#onScroll();
  }

  /** @param {Row[]} rows */
  #news(rows) {
    let written = false; // by the reader, now
    for (const row of [...rows].sort((a, b) => (a.place < b.place ? -1 : 1))) {
      const known = this.window.byId.get(row.id);
      if (known) this.#replace(known, row);
      else this.#arrive(row);
      written ||= !known && Boolean(row.own) && !row.received;
    }
    if (written && this.window.end && rows.at(-1)?.place === this.window.last?.row.place) this.toEnd();
    this.#showPills();
  }

  /** @param {Row} row that has come now */
  #arrive(row) {
    const foreign = !row.own && row.kind !== "notice";
    if (foreign) this.voice.message(row);
    const top = this.window.firstBelow(this.scroller.getBoundingClientRect().top);
    if (foreign && row.received && top && row.place < top.row.place) this.earlier.push(row);
    if (!this.window.covers(row.place)) return;
    const index = this.window.indexOf(row.place);
    const last = index === this.window.entries.length;
    const stands = this.#dividerStands();
    const [entry] = this.#hold(() => this.#add(index, [row]));
    entry.late = !last;
    if (foreign && last && !this.present && !stands) this.window.setDivider(entry, 1);
    else if (foreign && this.window.divider && row.place > this.window.divider.place) this.window.count(this.window.divider.count + 1);
    if (foreign && last && this.present) this.reading.see(row);
  }

  /**
   * @param {number} index
   * @param {Row[]} rows consecutive and in order
   */
  #add(index, rows) {
    /** @type {Shown[]} */
    const entries = rows.map((row) => ({ row, node: this.#build(row) }));
    this.window.add(index, entries);
    for (const entry of entries) this.#watch(entry);
    return entries;
  }

  /** @param {Row} row */
  #build(row) {
    const node = buildRow(row, dateOf(row));
    this.mentions.mark(node);
    if (row.id === this.selected) node.setAttribute("aria-current", "true");
    return node;
  }

  /** @param {Shown} entry */
  #watch({ row, node }) {
    this.reading.add(row);
    if (row.unread) this.onScreen.observe(node);
    if (node.querySelector("img, audio, .lu-math")) this.nearby.observe(node);
  }

  /**
   * @param {Shown} entry
   * @param {Row} row the same one, changed
   */
  #replace(entry, row) {
    const focused = entry.node.contains(document.activeElement);
    const media = entry.node.querySelector("img[data-state=ready], audio[data-state=ready]");
    const node = this.#build(row);
    // What has been fetched is not fetched again.
    if (media) node.querySelector("img, audio")?.replaceWith(media);
    // Nor is what the typesetter has drawn drawn again.
    const body = entry.node.querySelector(".lu-rich");
    const same = row.html && row.html === entry.row.html && row.hidden === entry.row.hidden && !row.retracted;
    if (same && body) part(node, "body").replaceWith(body);
    if (this.actions.bar.parentElement === entry.node) this.actions.hover(null, null);
    this.#hold(() => this.window.replace(entry, row, node));
    this.#watch(entry);
    if (focused) node.focus({ preventScroll: true });
  }

  /** Whether the divider still marks something that was not read. */
  #dividerStands() {
    const { divider } = this.window;
    return Boolean(divider && this.#unreadPlaces().some((place) => place >= divider.place));
  }

  #unreadPlaces() {
    return [...this.reading.unread.values()].map(({ place }) => place).sort();
  }

  #markRead() {
    if (this.present && this.window.end) {
      const since = this.window.divider?.place ?? "";
      for (const row of [...this.reading.unread.values()]) {
        if (row.place >= since && !this.window.byId.get(row.id)?.late) this.reading.see(row);
      }
    }
    this.#showPills();
  }

  #showPills() {
    const top = this.window.firstBelow(this.scroller.getBoundingClientRect().top)?.row.place ?? "";
    const below = this.#unreadPlaces().filter((place) => place > top).length;
    const unloaded = this.window.end ? 0 : Math.max(0, this.unreadInAll - this.reading.unread.size);
    const more = below + unloaded;
    say(this.pill, this.atEnd ? "" : more ? `${more} more ↓` : this.window.end ? "" : "Newest ↓");
    this.earlier = this.earlier.filter((row) => row.place < top && !this.reading.seen.has(row.id));
    const missed = this.window.missed(top);
    const words = this.earlier.length ? `↑ ${earlierWords(this.earlier)}` : missed ? `↑ ${missed} new` : "";
    if (this.earlier.length && words !== this.earlierPill.textContent) this.voice.say(earlierWords(this.earlier));
    say(this.earlierPill, words);
  }

  /** @param {boolean} atEnd */
  #setAtEnd(atEnd) {
    this.atEnd = atEnd && this.window.end;
    this.scroller.classList.toggle("lu-at-end", this.atEnd);
    if (this.atEnd) this.origin = null;
    this.#markRead();
  }

  /**
   * Changes rows, and keeps what the reader sees where it is.
   * @template T
   * @param {() => T} change
   */
  #hold(change) {
    const anchor = this.atEnd ? undefined : this.window.firstBelow(this.scroller.getBoundingClientRect().top);
    const before = anchor?.node.getBoundingClientRect().top ?? 0;
    const result = change();
    if (anchor?.node.isConnected) {
      this.scroller.style.overflowAnchor = "none";
      this.scroller.scrollTop += anchor.node.getBoundingClientRect().top - before;
      this.scroller.style.overflowAnchor = "";
      this.top = this.scroller.scrollTop;
      this.height = this.scroller.scrollHeight;
    }
    return result;
  }

  /**
   * @param {string} id of a row that is loaded
   * @param {boolean} mark whether it was looked for
   */
  #place(id, mark) {
    const entry = this.window.byId.get(id);
    if (!entry) return;
    this.#setAtEnd(false);
    entry.node.scrollIntoView({ block: mark ? "center" : "start" });
    // Blocks on the way have their true heights now.
    requestAnimationFrame(() => entry.node.scrollIntoView({ block: mark ? "center" : "start" }));
    if (!mark) return;
    entry.node.focus({ preventScroll: true });
    entry.node.classList.add("lu-marked");
    setTimeout(() => entry.node.classList.remove("lu-marked"), MARKED_FOR);
  }

  /**
   * Loads what is around a row, or the newest for `null`.
   * @param {string | null} around
   * @param {() => void} then
   */
  async #around(around, then) {
    const { topic, channel } = this;
    this.asking = "around";
    const answer = await this.#page({ around });
    this.asking = null;
    if (!answer || topic !== this.topic || channel !== this.channel) return;
    this.#reset(answer.rows ?? [], answer.start ?? true, answer.end ?? true, null);
    then();
    this.options.onload();
  }

  /** Asks for more rows where the reader comes near the first or the last one. */
  #fill() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    if (this.asking || !clientHeight || !this.window.entries.length) return;
    if (!this.window.start && scrollTop < NEAR) this.#more("before");
    else if (!this.window.end && scrollHeight - scrollTop - clientHeight < NEAR) this.#more("after");
  }

  /** @param {"before" | "after"} side */
  async #more(side) {
    const edge = side === "before" ? this.window.first : this.window.last;
    this.asking = side;
    const answer = await this.#page({ [side]: edge.row.place });
    this.asking = null;
    if (!answer || this.window[side === "before" ? "first" : "last"] !== edge) return;
    const rows = (answer.rows ?? []).filter(({ id }) => !this.window.byId.has(id));
    this.#hold(() => {
      this.#add(side === "before" ? 0 : this.window.entries.length, rows);
      if (side === "before") this.window.start = answer.start ?? true;
      else this.window.end = answer.end ?? true;
      for (const { url } of this.window.limit(MAX_LOADED, side === "before" ? "end" : "start")) this.blobs.revoke(url);
    });
    this.#showPills();
    this.#fill();
  }

  /** @param {{around?: string | null, before?: string, after?: string}} where */
  #page(where) {
    const about = { topic: this.topic, channel: this.channel, count: PAGE_ROWS, ...where };
    return this.kernel.request("page", about, { resend: RESEND, quiet: true }).then(({ content }) => content, () => null);
  }

  /** Runs before each frame in which rows came, went or changed their height, or the log did. */
  #keepPlace() {
    if (this.atEnd) this.scroller.scrollTop = this.scroller.scrollHeight;
    else if (this.scroller.scrollTop === 0 && this.top > NEAR) this.scroller.scrollTop = this.top; // it was out of the document meanwhile
    this.top = this.scroller.scrollTop;
    this.height = this.scroller.scrollHeight;
    this.#fill();
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
    this.#fill();
    this.#showPills();
  }

  /**
   * The row that an element is in.
   * @param {Element} target
   */
  entryOf(target) {
    const node = /** @type {HTMLElement | null} */ (target.closest(".lu-row"));
    return this.window.byId.get(node?.dataset.id ?? "");
  }

  /** @param {IntersectionObserverEntry[]} entries */
  #onNearby(entries) {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      this.nearby.unobserve(target);
      const entry = this.entryOf(target);
      if (entry?.row.file) {
        if (!target.querySelector(`[data-state="asked"]`)) this.files.show(entry);
      } else if (entry) draw(part(entry.node, "body"), this.typesetter);
    }
  }

  /** @param {IntersectionObserverEntry[]} entries */
  #onScreen(entries) {
    if (!this.visible) return;
    for (const { isIntersecting, target } of entries) {
      if (isIntersecting) this.window.see(target);
      const entry = isIntersecting && this.entryOf(target);
      if (!entry) continue;
      this.onScreen.unobserve(target);
      this.reading.see(entry.row);
    }
    this.#showPills();
  }

  /** Rows that were on the screen while nobody looked are seen now. */
  #watchUnread() {
    const unread = [...this.reading.unread.values()].map(({ id }) => this.window.byId.get(id)?.node);
    for (const node of [...unread, this.window.divider?.node]) {
      if (!node) continue;
      this.onScreen.unobserve(node);
      this.onScreen.observe(node);
    }
  }
}
