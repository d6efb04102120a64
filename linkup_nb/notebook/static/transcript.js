// The page's half of the chat widget; `notebook/transcript.py` is the kernel's half.
//
// Peers are strangers, and script in this page is code in every kernel. Whatever a peer wrote reaches the document only as
// text, as the value of a harmless attribute, as a blob made of fetched bytes, or as HTML that the kernel sanitised and that
// `vetted` then copies tag by tag. What is parsed as HTML below is this file's own, or never leaves its template.

const CHUNK = 1024 * 1024; // bytes
const WINDOW = 4; // chunks under way at once
const CHUNK_RESEND = 5_000; // ms until the first resend; each later one waits twice as long
const RESEND = 10_000; // ms
const BUSY_AFTER = 1_500; // ms without an answer until the reader is told that the kernel is busy
const PENDING_AFTER = 300; // ms until a text under way is shown as such
const CATCH_UP_AFTER = 1_500; // ms to wait for rows that the kernel has announced before asking again
const SEEN_EVERY = 300; // ms
const COPIED_FOR = 1_500; // ms
const SAVED_WITHIN = 60_000; // ms that the browser may take to save a file
const MAX_AVATARS = 256; // pictures kept, the newest
const GROUP_WITHIN = 5 * 60_000; // ms between rows of one author that share a head
const END_SLACK = 24; // px from the end that still count as the end
const BLOCK = 50; // rows that are laid out, or left out of the layout, together
const QUIET_BATCH = 20; // more rows than this at once are not read out to screen readers

const IMAGE_TYPES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"]);
const AUDIO_TYPES = new Set(["audio/webm", "audio/ogg", "audio/mp4", "audio/mpeg", "audio/wav", "audio/flac"]);
const TAGS = new Set(
  ("a blockquote br code del div em h1 h2 h3 h4 h5 h6 hr li ol p pre s span strong sub sup " +
    "table tbody td th thead tr ul").split(" "),
);
const CLASSES = /^(language-[\w+#-]{1,24}|lu-(left|center|right|cut)|[a-z][a-z0-9]{0,2})$/; // ours and Pygments', none of JupyterLab's
const AVATAR_ID = /^[\w-]{1,128}$/;
const DIRECTION_CONTROLS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const STOPPED = "The kernel has stopped. Run the cell again to carry on.";
const BUSY = "The kernel is busy; this will go out as soon as it is free.";
const ALONE = "Nobody else is here yet. Whoever has the topic above can join.";
const RECORDING = "Recording. Press the microphone again to stop and send.";

const NATIVE_MENU = "data-jp-suppress-context-menu"; // the browser's own menu, with Paste, instead of JupyterLab's

const FRAME = parse(`
  <div class="lu-chat" data-lu="root" data-lm-suppress-shortcuts="true">
    <div class="lu-frame">
      <header class="lu-bar">
        <button type="button" class="lu-icon lu-i-rooms lu-toggle" data-lu="show-rooms" aria-label="Rooms" aria-expanded="false"></button>
        <strong data-lu="brand">LinkUp</strong>
        <span class="lu-status" data-lu="status" role="status" data-level="waiting">Waiting for the kernel…</span>
        <button type="button" class="lu-icon lu-i-peers lu-toggle" data-lu="show-peers" aria-label="People" aria-expanded="false"></button>
      </header>
      <nav class="lu-side lu-left" aria-label="Rooms">
        <h2>Rooms</h2>
        <ul class="lu-list" data-lu="rooms"></ul>
        <button type="button" class="lu-add" data-lu="create-or-join" aria-expanded="false">+ Create or join</button>
        <div data-lu="room-form-place"></div>
        <button type="button" class="lu-me" data-lu="me" title="Change your name or picture">
          <span class="lu-avatar lu-small" aria-hidden="true"></span><bdi></bdi>
        </button>
      </nav>
      <section class="lu-middle" aria-label="Room">
        <header class="lu-head">
          <bdi class="lu-room-name" data-lu="room-name"></bdi>
          <code class="lu-topic" data-lu="topic"></code>
          <button type="button" class="lu-icon lu-i-copy" data-lu="copy-topic" aria-label="Copy the topic" title="Copy the topic"></button>
          <button type="button" class="lu-link" data-lu="leave">Leave</button>
        </header>
        <p class="lu-leaving" data-lu="leaving" hidden>
          Leave this room? Its messages go; only its topic brings you back.
          <button type="button" class="lu-button" data-lu="leave-confirm">Leave</button>
          <button type="button" class="lu-button lu-plain" data-lu="leave-cancel">Stay</button>
        </p>
        <div class="lu-log-frame">
          <div class="lu-log" data-lu="log" role="log" tabindex="0" aria-label="Messages"><div class="lu-rows"></div></div>
          <p class="lu-alone" data-lu="alone" hidden></p>
          <button type="button" class="lu-pill" data-lu="new-pill" hidden></button>
        </div>
        <div class="lu-composer">
          <p class="lu-error" data-lu="error" role="alert" hidden></p>
          <p class="lu-notice" data-lu="notice" role="status" hidden></p>
          <div data-lu="strips"></div>
          <ul class="lu-completion" data-lu="completion" role="listbox" aria-label="Commands" hidden></ul>
          <div class="lu-box">
            <button type="button" class="lu-icon lu-i-attach" data-lu="attach" aria-label="Attach a file"></button>
            <div class="lu-grow"><textarea data-lu="composer" rows="1" dir="auto" aria-autocomplete="list" ${NATIVE_MENU}></textarea></div>
            <button type="button" class="lu-icon lu-i-record" data-lu="record" aria-label="Record audio" title="Record audio" aria-pressed="false"></button>
            <button type="button" class="lu-icon lu-i-send" data-lu="send" aria-label="Send" title="Send"></button>
          </div>
          <input type="file" data-lu="file-input" multiple hidden>
        </div>
        <div class="lu-centre" data-lu="centre"></div>
      </section>
      <aside class="lu-side lu-right" aria-label="People" data-lu="people"></aside>
      <footer class="lu-expression">
        <code data-lu="expression"></code>
        <button type="button" class="lu-link" data-lu="copy-expression">copy</button>
      </footer>
    </div>
  </div>`);

const PROFILE_FORM = parse(`
  <form class="lu-form" data-lu="profile-form" novalidate>
    <h2></h2>
    <div class="lu-pick">
      <span class="lu-avatar lu-large" data-lu="avatar-preview" aria-hidden="true"></span>
      <button type="button" class="lu-button lu-plain" data-lu="choose-avatar">Choose a picture…</button>
      <input type="file" data-lu="avatar-input" accept="${[...IMAGE_TYPES]}" hidden>
    </div>
    <label>Name <input data-lu="name" dir="auto" autocomplete="off" placeholder="What others will call you" ${NATIVE_MENU}></label>
    <p class="lu-faint">Without a picture, one is made from your name. Everybody you share a room with sees both.</p>
    <p class="lu-error" data-lu="error" role="alert" hidden></p>
    <div class="lu-buttons">
      <button class="lu-button" data-lu="save-profile"></button>
      <button type="button" class="lu-button lu-plain" data-lu="cancel-profile">Cancel</button>
    </div>
  </form>`);

const ROOM_FORM = parse(`
  <div class="lu-form lu-room-form" data-lu="room-form">
    <h2>Create or join a room</h2>
    <form novalidate data-request="create" data-field="name">
      <label>A new room <input data-lu="create-name" dir="auto" autocomplete="off" placeholder="Name" ${NATIVE_MENU}></label>
      <button class="lu-button" data-lu="create">Create</button>
    </form>
    <form novalidate data-request="join" data-field="topic">
      <label>Someone's room <input data-lu="join-topic" autocomplete="off" spellcheck="false" placeholder="Topic, 64 digits" ${NATIVE_MENU}></label>
      <button class="lu-button" data-lu="join">Join</button>
    </form>
    <p class="lu-error" data-lu="error" role="alert" hidden></p>
  </div>`);

const ROOM = parse(`
  <li><button type="button" class="lu-room" data-lu="room"><bdi></bdi><span class="lu-unread" data-lu="unread" hidden></span></button></li>`);

const PEERS = parse(`<section><h2></h2><ul class="lu-list"></ul></section>`);

const PEER = parse(`
  <li class="lu-peer" data-lu="peer">
    <span class="lu-dot" aria-hidden="true"></span>
    <span class="lu-peer-name"><bdi></bdi> <code class="lu-short"></code></span>
    <span class="lu-faint" data-lu="rtt"></span>
  </li>`);

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

const UPLOAD = parse(`
  <div class="lu-strip" data-lu="upload">
    <bdi></bdi><progress max="1" value="0"></progress><span class="lu-faint"></span>
    <button type="button" class="lu-link" data-lu="upload-cancel">Cancel</button>
  </div>`);

const PENDING = parse(`<div class="lu-strip" data-lu="pending" hidden><bdi></bdi><span class="lu-faint">Sending…</span></div>`);

const OPTION = parse(`<li class="lu-option" data-lu="option" role="option"><code></code> <span class="lu-faint"></span></li>`);

function parse(html) {
  const template = document.createElement("template");
  template.innerHTML = html.trim();
  return template.content.firstChild;
}

function make(pattern) {
  return pattern.cloneNode(true);
}

function part(root, name) {
  return root.querySelector(`[data-lu="${name}"]`);
}

/** Every element under `root` that has a name, by its name. */
function parts(root) {
  return Object.fromEntries([...root.querySelectorAll("[data-lu]")].map((node) => [node.dataset.lu, node]));
}

function element(tag, name, properties = {}, text = "") {
  const node = Object.assign(document.createElement(tag), { className: `lu-${name}`, ...properties });
  node.dataset.lu = name;
  node.append(text);
  return node;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function say(node, text) {
  setText(node, text);
  node.hidden = !text;
}

/** Makes the children of `parent` stand for `items`, and keeps those that stay, and so the focus within them. */
function keyed(parent, items, keyOf, pattern, update) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const nodes = items.map((item) => {
    const node = old.get(keyOf(item)) ?? make(pattern);
    node.dataset.key = keyOf(item);
    update(node, item);
    return node;
  });
  const kept = new Set(nodes);
  for (const child of [...parent.children]) if (!kept.has(child)) child.remove();
  nodes.forEach((node, place) => {
    if (parent.children[place] !== node) parent.insertBefore(node, parent.children[place] ?? null);
  });
}

/** The initial on a colour of the key's; the picture of that id covers it once it is here (see Chat.#onAvatar). */
function setAvatar(node, { avatar, name, key }) {
  setText(node, ([...String(name ?? "").trim()][0] ?? "?").toUpperCase());
  const hue = Number.parseInt(String(key ?? "").slice(0, 6), 16) % 360 || 0;
  node.style.backgroundColor = `hsl(${hue} 38% 44%)`;
  if (avatar) node.dataset.avatar = avatar;
  else delete node.dataset.avatar;
}

async function copyText(text, button) {
  const allowed = await navigator.clipboard?.writeText(text).then(() => true, () => false);
  button.dataset.note = allowed || copyBySelection(text, button) ? "Copied" : "Not copied";
  setTimeout(() => delete button.dataset.note, COPIED_FOR);
}

/** The way that works where the page may not use the clipboard API (plain http, a frame, a refusal). */
function copyBySelection(text, button) {
  const area = element("textarea", "unseen", {}, text);
  button.after(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  button.focus();
  return copied;
}

const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const DAY_AND_YEAR = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });

function dateOf({ time }) {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? new Date(0) : date;
}

function clockWords(date) {
  return [date.getHours(), date.getMinutes()].map((number) => String(number).padStart(2, "0")).join(":");
}

function dayNumber(date) {
  return (date.getFullYear() * 12 + date.getMonth()) * 31 + date.getDate();
}

function dayWords(date) {
  const now = new Date();
  const yesterday = new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1);
  if (dayNumber(date) === dayNumber(now)) return "Today";
  if (dayNumber(date) === dayNumber(yesterday)) return "Yesterday";
  return (date.getFullYear() === now.getFullYear() ? DAY : DAY_AND_YEAR).format(date);
}

function sizeWords(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  if (bytes < 1e6) return `${Math.round(bytes / 1e3)} kB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function deliveryWords(recipients) {
  if (recipients === null || recipients === undefined) return "";
  return recipients > 0 ? `✓ sent to ${recipients}` : "nobody was here";
}

/** The kernel's sanitised HTML, copied element by element: what is not on the lists arrives as its text. */
function vetted(html) {
  const template = document.createElement("template");
  template.innerHTML = html; // inert: nothing in a template loads or runs, and none of its nodes leave it
  const copy = document.createDocumentFragment();
  copyVetted(template.content, copy);
  for (const code of copy.querySelectorAll("pre")) addCopyButton(code);
  return copy;
}

function copyVetted(source, target) {
  for (const node of source.childNodes) {
    if (node.nodeType === Node.TEXT_NODE) target.append(node.data);
    else if (node.nodeType !== Node.ELEMENT_NODE) continue;
    else if (TAGS.has(node.localName)) copyVetted(node, target.appendChild(copyElement(node)));
    else target.append(String(node.textContent));
  }
}

function copyElement(node) {
  const copy = document.createElement(node.localName);
  if (node.localName === "a") copyLink(node, copy);
  if (node.localName === "ol" && /^\d{1,6}$/.test(node.getAttribute("start"))) copy.start = Number(node.getAttribute("start"));
  const classes = (node.getAttribute("class") ?? "").split(" ").filter((name) => CLASSES.test(name));
  if (classes.length) copy.className = classes.join(" ");
  return copy;
}

function copyLink(node, copy) {
  const href = node.getAttribute("href") ?? "";
  if (!/^(https?:\/\/|mailto:)/i.test(href)) return;
  Object.assign(copy, { href, target: "_blank", rel: "noopener noreferrer", title: href });
}

function addCopyButton(code) {
  const listing = element("div", "listing");
  code.replaceWith(listing);
  listing.append(code, element("button", "copy-code", { type: "button", className: "lu-link" }, "Copy"));
}

/** One view's requests to the kernel: an id each, one answer each. */
class Kernel {
  count = 0;
  waiting = new Map();
  late = new Set();
  stopped = false;

  constructor(model, view, onbusy) {
    this.model = model;
    this.view = view;
    this.onbusy = onbusy;
  }

  /** Resolves with {content, buffers} of the answer, or rejects with the kernel's sentence. With `resend` (ms) the same
   *  request goes out again while no answer comes: only for those that may arrive twice. */
  request(type, fields = {}, { buffer, resend, quiet, signal } = {}) {
    if (this.stopped) return Promise.reject(new Error(STOPPED));
    const id = `${this.view}:${++this.count}`;
    const send = () => this.model.send({ id, view: this.view, type, ...fields }, undefined, buffer ? [buffer] : []);
    return new Promise((resolve, reject) => {
      const entry = { resolve, reject };
      const resendAfter = (wait) => {
        entry.resend = setTimeout(() => {
          send();
          resendAfter(wait * 2);
        }, wait);
      };
      if (resend) resendAfter(resend);
      if (!quiet) entry.late = setTimeout(() => this.#setLate(id, true), BUSY_AFTER);
      this.waiting.set(id, entry);
      signal?.addEventListener("abort", () => this.#settle(id)?.reject(signal.reason), { once: true });
      send();
    });
  }

  answer(content, buffers) {
    const entry = this.#settle(content.id);
    if (content.ok) entry?.resolve({ content, buffers });
    else entry?.reject(new Error(content.error));
  }

  stop() {
    this.stopped = true;
    for (const id of [...this.waiting.keys()]) this.#settle(id).reject(new Error(STOPPED));
  }

  #settle(id) {
    const entry = this.waiting.get(id);
    this.waiting.delete(id);
    clearTimeout(entry?.resend);
    clearTimeout(entry?.late);
    this.#setLate(id, false);
    return entry;
  }

  #setLate(id, late) {
    const wasBusy = this.late.size > 0;
    if (late) this.late.add(id);
    else this.late.delete(id);
    const busy = this.late.size > 0;
    if (busy !== wasBusy) this.onbusy(busy);
  }
}

/** Calls `task(index)` for every index below `count`, WINDOW of them at once. */
async function windowed(count, task) {
  let next = 0;
  const work = async () => {
    while (next < count) await task(next++);
  };
  await Promise.all(Array.from({ length: WINDOW }, work));
}

/** Sends a File to the kernel and returns the upload's id; `progress` hears the share (0 to 1) that has arrived. */
async function upload(kernel, file, { purpose, topic = null, progress = () => {}, signal }) {
  const id = `${kernel.view}:${randomId()}`;
  const chunks = Math.ceil(file.size / CHUNK);
  const about = { upload: id, purpose, topic, name: file.name, mime: file.type, size: file.size, chunks };
  await kernel.request("upload_begin", about, { signal });
  try {
    let arrived = 0;
    await windowed(chunks, async (index) => {
      signal?.throwIfAborted();
      const buffer = await file.slice(index * CHUNK, (index + 1) * CHUNK).arrayBuffer();
      await kernel.request("upload_chunk", { upload: id, index }, { buffer, resend: CHUNK_RESEND, quiet: true, signal });
      progress(++arrived / chunks);
    });
    await kernel.request("upload_end", { upload: id }, { signal });
  } catch (error) {
    kernel.request("upload_cancel", { upload: id }, { quiet: true }).catch(() => {});
    const unreadable = error.name === "NotReadableError" || error.name === "NotFoundError";
    throw unreadable ? new Error(`${file.name} cannot be read. If it is a folder, zip it first.`) : error;
  }
  return id;
}

/** The bytes of a message's attachment, as a list of buffers. */
async function download(kernel, topic, seq, progress, signal) {
  const fetch = (index) => kernel.request("fetch", { topic, seq, index }, { resend: RESEND, quiet: true, signal });
  const first = await fetch(0);
  const parts = [first.buffers[0]];
  const { chunks } = first.content;
  await windowed(chunks - 1, async (index) => {
    parts[index + 1] = (await fetch(index + 1)).buffers[0];
    progress((index + 2) / chunks);
  });
  return parts;
}

function randomId() {
  return crypto.getRandomValues(new Uint32Array(2)).join("-");
}

/** The blob URLs of one view. */
class Blobs {
  urls = new Set();

  make(parts, type) {
    const url = URL.createObjectURL(new Blob(parts, { type }));
    this.urls.add(url);
    return url;
  }

  revoke(url) {
    if (this.urls.delete(url)) URL.revokeObjectURL(url);
  }

  close() {
    for (const url of [...this.urls]) this.revoke(url);
  }
}

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

/** The name, without what could make its end look like another. */
function fileName(file) {
  return String(file.name).replace(DIRECTION_CONTROLS, "");
}

function mediaType(file) {
  return String(file.mime).split(";")[0].trim().toLowerCase();
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
class Log {
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

/** The box at the bottom: text, completion of commands, files on their way. */
class Composer {
  commands = [];
  choices = [];
  chosen = 0;
  busy = false;
  topic = null;
  drafts = new Map();

  constructor(parts, view) {
    this.view = view;
    this.text = parts.composer;
    this.options = parts.completion;
    this.strips = parts.strips;
    this.notice = parts.notice;
    this.error = parts.error;
    this.attach = parts.attach;
    this.record = parts.record;
    this.input = parts["file-input"];
    this.options.id = `lu-${view.id}-commands`;
    this.text.setAttribute("aria-controls", this.options.id);
    this.text.addEventListener("input", () => this.#changed());
    this.text.addEventListener("blur", () => this.#offer([]));
    this.text.addEventListener("keydown", (event) => this.#onKey(event));
    this.text.addEventListener("paste", (event) => this.takeFiles(event, event.clipboardData));
    this.options.addEventListener("pointerdown", (event) => this.#onOption(event));
    this.record.addEventListener("click", () => this.view.record());
    parts.send.addEventListener("click", () => this.#submit());
    this.attach.addEventListener("click", () => this.input.click());
    this.input.addEventListener("change", () => {
      this.#sendFiles([...this.input.files]);
      this.input.value = "";
    });
  }

  update({ room, name, commands, limits, recording }) {
    this.commands = commands.map((command) => ({ ...command, name: `~${command.name.replace(/^~/, "")}` }));
    this.text.placeholder = room ? `Message ${name}, or ~ for commands` : "~ for commands";
    this.text.ariaLabel = room ? `Message ${name}` : "Command";
    this.attach.title = `Attach a file of at most ${limits.file / 2 ** 20} MiB`;
    this.attach.disabled = this.record.disabled = !room;
    this.record.ariaPressed = String(recording);
    this.#showNotice();
    if (room === this.topic) return;
    this.drafts.set(this.topic, this.text.value);
    this.topic = room;
    this.#put(this.drafts.get(room) ?? "");
    this.fail("");
  }

  focus() {
    this.text.focus({ preventScroll: true });
  }

  fail(sentence) {
    say(this.error, sentence);
  }

  setBusy(busy) {
    this.busy = busy;
    this.#showNotice();
  }

  /** Takes the files, if there are any, out of a paste or a drop. */
  takeFiles(event, data) {
    if (!data?.files.length) return;
    event.preventDefault();
    event.stopPropagation();
    this.#sendFiles([...data.files]);
  }

  #showNotice() {
    const recording = this.record.ariaPressed === "true" ? RECORDING : "";
    say(this.notice, this.busy ? BUSY : recording);
  }

  /** One after the other, so that they arrive in this order. */
  async #sendFiles(files) {
    this.fail("");
    const topic = this.topic;
    const waiting = files.map((file) => ({ file, strip: this.#addStrip(file) }));
    for (const { file, strip } of waiting) {
      const { signal } = strip.abort;
      if (!signal.aborted) {
        await upload(this.view.kernel, file, { purpose: "file", topic, progress: strip.progress, signal }).catch(
          (error) => signal.aborted || this.fail(error.message),
        );
      }
      strip.node.remove();
    }
  }

  #addStrip(file) {
    const abort = new AbortController();
    const node = make(UPLOAD);
    const [name, bar, share] = node.children;
    name.textContent = file.name;
    bar.ariaLabel = `Sending ${file.name}`;
    const progress = (done) => {
      bar.value = done;
      share.textContent = `${Math.round(done * 100)} % of ${sizeWords(file.size)}`;
    };
    progress(0);
    part(node, "upload-cancel").addEventListener("click", () => {
      abort.abort();
      node.remove();
    });
    this.strips.append(node);
    return { node, progress, abort };
  }

  #put(text) {
    this.text.value = text;
    this.#changed();
  }

  #changed() {
    const text = this.text.value;
    this.text.parentElement.dataset.text = text;
    this.#offer(/^~\S*$/.test(text) ? this.commands.filter(({ name }) => name.startsWith(text.toLowerCase())) : []);
  }

  #offer(choices) {
    this.choices = choices;
    const options = choices.map(({ name, usage, help }, place) => {
      const option = make(OPTION);
      option.id = `${this.options.id}-${place}`;
      option.firstChild.textContent = usage || name;
      option.lastChild.textContent = help;
      return option;
    });
    this.options.replaceChildren(...options);
    this.options.hidden = !options.length;
    this.#choose(0);
  }

  #choose(place) {
    const options = [...this.options.children];
    this.chosen = options.length ? (place + options.length) % options.length : 0;
    for (const option of options) option.ariaSelected = String(option === options[this.chosen]);
    options[this.chosen]?.scrollIntoView({ block: "nearest" });
    this.text.setAttribute("aria-activedescendant", options[this.chosen]?.id ?? "");
  }

  #complete({ name, usage }) {
    this.#put(usage?.includes(" ") ? `${name} ` : name);
    this.#offer([]);
    this.focus();
  }

  #onOption(event) {
    event.preventDefault();
    const place = [...this.options.children].indexOf(event.target.closest(".lu-option"));
    if (place >= 0) this.#complete(this.choices[place]);
  }

  #onKey(event) {
    if (event.isComposing) return;
    const choice = this.choices[this.chosen];
    const enter = event.key === "Enter" && !event.shiftKey;
    if (choice && event.key === "ArrowDown") this.#choose(this.chosen + 1);
    else if (choice && event.key === "ArrowUp") this.#choose(this.chosen - 1);
    else if (choice && event.key === "Escape") this.#offer([]);
    else if (choice && (event.key === "Tab" || (enter && choice.name !== this.text.value))) this.#complete(choice);
    else if (enter) this.#submit();
    else return;
    event.preventDefault();
  }

  /** Hands the text over; if the kernel refuses it, it comes back into the box. */
  async #submit() {
    const text = this.text.value;
    const topic = this.topic;
    if (!text.trim()) return;
    this.#put("");
    this.fail("");
    const pending = make(PENDING);
    pending.firstChild.textContent = text;
    this.strips.append(pending);
    const timer = setTimeout(() => (pending.hidden = false), PENDING_AFTER);
    try {
      await this.view.send(topic, text);
    } catch (error) {
      this.#giveBack(topic, text);
      this.fail(error.message);
    }
    clearTimeout(timer);
    pending.remove();
  }

  #giveBack(topic, text) {
    const joined = (draft) => (draft ? `${text}\n${draft}` : text);
    if (topic === this.topic) this.#put(joined(this.text.value));
    else this.drafts.set(topic, joined(this.drafts.get(topic)));
  }
}

/** Runs a form's request when it is submitted: its error is shown in it, and what was typed stays. */
function onSubmit(form, error, task) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector(".lu-button:not([type])");
    say(error, "");
    button.disabled = true;
    await task().catch((failure) => say(error, failure.message));
    button.disabled = false;
  });
}

/** A new room by its name, or somebody's by its topic. */
function buildRoomForm(kernel, done) {
  const root = make(ROOM_FORM);
  for (const form of root.querySelectorAll("form")) {
    const input = form.querySelector("input");
    onSubmit(form, part(root, "error"), async () => {
      await kernel.request(form.dataset.request, { [form.dataset.field]: input.value.trim() });
      input.value = "";
      done();
    });
  }
  return root;
}

/** Name and avatar: what a new user sees first, and later the settings. */
class ProfileForm {
  me = {};
  url = null;

  constructor(kernel, blobs, done) {
    this.root = make(PROFILE_FORM);
    this.blobs = blobs;
    this.preview = part(this.root, "avatar-preview");
    this.picker = part(this.root, "avatar-input");
    this.name = part(this.root, "name");
    this.name.addEventListener("input", () => this.#show());
    this.picker.addEventListener("change", () => this.#show());
    part(this.root, "choose-avatar").addEventListener("click", () => this.picker.click());
    part(this.root, "cancel-profile").addEventListener("click", done);
    onSubmit(this.root, part(this.root, "error"), async () => {
      const [file] = this.picker.files;
      const avatar = file ? await upload(kernel, file, { purpose: "avatar" }) : null;
      await kernel.request("profile", { name: this.name.value, avatar });
      done();
    });
  }

  open(me, first) {
    this.me = me;
    this.picker.value = "";
    this.name.value = first ? "" : me.name;
    setText(this.root.querySelector("h2"), first ? "Who are you?" : "Your profile");
    setText(part(this.root, "save-profile"), first ? "Start chatting" : "Save");
    part(this.root, "cancel-profile").hidden = first;
    say(part(this.root, "error"), "");
    this.#show();
  }

  #show() {
    const [file] = this.picker.files;
    this.blobs.revoke(this.url);
    this.url = file && IMAGE_TYPES.has(file.type) ? this.blobs.make([file], file.type) : null;
    setAvatar(this.preview, { ...this.me, name: this.name.value });
    this.preview.style.backgroundImage = this.url ? `url(${this.url})` : "";
    this.preview.classList.toggle("lu-pictured", Boolean(this.url));
  }
}

/** One view of the chat tab: asks the kernel, and shows what it says. */
class Chat {
  root = make(FRAME);
  parts = parts(this.root);
  style = document.createElement("style");
  blobs = new Blobs();
  state = null;
  epoch = null;
  at = null; // seq of the last row here
  heard = -1; // seq of the last row that the kernel has spoken of
  replayTo = -1; // rows up to here were there before this view
  asking = false;
  catchUp = 0;
  avatars = new Map(); // id → URL
  panel = null; // "settings" or "rooms", what the reader opened
  onScreen = false;
  watch = new IntersectionObserver(([entry]) => this.#setOnScreen(entry.isIntersecting));
  closed = new AbortController();
  id = randomId();

  constructor(model, el) {
    this.model = model;
    this.el = el;
    this.root.id = `lu-${this.id}`;
    this.kernel = new Kernel(model, this.id, (busy) => this.composer.setBusy(busy));
    this.composer = new Composer(this.parts, this);
    this.log = new Log(this.parts, this.kernel, this.blobs, {
      onread: (seq) => this.log.topic && this.#tell("seen", { topic: this.log.topic, seq }),
      onselect: (seq) => this.#tell("select", { topic: this.log.topic, seq }),
    });
    this.profile = new ProfileForm(this.kernel, this.blobs, () => this.#open(null));
    this.roomForm = buildRoomForm(this.kernel, () => this.#open(null));
    this.parts.centre.append(this.profile.root);
    el.append(this.style, this.root);
    this.watch.observe(this.root);
    this.#listen();
    this.#hello();
  }

  async send(topic, text) {
    const { content } = await this.kernel.request("send", { topic, text });
    if (content.action === "pick_avatar") this.#open("settings");
  }

  record() {
    this.#do("record", { on: !this.state.recording });
  }

  close() {
    this.#tell("bye", {});
    this.closed.abort();
    clearTimeout(this.catchUp);
    this.watch.disconnect();
    this.kernel.stop();
    this.log.close();
    this.blobs.close();
    this.root.remove();
    this.style.remove();
  }

  #listen() {
    const on = (name, event, listener) => this.parts[name].addEventListener(event, listener);
    on("rooms", "click", (event) => this.#onRoom(event));
    on("create-or-join", "click", () => this.#open(this.panel === "rooms" && this.state?.room ? null : "rooms"));
    on("me", "click", () => this.#open(this.panel === "settings" ? null : "settings"));
    on("show-rooms", "click", () => this.#toggleDrawer("rooms"));
    on("show-peers", "click", () => this.#toggleDrawer("peers"));
    on("copy-topic", "click", ({ target }) => copyText(this.state.room, target));
    on("copy-expression", "click", ({ target }) => copyText(this.state.selection.expression, target));
    on("leave", "click", () => (this.parts.leaving.hidden = false));
    on("leave-cancel", "click", () => (this.parts.leaving.hidden = true));
    on("leave-confirm", "click", () => this.#do("leave", { topic: this.state.room }));
    this.root.addEventListener("keydown", (event) => this.#onKey(event));
    this.root.addEventListener("dragover", (event) => this.#onDrag(event));
    this.root.addEventListener("dragleave", (event) => this.#onDrag(event));
    this.root.addEventListener("drop", (event) => this.#onDrag(event));
    const { signal } = this.closed;
    document.addEventListener("visibilitychange", () => this.#setOnScreen(this.onScreen), { signal });
    window.addEventListener("online", () => this.#hello(), { signal });
    const receive = (content, buffers) => this.#receive(content, buffers);
    const stopped = () => this.#onStopped();
    this.model.on("msg:custom", receive);
    this.model.on("comm_live_update", stopped);
    signal.addEventListener("abort", () => {
      this.model.off("msg:custom", receive);
      this.model.off("comm_live_update", stopped);
    });
  }

  /** Asks for the state, and for the rows after the last one here. */
  async #hello() {
    if (this.asking) return;
    this.asking = true;
    const about = { room: this.log.topic, epoch: this.epoch, last_seq: this.at };
    await this.kernel.request("hello", about, { resend: RESEND, quiet: true }).catch(() => {});
    this.asking = false;
  }

  /** A request whose failure is shown above the composer. */
  #do(type, fields) {
    return this.kernel.request(type, fields).catch((error) => this.composer.fail(error.message));
  }

  /** A request that may be sent twice, and whose failure matters to nobody. */
  #tell(type, fields) {
    return this.kernel.request(type, fields, { resend: RESEND, quiet: true }).catch(() => {});
  }

  #receive(content, buffers) {
    if (content.view && content.view !== this.id) return;
    if (content.type === "reply") this.kernel.answer(content, buffers);
    else if (content.type === "state") this.#onState(content);
    else if (content.type === "rows") this.#onRows(content);
    else if (content.type === "row_update") this.#onDeliveries(content);
    else if (content.type === "avatar") this.#onAvatar(content, buffers);
    else if (content.type === "error") this.composer.fail(content.text);
  }

  #onDeliveries({ room, rows }) {
    if (room === this.log.topic) rows.forEach(({ seq, recipients }) => this.log.delivered(seq, recipients));
  }

  #onAvatar({ avatar, mime }, buffers) {
    if (this.avatars.has(avatar) || !AVATAR_ID.test(avatar) || !IMAGE_TYPES.has(mime)) return;
    this.avatars.set(avatar, this.blobs.make(buffers, mime));
    if (this.avatars.size > MAX_AVATARS) {
      const [oldest, url] = this.avatars.entries().next().value;
      this.avatars.delete(oldest);
      this.blobs.revoke(url);
    }
    const rule = ([id, url]) => `#${this.root.id} [data-avatar="${id}"]{background-image:url(${url});color:transparent}`;
    this.style.textContent = [...this.avatars].map(rule).join("\n");
  }

  #onRows({ room, epoch, reset, rows, oldest, last_seq: announced, seen }) {
    if (room !== this.state?.room || (!reset && epoch !== this.epoch)) return;
    if (reset) {
      this.log.reset(room, seen);
      this.epoch = epoch;
      this.at = (rows[0]?.seq ?? announced + 1) - 1;
      this.replayTo = this.heard = announced;
    }
    const news = rows.filter(({ seq }) => seq > this.at);
    if (news.length && news[0].seq === this.at + 1) {
      this.log.add(news, this.at >= this.replayTo);
      this.at = news.at(-1).seq;
    }
    this.log.drop(oldest);
    if (this.at >= this.replayTo) this.log.replayed();
    this.heard = Math.max(this.heard, announced, rows.at(-1)?.seq ?? -1);
    clearTimeout(this.catchUp);
    if (this.at < this.heard) this.catchUp = setTimeout(() => this.#hello(), CATCH_UP_AFTER);
    this.#showAlone();
  }

  #onState(state) {
    const before = this.state;
    this.state = state;
    if (before?.room !== state.room) this.parts.leaving.hidden = true;
    if (state.needs_profile !== before?.needs_profile) this.profile.open(state.me, state.needs_profile);
    const focused = this.root.contains(document.activeElement);
    this.#show();
    if (focused && !this.root.querySelector(":focus")?.checkVisibility()) this.#focus();
  }

  /** Where the reader will want to type. */
  #focus() {
    const { mode } = this.root.dataset;
    if (mode === "chat") this.composer.focus();
    else part(mode === "roomless" ? this.roomForm : this.profile.root, mode === "roomless" ? "create-name" : "name").focus();
  }

  #onStopped() {
    if (!this.el.closest(".jupyter-widgets-disconnected")) return;
    this.kernel.stop();
    this.#showStatus({ level: "off", text: STOPPED });
  }

  #setOnScreen(onScreen) {
    this.onScreen = onScreen;
    this.log.setVisible(onScreen && document.visibilityState === "visible");
  }

  #onRoom(event) {
    const topic = event.target.closest(".lu-room")?.dataset.topic;
    if (!topic) return;
    this.#toggleDrawer(null);
    this.#do("show", { topic }).then(() => this.composer.focus());
  }

  /** The notebook around must not take what is typed here for its own keys. */
  #onKey(event) {
    event.stopPropagation();
    if (event.key !== "Escape" || event.defaultPrevented) return;
    if (this.panel) this.#open(null);
    else this.#toggleDrawer(null);
  }

  #onDrag(event) {
    if (!this.state?.room || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.stopPropagation();
    this.root.classList.toggle("lu-dropping", event.type === "dragover");
    if (event.type === "drop") this.composer.takeFiles(event, event.dataTransfer);
  }

  #toggleDrawer(name) {
    const open = this.root.dataset.drawer === name ? null : name;
    this.root.dataset.drawer = open ?? "";
    for (const each of ["rooms", "peers"]) this.parts[`show-${each}`].ariaExpanded = String(each === open);
  }

  #open(panel) {
    this.panel = panel;
    if (panel !== "rooms") this.#toggleDrawer(null);
    if (panel === "settings") this.profile.open(this.state.me, false);
    this.#show();
    if (panel !== "rooms") return this.#focus();
    this.roomForm.scrollIntoView({ block: "nearest" });
    part(this.roomForm, "create-name").focus();
  }

  #show() {
    const state = this.state;
    if (!state) return;
    const room = state.rooms.find(({ topic }) => topic === state.room);
    this.root.dataset.mode = state.needs_profile ? "first" : this.panel === "settings" ? "settings" : room ? "chat" : "roomless";
    this.#showStatus(state.status);
    this.#showRooms(state);
    this.#showPeers(state);
    this.#showForms(room);
    this.#showSelection(state.selection);
    setAvatar(this.parts.me.firstElementChild, state.me);
    setText(this.parts.me.lastElementChild, state.me.name ?? "");
    setText(this.parts["room-name"], room?.name ?? "");
    setText(this.parts.topic, room?.topic ?? "");
    this.parts.topic.title = room?.topic ?? "";
    this.composer.update({ ...state, name: room?.name ?? "" });
    this.#showAlone();
  }

  #showStatus({ level, text }) {
    this.parts.status.dataset.level = level;
    setText(this.parts.status, text);
    this.parts.status.title = text;
  }

  #showRooms({ rooms, room }) {
    keyed(this.parts.rooms, rooms, ({ topic }) => topic, ROOM, (item, { topic, name, unread }) => {
      const button = item.firstChild;
      button.dataset.topic = topic;
      button.setAttribute("aria-current", String(topic === room));
      setText(button.firstChild, name);
      say(button.lastChild, unread && !(topic === room && this.log.present) ? String(unread) : "");
      button.lastChild.ariaLabel = `${unread} unread`;
    });
    this.root.classList.toggle("lu-unread-elsewhere", rooms.some(({ topic, unread }) => unread && topic !== room));
  }

  #showPeers({ peers }) {
    const groups = [["here", "Here"], ["connecting", "Connecting"], ["away", "Away"]]
      .map(([status, title]) => ({ title, members: peers.filter((peer) => peer.status === status) }))
      .filter(({ title, members }) => members.length || title === "Here");
    keyed(this.parts.people, groups, ({ title }) => title, PEERS, (section, { title, members }) => {
      setText(section.firstChild, title);
      keyed(section.lastChild, members, ({ key }) => key, PEER, showPeer);
    });
  }

  #showForms(room) {
    const mode = this.root.dataset.mode;
    const place = this.parts["room-form-place"];
    const home = mode === "roomless" ? this.parts.centre : place;
    if (this.roomForm.parentElement !== home) home.append(this.roomForm);
    this.profile.root.hidden = mode !== "first" && mode !== "settings";
    place.hidden = this.panel !== "rooms" || !room;
    this.parts["create-or-join"].ariaExpanded = String(!place.hidden);
  }

  #showSelection(selection) {
    const text = selection ? `panel.selection  →  ${selection.expression}` : "panel.selection is the message you click";
    setText(this.parts.expression, text);
    this.parts["copy-expression"].hidden = !selection;
    this.log.select(selection?.seq ?? null);
  }

  #showAlone() {
    const { room, peers } = this.state;
    const alone = room && this.log.empty && !peers.some(({ status }) => status === "here");
    say(this.parts.alone, alone ? ALONE : "");
  }
}

function showPeer(item, { name, short, shared_name: shared, status, detail }) {
  const [, who, rtt] = item.children;
  item.dataset.status = status;
  setText(who.firstElementChild, name);
  setText(who.lastElementChild, shared ? short : "");
  setText(rtt, detail ?? "");
}

export default {
  render({ model, el }) {
    const chat = new Chat(model, el);
    return () => chat.close();
  },
};
