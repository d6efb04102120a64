// @ts-check
// Searching a room: what is found stands in place of the log, the newest first.

/** @import { Hit } from "./protocol.js" */
/** @import { Kernel } from "./kernel.js" */

import { element, make, parse, setText } from "./dom.js";
import { sentenceOf } from "./kernel.js";
import { clockWords, dayWords } from "./words.js";

const AFTER = 250; // ms without a key until it is searched

const HIT = parse(`
  <button type="button" class="lu-hit" data-lu="hit"><span class="lu-hit-by"><bdi></bdi> <span class="lu-faint"></span></span><bdi class="lu-hit-text"></bdi></button>`);

export class Search {
  /** @type {string | null} */
  topic = null;
  channel = "";
  everywhere = true;
  asked = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  timer = undefined;

  /**
   * @param {Record<string, HTMLElement>} parts
   * @param {Kernel} kernel
   * @param {{onjump: (hit: Hit) => void, onclose: () => void, onopen: () => void}} options
   */
  constructor(parts, kernel, options) {
    this.kernel = kernel;
    this.options = options;
    this.input = /** @type {HTMLInputElement} */ (parts.search);
    this.hits = parts.hits;
    this.input.addEventListener("input", () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.#run(), AFTER);
    });
    this.input.addEventListener("keydown", (event) => this.#onKey(event));
    this.hits.addEventListener("keydown", (event) => this.#onKey(event));
    parts["show-search"].addEventListener("click", () => this.start());
  }

  get open() {
    return !this.hits.hidden;
  }

  /**
   * @param {string | null} topic of a room that can be searched
   * @param {string} channel
   * @param {string} name
   */
  update(topic, channel, name) {
    this.input.hidden = !topic;
    this.input.placeholder = `Search ${name}`;
    this.input.ariaLabel = `Search ${name}`;
    if (topic === this.topic && channel === this.channel) return;
    this.topic = topic;
    this.channel = channel;
    this.close();
  }

  /** Moves to where one types what to look for. */
  start() {
    this.input.classList.add("lu-opened");
    this.input.focus();
    this.input.select();
  }

  /** Puts the log back; whether there was a search. */
  close() {
    clearTimeout(this.timer);
    const was = this.open || this.input.value !== "";
    this.asked += 1;
    this.input.value = "";
    this.input.classList.remove("lu-opened");
    if (this.open) {
      this.hits.hidden = true;
      this.hits.replaceChildren();
      this.options.onclose();
    }
    return was;
  }

  /** @param {Hit} [before] the last one that is shown, to go on */
  async #run(before) {
    const text = this.input.value.trim();
    if (!text) return void this.close();
    const number = ++this.asked;
    const channel = this.everywhere ? null : this.channel;
    try {
      const { content } = await this.kernel.request("search", { topic: this.topic ?? "", channel, text, before: before?.id });
      if (number === this.asked) this.#show(content.hits ?? [], content.more ?? false, Boolean(before));
    } catch (error) {
      if (number === this.asked) this.#show([], false, false, sentenceOf(error));
    }
  }

  /**
   * @param {Hit[]} hits
   * @param {boolean} more
   * @param {boolean} on whether they follow those that are shown
   * @param {string} [sentence] why there are none
   */
  #show(hits, more, on, sentence = "No message has all of these words. begin* finds words that begin so.") {
    if (!on) this.hits.replaceChildren(this.#where());
    this.hits.querySelector(`[data-lu="more-hits"]`)?.remove();
    for (const hit of hits) this.hits.append(this.#build(hit));
    if (!hits.length && !on) this.hits.append(element("p", "no-hits", { className: "lu-faint" }, sentence));
    const last = hits.at(-1);
    if (more && last) {
      const button = element("button", "more-hits", { type: "button", className: "lu-link" }, "Older ones");
      button.addEventListener("click", () => this.#run(last));
      this.hits.append(button);
    }
    if (this.hits.hidden) this.options.onopen();
    this.hits.hidden = false;
  }

  #where() {
    const row = element("p", "where", { className: "lu-faint lu-where" });
    const button = element("button", "where-toggle", { type: "button", className: "lu-link" });
    setText(button, this.everywhere ? "Only in this channel" : "In the whole room");
    button.addEventListener("click", () => {
      this.everywhere = !this.everywhere;
      this.#run();
    });
    row.append(this.everywhere ? "In the whole room, the newest first. " : "In this channel, the newest first. ", button);
    return row;
  }

  /** @param {Hit} hit */
  #build(hit) {
    const node = make(HIT);
    const when = new Date(hit.time);
    setText(/** @type {Element} */ (node.querySelector("bdi")), hit.name);
    const place = hit.channel ? ` › ${hit.channel}` : "";
    setText(/** @type {Element} */ (node.querySelector(".lu-faint")), `${dayWords(when)}, ${clockWords(when)}${place}`);
    const text = /** @type {Element} */ (node.querySelector(".lu-hit-text"));
    for (const { text: piece, hit: marked } of hit.parts) text.append(marked ? element("mark", "marked-word", {}, piece) : piece);
    node.addEventListener("click", () => {
      this.close();
      this.options.onjump(hit);
    });
    return node;
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const hits = /** @type {HTMLElement[]} */ ([...this.hits.querySelectorAll(".lu-hit")]);
    const at = hits.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    if (event.key === "ArrowDown") hits[at + 1]?.focus();
    else if (event.key === "ArrowUp") (hits[at - 1] ?? this.input).focus();
    else if (event.key === "Enter" && event.target === this.input) hits[0] ? hits[0].click() : this.#run();
    else return;
    event.preventDefault();
  }
}
