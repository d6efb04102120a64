// @ts-check
// The page's half of the chat widget; `notebook/chat/transcript.py` is the kernel's half.

/** @import { FromKernel, Model, RoomEntry, Requests, Row, Rows, StateUpdate } from "./protocol.js" */
/** @import { Outgoing } from "./composer.js" */
/** @import { Situation } from "./session.js" */

import { AvatarSheet } from "./avatars.js";
import { Composer } from "./composer.js";
import { takeDrops } from "./drops.js";
import { Edges } from "./edges.js";
import { child, make, part, parts, say, setAvatar, setText } from "./dom.js";
import { showEmpty, situationOfRoom } from "./empty.js";
import { ExplorerTab } from "./explorer.js";
import { Focus } from "./focus.js";
import { Footer } from "./footer.js";
import { ProfileForm, buildRoomForm } from "./forms.js";
import { FRAME } from "./frame.js";
import { Head } from "./head.js";
import { Blobs, Kernel, RESEND, randomId, sentenceOf } from "./kernel.js";
import { Leaving } from "./leaving.js";
import { Log } from "./log.js";
import { askForMicrophone } from "./microphone.js";
import { Notices } from "./notices.js";
import { closePopover } from "./popover.js";
import { Search } from "./search.js";
import { SITUATIONS, Session } from "./session.js";
import { SettingsTab } from "./settings.js";
import { showPeers, showRooms, walkRooms } from "./sides.js";
import { SwarmTab } from "./swarm.js";
import { openSwitcher } from "./switcher.js";
import { Tabs } from "./tabs.js";
import { Voice } from "./voice.js";
import { clockWords, typingWords } from "./words.js";

const NARROWEST = 680; // px below which the rooms are one, too
const NARROW = 980; // px of the panel below which the people are a drawer, as in narrow.css
const WAITING = "Waiting for the kernel…";

/** One view of the panel: asks the kernel, and shows what it says. */
class Chat {
  root = make(FRAME);
  parts = parts(this.root);
  blobs = new Blobs();
  /** @type {StateUpdate | null} */
  state = null;
  /** @type {string | null} */
  epoch = null;
  /** @type {number | null} how many changes of that epoch are here */
  version = null;
  asking = false;
  asksForRoom = false; // whether the reader opened the form for rooms
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
    this.avatars = new AvatarSheet(this.root.id, this.blobs);
    this.kernel = new Kernel(model, this.id, (busy) => this.composer.setBusy(busy));
    this.composer = new Composer(this.parts, this);
    this.voice = new Voice(this.parts.voice);
    const onfail = (/** @type {string} */ sentence) => this.composer.fail(sentence);
    const onnote = (/** @type {string} */ sentence) => this.#note(sentence);
    this.log = new Log(this.parts, this.kernel, this.blobs, {
      voice: this.voice,
      onread: (seen) => this.#tell("seen", seen),
      onselect: (target) => this.#tell("select", { topic: this.log.topic, target }),
      onreply: (row) => this.composer.reply(row),
      onedit: (row) => this.composer.edit(row),
      onload: () => this.#showAlone(),
      onfail, onnote,
      typesetter: model.widget_manager?.rendermime?.latexTypesetter,
    });
    this.head = new Head(this.parts, this.kernel, {
      onleave: () => this.leaving.ask(this.#room()),
      onfail,
      onnote,
      oncommand: (text) => this.composer.propose(text),
    });
    this.search = new Search(this.parts, this.kernel, {
      onopen: () => (this.root.dataset.searching = ""),
      onclose: () => delete this.root.dataset.searching,
      onjump: (hit) => this.#goTo(hit.channel, hit.id),
    });
    this.profile = new ProfileForm(this.kernel, this.blobs, () => this.tabs.show("chat"));
    this.roomForm = buildRoomForm(this.kernel, () => this.#askForRoom(false));
    this.parts.centre.append(this.profile.root);
    this.footer = new Footer(this.parts);
    this.notices = new Notices(this.closed.signal, (away) => this.kernel.request("away", { away }, { quiet: true }).catch(() => {}));
    this.leaving = new Leaving(this.parts, (forget) => this.state?.room && this.#do("leave", { topic: this.state.room, forget }));
    this.edges = new Edges(this.root, this.parts, (side) => this.#toggleDrawer(side === "left" ? "rooms" : "peers"));
    this.focus = new Focus(this.root, () => this.#focus(), () => this.#cancel(), this.closed.signal);
    const options = { onfail: (/** @type {string} */ sentence) => this.#fail(sentence), onexpression: () => this.#showExpression() };
    this.tabs = new Tabs(this.root, this.parts, () => this.#onTab(), {
      drive: (place) => new ExplorerTab(place, this.kernel, this.blobs, options),
      swarm: (place) => new SwarmTab(place, this.kernel, options),
      settings: (place) => new SettingsTab(place, this.kernel, { ...options, ...this.#settings() }),
    });
    el.append(this.avatars.style, this.root);
    this.watch.observe(this.root);
    const isCut = () => Boolean(el.closest(".jupyter-widgets-disconnected"));
    this.session = new Session(model.widget_manager?.context?.sessionContext, isCut, (now) => this.#onSituation(now));
    this.#listen();
    this.#showSituation();
    if (isCut()) this.session.set("saved");
    else this.#hello();
  }

  /** @param {Outgoing} message */
  async send(message) {
    const { content } = await this.kernel.request("send", message);
    if (content.action === "pick_avatar") this.#openProfile();
    else if (this.log.topic === message.topic) this.log.toNewest();
  }

  /**
   * @param {Row} row
   * @param {string} text
   */
  edit(row, text) {
    return this.kernel.request("edit", { topic: this.state?.room ?? "", target: row.id, text });
  }

  typing() {
    if (this.state?.invite) this.#tell("typing", { topic: this.state.room ?? "", channel: this.state.channel });
  }

  lastOwn() {
    return this.log.lastOwn;
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
    this.voice.close();
    this.watch.disconnect();
    this.session.close();
    this.kernel.stop();
    this.log.close();
    this.blobs.close();
    this.root.remove();
    this.avatars.style.remove();
  }

  #listen() {
    /** @type {(name: string, listener: (event: MouseEvent) => void) => void} */
    const on = (name, listener) => this.parts[name].addEventListener("click", listener);
    on("rooms", (event) => this.#onRoom(event));
    on("linkup-rooms", (event) => this.#onRoom(event));
    walkRooms(this.parts.left);
    this.root.addEventListener("keydown", (event) => this.#onKey(event), { capture: true });
    on("create-or-join", () => this.#askForRoom(!(this.asksForRoom && this.state?.room)));
    on("me", () => this.#openProfile());
    on("show-rooms", () => this.#toggleDrawer("rooms"));
    on("show-peers", () => this.#toggleDrawer("peers"));
    this.root.addEventListener("pointerdown", ({ target }) => {
      const inside = /** @type {Element} */ (target).closest(`.lu-side, .lu-popover, [data-lu="show-rooms"], [data-lu="show-peers"]`);
      if (this.root.dataset.drawer && !inside) this.#toggleDrawer(null);
    });
    takeDrops(this.root, {
      wanted: () => !this.tabs.current || Boolean(this.tabs.current.takeFiles),
      typing: () => this.profile.open || Boolean(this.tabs.current),
      onfiles: (files) => this.#takeFiles(files),
      ontext: (text) => this.composer.insert(text),
    });
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
    const about = { epoch: this.epoch, version: this.version };
    await this.kernel.request("hello", about, { resend: RESEND, quiet: true }).catch(() => {});
    this.asking = false;
    this.tabs.again();
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
    else if (content.type === "progress") this.log.progress(content);
    else if (content.type === "avatar") this.avatars.add(content, buffers);
    else if (content.type === "error") this.#fail(content.text);
    else if (content.type === "look") this.#look(content);
    else this.tabs.receive(content, buffers);
  }

  /** @param {Rows} rows */
  #onRows(rows) {
    const { room, channel, epoch, after, version, reset } = rows;
    if (room !== (this.state?.room ?? null) || channel !== (this.state?.channel ?? "")) return;
    const moved = room !== this.log.topic || channel !== this.log.channel;
    // What follows an earlier version than that which is here tells some of it again, which does no harm.
    if (!reset && (epoch !== this.epoch || after > (this.version ?? -1))) return void this.#hello();
    this.version = epoch === this.epoch ? Math.max(version, this.version ?? -1) : version;
    this.epoch = epoch;
    if (moved) this.log.open(room, channel);
    if (moved || !reset || !this.log.renew()) this.log.show(rows);
    this.#showAlone();
  }

  /** @param {StateUpdate} news */
  #onState(news) {
    const before = this.state;
    // A node that has closed is in no room any more, and what was seen of it stays.
    const state = (this.state = news.status.level === "off" && before ? { ...before, status: news.status } : news);
    if (before?.room !== state.room) this.leaving.close();
    if (state.needs_profile !== before?.needs_profile) this.profile.fill(state.me, state.needs_profile);
    const focused = this.root.contains(document.activeElement);
    this.notices.update(state);
    this.#show();
    if (focused && !this.root.querySelector(":focus")?.checkVisibility()) this.#focus();
  }

  /** Where the reader will want to type. */
  #focus() {
    if (this.tabs.current) return this.tabs.current.focus();
    const { mode } = this.root.dataset;
    if (mode === "chat") this.composer.focus();
    else if (mode === "roomless") part(this.roomForm, "create-name").focus();
    else if (mode) this.profile.name.focus();
  }

  #cancel() {
    if (this.tabs.current) return closePopover() || this.tabs.current.cancel();
    if (closePopover() || this.composer.cancel() || this.search.close() || this.log.back()) return true;
    if (!this.asksForRoom && !this.root.dataset.drawer) return false;
    if (this.asksForRoom) this.#askForRoom(false);
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
    this.log.setVisible(onScreen && this.tabs.shown === "chat" && document.visibilityState === "visible");
  }

  /** @param {MouseEvent} event */
  #onRoom(event) {
    const button = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest(".lu-room"));
    const { topic, channel = "" } = button?.dataset ?? {};
    if (!topic) return;
    this.#toggleDrawer(null);
    this.#do("show", { topic, channel }).then(() => this.composer.focus());
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
    event.preventDefault();
    event.stopPropagation();
    const go = (/** @type {string} */ topic, /** @type {string} */ channel) => this.#do("show", { topic, channel }).then(() => this.composer.focus());
    openSwitcher(this.parts["room-name"].isConnected ? this.parts.composer : this.root, this.state?.rooms ?? [], go);
  }

  /**
   * @param {string} channel
   * @param {string} id of a message
   */
  async #goTo(channel, id) {
    if (channel !== this.state?.channel) await this.#do("show", { topic: this.state?.room ?? "", channel });
    this.log.jump(id);
  }

  /** @param {string} sentence that matters for a moment */
  #note(sentence) {
    this.voice.say(sentence);
    this.composer.note(sentence);
  }

  #room() {
    return this.state?.rooms.find(({ topic }) => topic === this.state?.room);
  }

  /** @param {File[]} files */
  #takeFiles(files) {
    if (this.tabs.current) this.tabs.current.takeFiles?.(files);
    else if (this.profile.open) this.profile.take(files);
    else this.composer.takeFiles(files);
  }

  /** @param {"rooms" | "peers" | null} name */
  #toggleDrawer(name) {
    if (name && this.root.clientWidth >= (name === "peers" ? NARROW : NARROWEST)) {
      const shown = !this.root.classList.toggle(name === "peers" ? "lu-without-people" : "lu-without-rooms");
      this.parts[`show-${name}`].ariaExpanded = String(shown);
      return;
    }
    const open = this.root.dataset.drawer === name ? null : name;
    this.root.dataset.drawer = open ?? "";
    for (const each of ["rooms", "peers"]) this.parts[`show-${each}`].ariaExpanded = String(each === open);
  }

  /** @param {boolean} wanted */
  #askForRoom(wanted) {
    this.asksForRoom = wanted;
    if (!wanted) this.#toggleDrawer(null);
    this.#show();
    if (!wanted) return this.#focus();
    this.roomForm.scrollIntoView({ block: "nearest" });
    part(this.roomForm, "create-name").focus();
  }

  #openProfile() {
    this.asksForRoom = false;
    this.#toggleDrawer(null);
    this.#show();
    this.tabs.show("settings");
    this.profile.name.focus();
  }

  /** Its tab has the profile's form, which a new user sees before all else. */
  #settings() {
    return {
      profile: this.profile,
      notices: this.notices,
      key: () => this.state?.me.key ?? "",
      expression: () => `${this.state?.node ?? ""}.store.usage()`,
      onopen: () => this.state && this.profile.fill(this.state.me, false),
      onback: () => {
        this.tabs.show("chat");
        this.#focus();
      },
    };
  }

  #show() {
    const state = this.state;
    if (!state) return;
    const room = this.#room();
    this.root.dataset.mode = state.needs_profile ? "first" : room ? "chat" : "roomless";
    showRooms(this.parts, state.rooms, { topic: state.room, channel: state.channel }, this.log.present);
    showPeers(this.parts.people, state.peers);
    this.log.mentions.setPeople(room?.linkup ? [] : state.peers.map(({ name }) => name), this.log.rows);
    const elsewhere = state.rooms.filter(({ topic, muted }) => topic !== state.room && !muted);
    this.root.classList.toggle("lu-unread-elsewhere", elsewhere.some(({ unread }) => unread));
    this.root.classList.toggle("lu-mentioned-elsewhere", elsewhere.some(({ mentions }) => mentions));
    this.#showForms(room);
    this.#showSelection(state.selection);
    setAvatar(child(this.parts.me, 0), state.me);
    setText(child(this.parts.me, 1), state.me.name ?? "");
    this.head.update(state, room);
    this.search.update(state.invite ? state.room : null, state.channel, room?.name ?? "");
    this.parts["show-search"].hidden = !state.invite;
    setText(this.parts.typing, typingWords(state.typing));
    this.composer.update(state, state.channel || (room?.name ?? ""), Boolean(room?.linkup));
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
    if (mode === "first" && this.profile.root.parentElement !== this.parts.centre) this.parts.centre.append(this.profile.root);
    this.profile.root.hidden = mode !== "first" && this.tabs.shown !== "settings";
    place.hidden = !this.asksForRoom || !room;
    this.parts["create-or-join"].ariaExpanded = String(!place.hidden);
  }

  /** @param {StateUpdate["selection"]} selection */
  #showSelection(selection) {
    this.log.select(selection?.id ?? null);
    this.#showExpression();
  }

  #showExpression() {
    const tab = this.tabs.current;
    this.footer.show(tab ? tab.expression : (this.state?.selection?.expression ?? ""), !tab);
  }

  /** Another tab is shown. */
  #onTab() {
    closePopover();
    this.profile.root.hidden = this.tabs.shown !== "settings" && this.root.dataset.mode !== "first";
    say(this.parts["tab-error"], "");
    this.#setOnScreen(this.onScreen);
    this.#showExpression();
  }

  /** @param {import("./protocol.js").LookUpdate} at what a cell wants to be shown */
  #look({ tab, channel = "", target, drive, version = 0 }) {
    this.tabs.show(tab);
    if (target) this.#goTo(channel, target);
    if (drive) /** @type {ExplorerTab} */ (this.tabs.current).look({ drive, version, path: null });
  }

  /** @param {string} sentence */
  #fail(sentence) {
    if (this.tabs.current) say(this.parts["tab-error"], sentence);
    else this.composer.fail(sentence);
  }

  #showAlone() {
    const { state, session } = this;
    const off = !state || this.composer.off || session.situation !== "live";
    const situation = off ? "" : situationOfRoom(state, this.#room(), this.log.empty);
    showEmpty(this.parts.alone, situation, this.#room(), this.head);
  }
}

export default {
  /** @param {{model: Model, el: HTMLElement}} view */
  render({ model, el }) {
    const chat = new Chat(model, el);
    return () => chat.close();
  },
};
