// The page's half of the chat widget; `notebook/chat/transcript.py` is the kernel's half.

import { Composer } from "./composer.js";
import { NATIVE_MENU, copyText, keyed, make, parse, part, parts, say, setAvatar, setText } from "./dom.js";
import { ProfileForm, buildRoomForm } from "./forms.js";
import { Blobs, Kernel, RESEND, STOPPED, randomId } from "./kernel.js";
import { Log } from "./log.js";
import { IMAGE_TYPES } from "./vetted.js";

const CATCH_UP_AFTER = 1_500; // ms to wait for rows that the kernel has announced before asking again
const MAX_AVATARS = 256; // pictures kept, the newest
const AVATAR_ID = /^[\w-]{1,128}$/;
const ALONE = "Nobody else is here yet. Whoever has the topic above can join.";

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

const ROOM = parse(`
  <li><button type="button" class="lu-room" data-lu="room"><bdi></bdi><span class="lu-unread" data-lu="unread" hidden></span></button></li>`);

const PEERS = parse(`<section><h2></h2><ul class="lu-list"></ul></section>`);

const PEER = parse(`
  <li class="lu-peer" data-lu="peer">
    <span class="lu-dot" aria-hidden="true"></span>
    <span class="lu-peer-name"><bdi></bdi> <code class="lu-short"></code></span>
    <span class="lu-faint" data-lu="rtt"></span>
  </li>`);

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
