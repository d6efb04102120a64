// @ts-check
// The page's half of the chat widget; `notebook/chat/transcript.py` is the kernel's half.

/** @import { AvatarPicture, FromKernel, Model, RoomEntry, Requests, RowUpdate, Rows, StateUpdate } from "./protocol.js" */
/** @import { Situation } from "./session.js" */

import { Composer } from "./composer.js";
import { child, copyText, make, part, parts, say, setAvatar, setText } from "./dom.js";
import { Focus, isEditable } from "./focus.js";
import { ProfileForm, buildRoomForm } from "./forms.js";
import { FRAME } from "./frame.js";
import { Blobs, Kernel, RESEND, randomId, sentenceOf } from "./kernel.js";
import { Log } from "./log.js";
import { askForMicrophone } from "./microphone.js";
import { SITUATIONS, Session } from "./session.js";
import { showPeers, showRooms } from "./sides.js";
import { filesOfClip } from "./tray.js";
import { IMAGE_TYPES } from "./vetted.js";
import { clockWords } from "./words.js";

const CATCH_UP_AFTER = 1_500; // ms to wait for rows that the kernel has announced before asking again
const MAX_AVATARS = 256; // pictures kept, the newest
const AVATAR_ID = /^[\w-]{1,128}$/;
const WAITING = "Waiting for the kernel…";
const ALONE = "Nobody else is here yet. Whoever has the topic above can join.";

/** One view of the chat tab: asks the kernel, and shows what it says. */
class Chat {
  root = make(FRAME);
  parts = parts(this.root);
  style = document.createElement("style");
  blobs = new Blobs();
  /** @type {StateUpdate | null} */
  state = null;
  /** @type {string | null} */
  epoch = null;
  /** @type {number | null} seq of the last row here */
  at = null;
  announced = -1; // seq of the last row that the kernel has spoken of
  replayTo = -1; // rows up to here were there before this view
  asking = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  catchUp = undefined;
  /** @type {Map<string, string>} id → URL */
  avatars = new Map();
  /** @type {"settings" | "rooms" | null} what the reader opened */
  panel = null;
  onScreen = false;
  watch = new IntersectionObserver(([entry]) => this.#setOnScreen(entry.isIntersecting));
  closed = new AbortController();
  id = randomId();

  /**
   * @param {Model} model
   * @param {HTMLElement} el
   */
  constructor(model, el) {
    this.model = model;
    this.el = el;
    this.root.id = `lu-${this.id}`;
    this.kernel = new Kernel(model, this.id, (busy) => this.composer.setBusy(busy));
    this.composer = new Composer(this.parts, this);
    this.log = new Log(this.parts, this.kernel, this.blobs, {
      onread: (seq) => this.log.topic && this.#tell("seen", { topic: this.log.topic, seq }),
      onselect: (seq) => this.#tell("select", { topic: this.log.topic, seq }),
      typesetter: model.widget_manager?.rendermime?.latexTypesetter,
    });
    this.profile = new ProfileForm(this.kernel, this.blobs, () => this.#open(null));
    this.roomForm = buildRoomForm(this.kernel, () => this.#open(null));
    this.parts.centre.append(this.profile.root);
    this.focus = new Focus(this.root, () => this.#focus(), () => this.#cancel(), this.closed.signal);
    el.append(this.style, this.root);
    this.watch.observe(this.root);
    const isCut = () => Boolean(el.closest(".jupyter-widgets-disconnected"));
    this.session = new Session(model.widget_manager?.context?.sessionContext, isCut, (now) => this.#onSituation(now));
    this.#listen();
    this.#showSituation();
    if (isCut()) this.session.set("saved");
    else this.#hello();
  }

  /**
   * @param {string | null} topic
   * @param {string} text
   */
  async send(topic, text) {
    const { content } = await this.kernel.request("send", { topic, text });
    if (content.action === "pick_avatar") this.#open("settings");
  }

  async record() {
    const on = !this.state?.recording;
    try {
      if (on) await askForMicrophone(navigator.mediaDevices);
    } catch (error) {
      return this.composer.fail(sentenceOf(error));
    }
    await this.#do("record", { on });
  }

  close() {
    this.#tell("bye", {});
    this.closed.abort();
    clearTimeout(this.catchUp);
    this.watch.disconnect();
    this.session.close();
    this.kernel.stop();
    this.log.close();
    this.blobs.close();
    this.root.remove();
    this.style.remove();
  }

  #listen() {
    /** @type {(name: string, listener: (event: MouseEvent) => void) => void} */
    const on = (name, listener) => this.parts[name].addEventListener("click", listener);
    on("rooms", (event) => this.#onRoom(event));
    on("create-or-join", () => this.#open(this.panel === "rooms" && this.state?.room ? null : "rooms"));
    on("me", () => this.#open(this.panel === "settings" ? null : "settings"));
    on("show-rooms", () => this.#toggleDrawer("rooms"));
    on("show-peers", () => this.#toggleDrawer("peers"));
    on("copy-topic", () => copyText(this.state?.room ?? "", this.parts["copy-topic"]));
    on("copy-expression", () => copyText(this.state?.selection?.expression ?? "", this.parts["copy-expression"]));
    on("leave", () => (this.parts.leaving.hidden = false));
    on("leave-cancel", () => (this.parts.leaving.hidden = true));
    on("leave-confirm", () => this.state?.room && this.#do("leave", { topic: this.state.room }));
    this.root.addEventListener("paste", (event) => this.#onPaste(event));
    for (const type of /** @type {const} */ (["dragover", "dragleave", "drop"])) {
      this.root.addEventListener(type, (event) => this.#onDrag(event));
    }
    const { signal } = this.closed;
    document.addEventListener("visibilitychange", () => this.#setOnScreen(this.onScreen), { signal });
    window.addEventListener("online", () => this.#hello(), { signal });
    /** @type {(content: FromKernel, buffers: DataView[]) => void} */
    const receive = (content, buffers) => this.#receive(content, buffers);
    // The class that says whether the widget has its comm is set by another listener of this event, maybe after this one.
    const look = () => queueMicrotask(this.session.look);
    this.model.on("msg:custom", receive);
    this.model.on("comm_live_update", look);
    signal.addEventListener("abort", () => {
      this.model.off("msg:custom", receive);
      this.model.off("comm_live_update", look);
    });
  }

  /** Asks for the state, and for the rows after the last one here. */
  async #hello() {
    if (this.asking) return;
    this.asking = true;
    const about = { epoch: this.epoch, last_seq: this.at };
    await this.kernel.request("hello", about, { resend: RESEND, quiet: true }).catch(() => {});
    this.asking = false;
  }

  /**
   * A request whose failure is shown above the composer.
   * @template {keyof Requests} Type
   * @param {Type} type
   * @param {Requests[Type]} fields
   */
  #do(type, fields) {
    return this.kernel.request(type, fields).catch((error) => this.composer.off || this.composer.fail(sentenceOf(error)));
  }

  /**
   * A request that may be sent twice, and whose failure matters to nobody.
   * @template {keyof Requests} Type
   * @param {Type} type
   * @param {Requests[Type]} fields
   */
  #tell(type, fields) {
    return this.kernel.request(type, fields, { resend: RESEND, quiet: true }).catch(() => {});
  }

  /**
   * @param {FromKernel} content
   * @param {DataView[]} buffers
   */
  #receive(content, buffers) {
    if ((content.view && content.view !== this.id) || this.session.over) return;
    if (content.type === "reply") this.kernel.answer(content, buffers);
    else if (content.type === "state") this.#onState(content);
    else if (content.type === "rows") this.#onRows(content);
    else if (content.type === "row_update") this.#onDeliveries(content);
    else if (content.type === "avatar") this.#onAvatar(content, buffers);
    else if (content.type === "error") this.composer.fail(content.text);
  }

  /** @param {RowUpdate} update */
  #onDeliveries({ room, rows }) {
    if (room === this.log.topic) rows.forEach(({ seq, recipients }) => this.log.delivered(seq, recipients));
  }

  /**
   * @param {AvatarPicture} picture
   * @param {DataView[]} buffers
   */
  #onAvatar({ avatar, mime }, buffers) {
    if (this.avatars.has(avatar) || !AVATAR_ID.test(avatar) || !IMAGE_TYPES.has(mime)) return;
    this.avatars.set(avatar, this.blobs.make(/** @type {BlobPart[]} */ (buffers), mime));
    for (const [oldest, url] of this.avatars) {
      if (this.avatars.size <= MAX_AVATARS) break;
      this.avatars.delete(oldest);
      this.blobs.revoke(url);
    }
    /** @type {(entry: [string, string]) => string} */
    const rule = ([id, url]) => `#${this.root.id} [data-avatar="${id}"]{background-image:url(${url});color:transparent}`;
    this.style.textContent = [...this.avatars].map(rule).join("\n");
  }

  /** @param {Rows} message */
  #onRows({ room, epoch, reset, rows, oldest, last_seq: announced, seen }) {
    if (room !== this.state?.room || (!reset && epoch !== this.epoch)) return;
    if (reset) {
      this.log.reset(room, seen);
      this.epoch = epoch;
      this.replayTo = this.announced = announced;
    }
    let at = reset || this.at === null ? (rows[0]?.seq ?? announced + 1) - 1 : this.at;
    const news = rows.filter(({ seq }) => seq > at);
    if (news[0]?.seq === at + 1) {
      this.log.add(news, at >= this.replayTo);
      at = news[news.length - 1].seq;
    }
    this.at = at;
    this.log.drop(oldest);
    if (at >= this.replayTo) this.log.replayed();
    this.announced = Math.max(this.announced, announced, rows.at(-1)?.seq ?? -1);
    clearTimeout(this.catchUp);
    if (at < this.announced) this.catchUp = setTimeout(() => this.#hello(), CATCH_UP_AFTER);
    this.#showAlone();
  }

  /** @param {StateUpdate} news */
  #onState(news) {
    const before = this.state;
    // A node that has closed is in no room any more, and what was seen of it stays.
    const state = (this.state = news.status.level === "off" && before ? { ...before, status: news.status } : news);
    if (before?.room !== state.room) this.parts.leaving.hidden = true;
    if (state.needs_profile !== before?.needs_profile) this.profile.fill(state.me, state.needs_profile);
    const focused = this.root.contains(document.activeElement);
    this.#show();
    if (focused && !this.root.querySelector(":focus")?.checkVisibility()) this.#focus();
  }

  /** Where the reader will want to type. */
  #focus() {
    const { mode } = this.root.dataset;
    if (mode === "chat") this.composer.focus();
    else if (mode === "roomless") part(this.roomForm, "create-name").focus();
    else if (mode) this.profile.name.focus();
  }

  #cancel() {
    if (!this.panel && !this.root.dataset.drawer) return false;
    if (this.panel) this.#open(null);
    else this.#toggleDrawer(null);
    return true;
  }

  /** @param {Situation} situation */
  #onSituation(situation) {
    const back = situation === "live";
    this.#showSituation();
    if (this.session.over) this.kernel.stop();
    else if (back) {
      this.kernel.reconnected();
      this.#hello();
    }
  }

  /** @param {boolean} onScreen */
  #setOnScreen(onScreen) {
    this.onScreen = onScreen;
    this.log.setVisible(onScreen && document.visibilityState === "visible");
  }

  /** @param {MouseEvent} event */
  #onRoom(event) {
    const button = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest(".lu-room"));
    const topic = button?.dataset.topic;
    if (!topic) return;
    this.#toggleDrawer(null);
    this.#do("show", { topic }).then(() => this.composer.focus());
  }

  /** @param {ClipboardEvent} event */
  #onPaste(event) {
    event.stopPropagation();
    const clip = event.clipboardData;
    if (!clip) return;
    const files = filesOfClip(clip);
    const text = isEditable(event.target) || this.profile.open ? "" : clip.getData("text/plain");
    if (!files.length && !text) return;
    event.preventDefault();
    if (files.length) this.#takeFiles(files);
    else this.composer.insert(text);
  }

  /** @param {DragEvent} event */
  #onDrag(event) {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.stopPropagation();
    this.root.classList.toggle("lu-dropping", event.type === "dragover");
    if (event.type === "drop") this.#takeFiles([...event.dataTransfer.files]);
  }

  /** @param {File[]} files */
  #takeFiles(files) {
    if (this.profile.open) this.profile.take(files);
    else this.composer.takeFiles(files);
  }

  /** @param {"rooms" | "peers" | null} name */
  #toggleDrawer(name) {
    const open = this.root.dataset.drawer === name ? null : name;
    this.root.dataset.drawer = open ?? "";
    for (const each of ["rooms", "peers"]) this.parts[`show-${each}`].ariaExpanded = String(each === open);
  }

  /** @param {"settings" | "rooms" | null} panel */
  #open(panel) {
    this.panel = panel;
    if (panel !== "rooms") this.#toggleDrawer(null);
    if (panel === "settings" && this.state) this.profile.fill(this.state.me, false);
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
    showRooms(this.parts.rooms, state.rooms, state.room, this.log.present);
    showPeers(this.parts.people, state.peers);
    this.root.classList.toggle("lu-unread-elsewhere", state.rooms.some(({ topic, unread }) => unread && topic !== state.room));
    this.#showForms(room);
    this.#showSelection(state.selection);
    setAvatar(child(this.parts.me, 0), state.me);
    setText(child(this.parts.me, 1), state.me.name ?? "");
    setText(this.parts["room-name"], room?.name ?? "");
    setText(this.parts.topic, room?.topic ?? "");
    this.parts.topic.title = room?.topic ?? "";
    this.composer.update(state, room?.name ?? "");
    this.#showSituation();
  }

  /** The line in the bar, and where that is not enough the banner below it. */
  #showSituation() {
    const { situation } = this.session;
    const closed = situation === "live" && this.state?.status.level === "off";
    const off = closed || situation !== "live";
    const { level, title, text } =
      situation === "live"
        ? { level: this.state?.status.level ?? "waiting", title: this.state?.status.text ?? WAITING, text: "" }
        : SITUATIONS[situation];
    this.composer.setOff(off);
    const wasOff = "off" in this.root.dataset;
    if (off) this.root.dataset.off = situation;
    else delete this.root.dataset.off;
    if (off && !wasOff) say(this.parts["as-of"], this.state?.room ? `as it was at ${clockWords(new Date())}` : "");
    else if (!off) say(this.parts["as-of"], "");
    say(this.parts.banner, text);
    this.parts.status.dataset.level = level;
    setText(this.parts.status, title);
    this.parts.status.title = title;
    this.#showAlone();
  }

  /** @param {RoomEntry | undefined} room */
  #showForms(room) {
    const mode = this.root.dataset.mode;
    const place = this.parts["room-form-place"];
    const home = mode === "roomless" ? this.parts.centre : place;
    if (this.roomForm.parentElement !== home) home.append(this.roomForm);
    this.profile.root.hidden = mode !== "first" && mode !== "settings";
    place.hidden = this.panel !== "rooms" || !room;
    this.parts["create-or-join"].ariaExpanded = String(!place.hidden);
  }

  /** @param {StateUpdate["selection"]} selection */
  #showSelection(selection) {
    const text = selection ? `panel.selection  →  ${selection.expression}` : "panel.selection is the message you click";
    setText(this.parts.expression, text);
    this.parts["copy-expression"].hidden = !selection;
    this.log.select(selection?.seq ?? null);
  }

  #showAlone() {
    const { room, peers } = this.state ?? { room: null, peers: [] };
    const alone = room && !this.composer.off && this.log.empty && !peers.some(({ status }) => status === "here");
    say(this.parts.alone, alone ? ALONE : "");
  }
}

export default {
  /** @param {{model: Model, el: HTMLElement}} view */
  render({ model, el }) {
    const chat = new Chat(model, el);
    return () => chat.close();
  },
};
