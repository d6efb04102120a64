// @ts-check
// The box at the bottom: text, completion of commands, files that wait to go and files on their way.

/** @import { CommandEntry, StateUpdate } from "./protocol.js" */
/** @import { Blobs, Kernel } from "./kernel.js" */
/** @typedef {{node: HTMLElement, progress: (share: number) => void, abort: AbortController}} Strip */

import { child, isComposing, make, parse, part, say, setText } from "./dom.js";
import { Drafts, tabStorage } from "./drafts.js";
import { sentenceOf, upload } from "./kernel.js";
import { Tray } from "./tray.js";
import { fileName } from "./vetted.js";
import { sizeWords } from "./words.js";

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

/** What stands below the log. */
export class Composer {
  /** @type {CommandEntry[]} */
  commands = [];
  /** @type {CommandEntry[]} */
  choices = [];
  chosen = 0;
  busy = false;
  off = false;
  recording = false;
  /** @type {string | null} */
  topic = null;
  author = "";
  drafts = new Drafts(tabStorage());
  started = false;

  /**
   * @param {Record<string, HTMLElement>} parts
   * @param {{kernel: Kernel, blobs: Blobs, id: string, send: (topic: string | null, text: string) => Promise<void>, record: () => void}} view
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
    this.options.id = `lu-${view.id}-commands`;
    this.text.setAttribute("aria-controls", this.options.id);
    this.text.addEventListener("input", () => this.#changed());
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
   */
  update({ room, me, commands, limits, recording }, name) {
    this.commands = commands.map((command) => ({ ...command, name: `~${command.name.replace(/^~/, "")}` }));
    this.text.placeholder = room ? `Message ${name}, or ~ for commands` : "~ for commands";
    this.text.ariaLabel = room ? `Message ${name}` : "Command";
    this.buttons.attach.title = `Attach a file of at most ${limits.file / 2 ** 20} MiB`;
    this.recording = recording;
    this.buttons.record.ariaPressed = String(recording);
    const moved = !this.started || room !== this.topic;
    this.started = true;
    this.topic = room;
    this.author = me.key;
    this.#showAbility();
    if (!moved) return;
    this.#put(this.drafts.get(this.author, room));
    this.tray.open(room);
    this.fail("");
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
    this.fail(this.topic ? "" : ROOM_FIRST);
    if (!this.topic || !files.length) return;
    this.tray.add(this.topic, files);
    this.focus();
  }

  #showAbility() {
    this.buttons.send.disabled = this.off;
    this.buttons.attach.disabled = this.buttons.record.disabled = this.off || !this.topic;
    const notice = this.busy ? BUSY : this.recording ? RECORDING : "";
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
    const topic = this.topic;
    const files = this.tray.take();
    this.#put("");
    this.fail("");
    const sent = !text.trim() || (await this.#sendText(topic, text));
    if (sent) await this.#sendFiles(topic, files);
    else if (files.length) this.tray.add(topic, files);
  }

  /**
   * @param {string | null} topic
   * @param {string} text
   */
  async #sendText(topic, text) {
    const pending = make(PENDING);
    child(pending, 0).textContent = text;
    this.#showPending(pending);
    this.strips.append(pending);
    const timer = setTimeout(() => (pending.hidden = false), PENDING_AFTER);
    try {
      await this.view.send(topic, text);
      return true;
    } catch (error) {
      this.#giveBack(topic, text);
      this.#failed(error);
      return false;
    } finally {
      clearTimeout(timer);
      pending.remove();
    }
  }

  /**
   * One after the other, so that they arrive in this order.
   * @param {string | null} topic
   * @param {File[]} files
   */
  async #sendFiles(topic, files) {
    const waiting = files.map((file) => ({ file, strip: this.#addStrip(file) }));
    for (const { file, strip } of waiting) {
      const { signal } = strip.abort;
      try {
        signal.throwIfAborted();
        await upload(this.view.kernel, file, { purpose: "file", topic, progress: strip.progress, signal });
      } catch (error) {
        if (!signal.aborted) {
          this.tray.add(topic, [file]);
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
    this.drafts.set(this.author, this.topic, text);
    this.#offer(/^~\S*$/.test(text) ? this.commands.filter(({ name }) => name.startsWith(text.toLowerCase())) : []);
  }

  /** @param {CommandEntry[]} choices */
  #offer(choices) {
    this.choices = choices;
    const options = choices.map(({ name, usage, help }, place) => {
      const option = make(OPTION);
      option.id = `${this.options.id}-${place}`;
      child(option, 0).textContent = usage || name;
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

  /** @param {CommandEntry} command */
  #complete({ name, usage }) {
    this.#put(usage?.includes(" ") ? `${name} ` : name);
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
    else if (choice && (event.key === "Tab" || (enter && choice.name !== this.text.value))) this.#complete(choice);
    else if (enter) this.#submit();
    else return;
    event.preventDefault();
  }

  /**
   * @param {string | null} topic
   * @param {string} text
   */
  #giveBack(topic, text) {
    const draft = topic === this.topic ? this.text.value : this.drafts.get(this.author, topic);
    const joined = draft ? `${text}\n${draft}` : text;
    if (topic === this.topic) this.#put(joined);
    else this.drafts.set(this.author, topic, joined);
  }
}
