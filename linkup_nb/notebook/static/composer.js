// The box at the bottom: text, completion of commands, files on their way.

import { make, parse, part, say } from "./dom.js";
import { upload } from "./kernel.js";
import { sizeWords } from "./words.js";

const PENDING_AFTER = 300; // ms until a text under way is shown as such
const BUSY = "The kernel is busy; this will go out as soon as it is free.";
const RECORDING = "Recording. Press the microphone again to stop and send.";

const UPLOAD = parse(`
  <div class="lu-strip" data-lu="upload">
    <bdi></bdi><progress max="1" value="0"></progress><span class="lu-faint"></span>
    <button type="button" class="lu-link" data-lu="upload-cancel">Cancel</button>
  </div>`);

const PENDING = parse(`<div class="lu-strip" data-lu="pending" hidden><bdi></bdi><span class="lu-faint">Sending…</span></div>`);

const OPTION = parse(`<li class="lu-option" data-lu="option" role="option"><code></code> <span class="lu-faint"></span></li>`);

/** What stands below the log. */
export class Composer {
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
