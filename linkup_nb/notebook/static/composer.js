// @ts-check
// The box at the bottom: text, completion of commands, files that wait to go and files on their way.

/** @import { CommandEntry, Row, StateUpdate } from "./protocol.js" */
/** @import { Blobs, Kernel } from "./kernel.js" */
/** @import { Completion } from "./completion.js" */
/** @typedef {{node: HTMLElement, progress: (share: number) => void, abort: AbortController}} Strip */

import { child, element, isComposing, make, parse, part, say, setText } from "./dom.js";
import { completionsOf } from "./completion.js";
import { Drafts, tabStorage } from "./drafts.js";
import { sentenceOf, upload } from "./kernel.js";
import { openPalette } from "./palette.js";
import { Tray } from "./tray.js";
import { fileName } from "./vetted.js";
import { sentenceOfRow } from "./voice.js";
import { sizeWords } from "./words.js";

const TYPING_EVERY = 3_000; // ms
const PENDING_AFTER = 300; // ms until a text under way is shown as such
const BUSY = "The kernel is busy; this will go out as soon as it is free.";
const SENDING = "Sending…";
const AWAY = "waits for the page";
const RECORDING = "Recording. Press the microphone again to stop and send.";
const ROOM_FIRST = "You are in no room: create or join one first, to send a file there.";

const UPLOAD = parse(`
  <div class="lu-strip" data-lu="upload">
    <bdi></bdi><progress max="1" value="0"></progress><span class="lu-faint"></span>
    <button type="button" class="lu-link" data-lu="upload-cancel">Cancel</button>
  </div>`);

const PENDING = parse(`<div class="lu-strip" data-lu="pending" hidden><bdi></bdi><span class="lu-faint"></span></div>`);

const OPTION = parse(`<li class="lu-option" data-lu="option" role="option"><code></code> <span class="lu-faint"></span></li>`);

/** @typedef {{topic: string | null, channel: string, text: string, to: string | null}} Outgoing */

/** What stands below the log. */
export class Composer {
  /** @type {CommandEntry[]} */
  commands = [];
  /** @type {string[]} names of the people in the room */
  people = [];
  /** @type {Completion[]} */
  choices = [];
  chosen = 0;
  busy = false;
  off = false;
  recording = false;
  /** @type {string | null} */
  topic = null;
  channel = "";
  /** @type {{kind: "reply" | "edit", row: Row} | null} what the text is about */
  about = null;
  typed = 0; // when the others were last told that one is writing
  author = "";
  drafts = new Drafts(tabStorage());
  started = false;
  noted = "";
  mostText = Infinity; // bytes of a message
  readOnly = ""; // why the reader cannot write here

  /**
   * @param {Record<string, HTMLElement>} parts
   * @param {{kernel: Kernel, blobs: Blobs, id: string, send: (about: Outgoing) => Promise<void>, edit: (row: Row, text: string) => Promise<unknown>, typing: () => void, record: () => void, lastOwn: () => Row | null}} view
   */
  constructor(parts, view) {
    this.view = view;
    this.text = /** @type {HTMLTextAreaElement} */ (parts.composer);
    this.grow = /** @type {HTMLElement} */ (this.text.parentElement);
    this.options = parts.completion;
    this.strips = parts.strips;
    this.notice = parts.notice;
    this.error = parts.error;
    this.buttons = /** @type {Record<"attach" | "record" | "send", HTMLButtonElement>} */ (/** @type {unknown} */ (parts));
    this.tray = new Tray(parts.tray, view.blobs, () => this.focus());
    const input = /** @type {HTMLInputElement} */ (parts["file-input"]);
    this.context = parts.context;
    this.contextWords = parts["context-words"];
    parts["context-cancel"].addEventListener("click", () => this.cancel());
    parts.emoji.addEventListener("click", () => openPalette(parts.emoji, (symbol) => this.insert(symbol)));
    this.options.id = `lu-${view.id}-commands`;
    this.text.setAttribute("aria-controls", this.options.id);
    this.text.addEventListener("input", () => this.#onInput());
    this.text.addEventListener("blur", () => this.#offer([]));
    this.text.addEventListener("keydown", (event) => this.#onKey(event));
    this.options.addEventListener("pointerdown", (event) => this.#onOption(event));
    this.buttons.record.addEventListener("click", () => this.view.record());
    this.buttons.send.addEventListener("click", () => this.#submit());
    this.buttons.attach.addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      this.takeFiles([...(input.files ?? [])]);
      input.value = "";
    });
  }

  /**
   * @param {StateUpdate} state
   * @param {string} name of the room
   * @param {boolean} linkup whether it is one of LinkUp's
   */
  update({ room, channel, me, peers, commands, limits, recording, read_only: readOnly }, name, linkup) {
    this.commands = commands.map((command) => ({ ...command, name: `~${command.name.replace(/^~/, "")}` }));
    this.readOnly = readOnly ?? "";
    this.mostText = limits.text;
    const writes = room && !readOnly;
    this.text.placeholder = writes ? `Message ${name}, or ~ for commands` : "~ for commands";
    this.text.ariaLabel = writes ? `Message ${name}` : "Command";
    const honest = linkup ? ". It stays in your drive of this room, readable to whoever has the drive’s key" : "";
    this.buttons.attach.title = `Attach a file of at most ${limits.file / 2 ** 20} MiB${honest}`;
    this.recording = recording;
    this.buttons.record.ariaPressed = String(recording);
    this.people = peers.filter(({ role }) => !role.startsWith("you")).map((peer) => peer.name);
    const moved = !this.started || room !== this.topic || channel !== this.channel;
    const early = this.started && !this.topic && this.about === null ? this.text.value : ""; // written before there was a room
    this.started = true;
    this.topic = room;
    this.channel = channel;
    this.author = me.key;
    this.#showAbility();
    if (!moved) return;
    this.#setAbout(null);
    this.#put(this.drafts.get(this.author, this.#place) || early);
    if (room && early) this.drafts.set(this.author, null, "");
    this.tray.open(this.#place);
    this.fail("");
  }

  /** Where drafts and files that wait are kept: a room, or a channel of it. */
  get #place() {
    return placeOf(this.topic, this.channel);
  }

  /** @param {Row} row to answer */
  reply(row) {
    this.#setAbout({ kind: "reply", row });
    this.focus();
  }

  /** @param {Row} row to write anew; what was being written comes back afterwards */
  edit(row) {
    this.#setAbout({ kind: "edit", row });
    this.#put(row.source ?? row.text ?? "");
    this.focus();
  }

  /** Answers or changes nothing; whether there was something to cancel. */
  cancel() {
    const { about } = this;
    if (!about) return false;
    this.#setAbout(null);
    if (about.kind === "edit") this.#put(this.drafts.get(this.author, this.#place));
    this.focus();
    return true;
  }

  focus() {
    this.text.focus({ preventScroll: true });
  }

  /** @param {string} text */
  insert(text) {
    this.focus();
    this.text.setRangeText(text, this.text.selectionStart, this.text.selectionEnd, "end");
    this.#changed();
  }

  /** @param {string} text of a command, to look at before it is sent */
  propose(text) {
    this.#put(text);
    this.focus();
  }

  /** @param {string} sentence shown until something is typed */
  note(sentence) {
    this.noted = sentence;
    this.#showAbility();
  }

  /** @param {string} sentence */
  fail(sentence) {
    say(this.error, sentence);
  }

  /** @param {boolean} busy */
  setBusy(busy) {
    this.busy = busy;
    this.#showAbility();
  }

  /**
   * Whether nothing can be sent now; why stands elsewhere.
   * @param {boolean} off
   */
  setOff(off) {
    this.off = off;
    if (off) this.fail("");
    this.#showAbility();
  }

  /**
   * Puts files into the tray, to be looked at before they are sent.
   * @param {File[]} files
   */
  takeFiles(files) {
    this.fail(this.topic ? this.readOnly : ROOM_FIRST);
    if (!this.topic || this.readOnly || !files.length) return;
    this.tray.add(this.#place, files);
    this.focus();
  }

  #showAbility() {
    this.buttons.send.disabled = this.off;
    this.buttons.attach.disabled = this.buttons.record.disabled = this.off || !this.topic || Boolean(this.readOnly);
    const notice = this.busy ? BUSY : this.recording ? RECORDING : this.noted || this.readOnly;
    say(this.notice, this.off ? "" : notice);
    for (const pending of this.strips.querySelectorAll(`[data-lu="pending"]`)) this.#showPending(pending);
  }

  /** @param {Element} pending */
  #showPending(pending) {
    setText(child(pending, 1), this.off ? AWAY : SENDING);
  }

  /** Sends the text and what waits in the tray; what the kernel refuses comes back into the box. */
  async #submit() {
    const text = this.text.value;
    if (this.off || (!text.trim() && this.tray.list.hidden)) return;
    if (new TextEncoder().encode(text).length > this.mostText) return this.#offerFile(text);
    const { about } = this;
    if (about?.kind === "edit") return this.#submitEdit(about.row, text);
    const where = { topic: this.topic, channel: this.channel, place: this.#place };
    const files = this.tray.take();
    this.#put("");
    this.fail("");
    this.#setAbout(null);
    const sent = !text.trim() || (await this.#sendText({ ...where, text, to: about?.row.id ?? null }));
    if (sent) await this.#sendFiles(where, files);
    else if (files.length) this.tray.add(where.place, files);
  }

  /**
   * A text that is too long for a message goes as a file, if the reader likes.
   * @param {string} text
   */
  #offerFile(text) {
    this.fail(`This text has ${sizeWords(new TextEncoder().encode(text).length)}, and a message at most ${sizeWords(this.mostText)}. `);
    const send = element("button", "send-as-file", { type: "button", className: "lu-link" }, "Make it a file");
    send.addEventListener("click", () => {
      this.#put("");
      this.fail("");
      this.takeFiles([new File([text], "message.txt", { type: "text/plain" })]);
    });
    this.error.append(send);
  }

  /**
   * @param {Row} row
   * @param {string} text
   */
  async #submitEdit(row, text) {
    this.fail("");
    try {
      if (text.trim() && text !== row.text) await this.view.edit(row, text);
      if (this.about?.row === row) this.cancel();
    } catch (error) {
      this.#failed(error);
    }
  }

  /** @param {Composer["about"]} about */
  #setAbout(about) {
    this.about = about;
    const words = about?.kind === "reply" ? `Replying to ${about.row.name}: ${shortText(about.row)}` : "Editing your message";
    setText(this.contextWords, about ? words : "");
    this.context.hidden = !about;
  }

  /** @param {Outgoing & {place: string | null}} about */
  async #sendText({ place, ...outgoing }) {
    const { text } = outgoing;
    const pending = make(PENDING);
    child(pending, 0).textContent = text;
    this.#showPending(pending);
    this.strips.append(pending);
    const timer = setTimeout(() => (pending.hidden = false), PENDING_AFTER);
    try {
      await this.view.send(outgoing);
      return true;
    } catch (error) {
      this.#giveBack(place, text);
      this.#failed(error);
      return false;
    } finally {
      clearTimeout(timer);
      pending.remove();
    }
  }

  /**
   * One after the other, so that they arrive in this order.
   * @param {{topic: string | null, channel: string, place: string | null}} where
   * @param {File[]} files
   */
  async #sendFiles({ topic, channel, place }, files) {
    const waiting = files.map((file) => ({ file, strip: this.#addStrip(file) }));
    for (const { file, strip } of waiting) {
      const { signal } = strip.abort;
      try {
        signal.throwIfAborted();
        await upload(this.view.kernel, file, { purpose: "file", topic, channel, progress: strip.progress, signal });
      } catch (error) {
        if (!signal.aborted) {
          this.tray.add(place, [file]);
          this.#failed(error);
        }
      }
      strip.node.remove();
    }
  }

  /** @param {unknown} error */
  #failed(error) {
    if (!this.off) this.fail(sentenceOf(error));
  }

  /**
   * @param {File} file
   * @returns {Strip}
   */
  #addStrip(file) {
    const abort = new AbortController();
    const node = make(UPLOAD);
    const [name, share] = [child(node, 0), child(node, 2)];
    /** @type {HTMLProgressElement} */
    const bar = child(node, 1);
    name.textContent = fileName(file);
    bar.ariaLabel = `Sending ${fileName(file)}`;
    const progress = (/** @type {number} */ done) => {
      bar.value = done;
      share.textContent = `${Math.round(done * 100)} % of ${sizeWords(file.size)}`;
    };
    progress(0);
    part(node, "upload-cancel").addEventListener("click", () => {
      abort.abort();
      node.remove();
      this.focus();
    });
    this.strips.append(node);
    return { node, progress, abort };
  }

  /** @param {string} text */
  #put(text) {
    this.text.value = text;
    this.#changed();
  }

  #changed() {
    const text = this.text.value;
    this.grow.dataset.text = text;
    if (this.about?.kind !== "edit") this.drafts.set(this.author, this.#place, text);
    const before = text.slice(0, this.text.selectionStart ?? text.length);
    this.#offer(document.activeElement === this.text ? completionsOf(text, before, this.commands, this.people) : []);
  }

  #onInput() {
    if (this.noted) this.note("");
    this.#changed();
    const now = Date.now();
    if (!this.topic || this.text.value.startsWith("~") || !this.text.value.trim() || now - this.typed < TYPING_EVERY) return;
    this.typed = now;
    this.view.typing();
  }

  /** @param {Completion[]} choices */
  #offer(choices) {
    this.choices = choices;
    const options = choices.map(({ label, help }, place) => {
      const option = make(OPTION);
      option.id = `${this.options.id}-${place}`;
      child(option, 0).textContent = label;
      child(option, 1).textContent = help;
      return option;
    });
    this.options.replaceChildren(...options);
    this.options.hidden = !options.length;
    this.#choose(0);
  }

  /** @param {number} place */
  #choose(place) {
    const options = [...this.options.children];
    this.chosen = options.length ? (place + options.length) % options.length : 0;
    for (const option of options) option.ariaSelected = String(option === options[this.chosen]);
    options[this.chosen]?.scrollIntoView({ block: "nearest" });
    this.text.setAttribute("aria-activedescendant", options[this.chosen]?.id ?? "");
  }

  /** @param {Completion} choice */
  #complete({ from, text }) {
    this.text.setRangeText(text, from, this.text.selectionStart ?? this.text.value.length, "end");
    this.#changed();
    this.#offer([]);
    this.focus();
  }

  /** @param {PointerEvent} event */
  #onOption(event) {
    event.preventDefault();
    const option = /** @type {Element} */ (event.target).closest(".lu-option");
    const place = [...this.options.children].findIndex((other) => other === option);
    if (place >= 0) this.#complete(this.choices[place]);
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    if (isComposing(event)) return;
    const choice = this.choices[this.chosen];
    const enter = event.key === "Enter" && !event.shiftKey;
    if (choice && event.key === "ArrowDown") this.#choose(this.chosen + 1);
    else if (choice && event.key === "ArrowUp") this.#choose(this.chosen - 1);
    else if (choice && event.key === "Escape") this.#offer([]);
    else if (choice && (event.key === "Tab" || (enter && choice.text.trim() !== this.text.value.slice(choice.from, this.text.selectionStart)))) this.#complete(choice);
    else if (enter) this.#submit();
    else if (event.key === "Escape" && this.about) this.cancel();
    else if (event.key === "ArrowUp" && !this.text.value && !this.about && this.view.lastOwn()) this.edit(/** @type {Row} */ (this.view.lastOwn()));
    else return;
    event.preventDefault();
  }

  /**
   * @param {string | null} sentFrom the place; `null` for none, and by now there may be one
   * @param {string} text
   */
  #giveBack(sentFrom, text) {
    const place = sentFrom ?? this.#place;
    const draft = place === this.#place ? this.text.value : this.drafts.get(this.author, place);
    const joined = draft ? `${text}\n${draft}` : text;
    if (place === this.#place) this.#put(joined);
    else this.drafts.set(this.author, place, joined);
  }
}

/**
 * @param {string | null} topic
 * @param {string} channel
 */
export function placeOf(topic, channel) {
  return topic && channel ? `${topic} ${channel}` : topic;
}

/** @param {Row} row */
function shortText(row) {
  return [...(row.text ?? row.file?.name ?? sentenceOfRow({ ...row, name: "" }))].slice(0, 80).join("");
}
