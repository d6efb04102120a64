// The messages of one room.

import { NATIVE_MENU, copyText, element, make, parse, part, say, setAvatar, setText } from "./dom.js";
import { download } from "./kernel.js";
import { AUDIO_TYPES, IMAGE_TYPES, fileName, mediaType, vetted } from "./vetted.js";
import { clockWords, dateOf, dayNumber, dayWords, deliveryWords, sizeWords } from "./words.js";

const SEEN_EVERY = 300; // ms
const SAVED_WITHIN = 60_000; // ms that the browser may take to save a file
const GROUP_WITHIN = 5 * 60_000; // ms between rows of one author that share a head
const END_SLACK = 24; // px from the end that still count as the end
const BLOCK = 50; // rows that are laid out, or left out of the layout, together
const QUIET_BATCH = 20; // more rows than this at once are not read out to screen readers

const ROW = parse(`
  <div class="lu-row" data-lu="row" tabindex="-1"><span class="lu-avatar" aria-hidden="true"></span><div class="lu-main"
    ><div class="lu-by"><bdi class="lu-author" data-lu="author"></bdi><time data-lu="time"></time></div
    ><div class="lu-body" data-lu="body" dir="auto"></div></div></div>`);

const CARD = parse(`
  <div class="lu-card" data-lu="file">
    <span class="lu-i-file" aria-hidden="true"></span>
    <span class="lu-file"><bdi data-lu="file-name"></bdi> <span class="lu-faint" data-lu="file-size"></span></span>
    <button type="button" class="lu-icon lu-i-download" data-lu="download"></button>
  </div>`);

function buildRow(row, date, grouped) {
  const node = make(ROW);
  const [avatar, main] = node.children;
  const [by, body] = main.children;
  const [author, time] = by.children;
  node.dataset.seq = row.seq;
  node.dataset.kind = row.kind;
  if (row.own) node.dataset.own = "true";
  if (grouped) node.classList.add("lu-grouped");
  time.textContent = clockWords(date);
  if (!grouped) setAvatar(avatar, row);
  author.textContent = row.name ?? "";
  if (row.short) author.after(element("code", "short", {}, row.short));
  if (row.text) body.textContent = row.text;
  else if (row.html) body.append(vetted(row.html));
  else body.remove();
  if (row.html) body.classList.add("lu-rich");
  if (row.file) main.append(...buildAttachment(row.file));
  if (row.own) main.append(element("span", "delivery", {}, deliveryWords(row.recipients)));
  return node;
}

function buildAttachment(file) {
  const card = make(CARD);
  const name = fileName(file);
  const button = part(card, "download");
  part(card, "file-name").textContent = name;
  part(card, "file-size").textContent = sizeWords(file.size);
  button.title = button.ariaLabel = `Download ${name}`;
  const media = file.inline && buildMedia(file);
  return media ? [media, card] : [card];
}

function buildMedia(file) {
  const type = mediaType(file);
  let media = null;
  if (AUDIO_TYPES.has(type)) media = element("audio", "audio", { controls: true, ariaLabel: fileName(file) });
  if (IMAGE_TYPES.has(type)) media = element("img", "image", { alt: fileName(file), width: file.width ?? 0, height: file.height ?? 0 });
  media?.setAttribute(NATIVE_MENU, "");
  return media;
}

/** A recording made in a browser states no length until its end has been sought. */
function settleLength(audio) {
  if (audio.duration !== Infinity) return;
  audio.addEventListener("durationchange", () => (audio.currentTime = 0), { once: true });
  audio.currentTime = Number.MAX_SAFE_INTEGER;
}

function sameAuthor(before, row) {
  return before.kind !== "notice" && row.kind !== "notice" && before.key === row.key && before.name === row.name;
}

/** The messages of one room, and where in them the reader is. */
export class Log {
  shown = new Map(); // seq → {row, node, url}
  last = null; // the row that came last
  divider = null; // {node, seq}
  atEnd = true;
  visible = false;
  missed = 0;
  readTo = -1;
  top = 0; // px, where the reader was last, in rows of
  height = 0; // px
  selected = null;
  block = null; // the last one
  seenTimer = 0;
  left = new AbortController();
  sizes = new ResizeObserver(() => this.#keepPlace());
  topic = null;

  constructor(parts, kernel, blobs, { onread, onselect }) {
    this.kernel = kernel;
    this.blobs = blobs;
    this.onread = onread;
    this.onselect = onselect;
    this.scroller = parts.log;
    this.rows = this.scroller.firstChild;
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

  /** Empties the log for `topic`; `seen` is the row up to which it was read before, or null when all of it was. */
  reset(topic, seen) {
    this.left.abort();
    this.left = new AbortController();
    clearTimeout(this.seenTimer);
    this.seenTimer = 0;
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

  /** Appends rows; those that are not `live` were there before this view. */
  add(rows, live) {
    this.scroller.ariaLive = live && rows.length <= QUIET_BATCH ? "polite" : "off";
    const blocks = document.createDocumentFragment();
    for (const row of rows) {
      if (this.shown.size % BLOCK === 0) this.block = blocks.appendChild(element("div", "block"));
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

  /** Forgets the rows before `oldest`, as the kernel has. */
  drop(oldest) {
    for (const [seq, { node, url }] of this.shown) {
      if (seq >= oldest) break;
      const block = node.parentElement;
      this.blobs.revoke(url);
      while (block.firstChild !== node) block.firstChild.remove();
      node.remove();
      if (!block.firstChild) block.remove();
      this.shown.delete(seq);
    }
    const first = this.shown.values().next().value;
    if (first?.node.classList.contains("lu-grouped")) {
      first.node.classList.remove("lu-grouped");
      setAvatar(first.node.firstChild, first.row);
    }
    if (first && !first.node.previousSibling) first.node.before(buildDay(dateOf(first.row)));
  }

  delivered(seq, recipients) {
    const entry = this.shown.get(seq);
    if (entry) setText(part(entry.node, "delivery"), deliveryWords(recipients));
  }

  select(seq) {
    if (seq === this.selected) return;
    this.shown.get(this.selected)?.node.removeAttribute("aria-current");
    this.selected = seq;
    this.shown.get(seq)?.node.setAttribute("aria-current", "true");
  }

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
    if (row.file?.inline && node.querySelector("img, audio")) this.nearby.observe(node);
  }

  /** Whether the "New" line belongs before this row. */
  #divides(row, live) {
    if (row.own || row.kind === "notice" || row.seq <= this.readTo || this.readTo === Infinity) return false;
    return live ? !this.present && !(this.divider?.seq > this.readTo) : !this.divider;
  }

  #newDivider(seq) {
    this.divider?.node.remove();
    this.divider = { seq, node: buildDivider("new-divider", "New") };
    return this.divider.node;
  }

  #newDay(date) {
    for (const day of this.rows.querySelectorAll(".lu-day")) setText(day, dayWords(new Date(Number(day.dataset.time))));
    return buildDay(date);
  }

  #markRead(live) {
    if (live && this.present && this.last?.seq > this.readTo) {
      this.readTo = this.last.seq;
      this.seenTimer ||= setTimeout(() => {
        this.seenTimer = 0;
        this.onread(this.readTo);
      }, SEEN_EVERY);
    }
    if (this.present) this.missed = 0;
    say(this.pill, this.missed && !this.atEnd ? `${this.missed} new message${this.missed === 1 ? "" : "s"} ↓` : "");
  }

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

  #onClick({ target }) {
    const entry = this.#entryOf(target);
    if (!entry) return;
    const button = target.closest("button");
    if (button?.dataset.lu === "copy-code") copyText(button.previousElementSibling.textContent, button);
    else if (button?.dataset.lu === "download") this.#save(entry.row, button);
    else if (button?.dataset.lu === "retry") this.#load(entry);
    else if (!target.closest("a, audio") && getSelection().isCollapsed) this.#pick(entry.row);
  }

  #entryOf(target) {
    return this.shown.get(Number(target.closest(".lu-row")?.dataset.seq));
  }

  #pick(row) {
    if (row.kind !== "notice") this.onselect(row.seq);
  }

  #onKey(event) {
    const entry = this.#entryOf(event.target);
    if (event.target !== (entry?.node ?? this.scroller)) return;
    if (entry && (event.key === "Enter" || event.key === " ")) this.#pick(entry.row);
    else if (event.key === "ArrowUp") this.shown.get(entry ? entry.row.seq - 1 : this.last?.seq)?.node.focus();
    else if (event.key === "ArrowDown" && entry) this.shown.get(entry.row.seq + 1)?.node.focus();
    else if (event.key === "End") this.toEnd();
    else return;
    event.preventDefault();
  }

  #onNearby(entries) {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      this.nearby.unobserve(target);
      this.#load(this.#entryOf(target));
    }
  }

  /** Shows an image or a player, from bytes fetched now that the row is near. */
  async #load(entry) {
    const media = entry.node.querySelector("img, audio");
    const { signal } = this.left;
    media.dataset.state = "loading";
    entry.node.querySelector(".lu-failure")?.remove();
    try {
      const parts = await download(this.kernel, this.topic, entry.row.seq, () => {}, signal);
      entry.url = this.blobs.make(parts, mediaType(entry.row.file));
      await new Promise((resolve, reject) => {
        media.onload = media.onloadedmetadata = resolve;
        media.onerror = () => reject(new Error("This browser cannot show it."));
        media.src = entry.url;
      });
      if (media.localName === "audio") settleLength(media);
      media.dataset.state = "ready";
    } catch (error) {
      if (signal.aborted) return;
      media.dataset.state = "failed";
      const failure = element("p", "failure", { className: "lu-faint lu-failure" }, `${error.message} `);
      failure.append(element("button", "retry", { type: "button", className: "lu-link" }, "Try again"));
      media.after(failure);
    }
  }

  /** Saves an attachment on the reader's disk, as bytes of no type, under a name that shows its true end. */
  async #save(row, button) {
    const { signal } = this.left;
    button.disabled = true;
    try {
      const progress = (share) => (button.dataset.note = `${Math.round(share * 100)} %`);
      const url = this.blobs.make(await download(this.kernel, this.topic, row.seq, progress, signal), "application/octet-stream");
      element("a", "saved", { href: url, download: fileName(row.file) }).click();
      setTimeout(() => this.blobs.revoke(url), SAVED_WITHIN);
      delete button.dataset.note;
    } catch (error) {
      button.dataset.note = error.message;
    }
    button.disabled = false;
  }
}

function buildDivider(name, words) {
  return element("div", name, { className: `lu-divider lu-${name}`, role: "separator" }, words);
}

function buildDay(date) {
  const node = buildDivider("day", dayWords(date));
  node.dataset.time = date.getTime();
  return node;
}
