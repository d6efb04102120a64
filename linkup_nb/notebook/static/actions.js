// @ts-check
// What one does with a message: a bar over the row under the pointer, a menu, and keys.

/** @import { Row } from "./protocol.js" */
/** @import { Kernel } from "./kernel.js" */
/** @import { Voice } from "./voice.js" */

import { copyText, element, parse, make, part } from "./dom.js";
import { sentenceOf } from "./kernel.js";
import { openPalette } from "./palette.js";
import { openMenu, openPopover, popoverIsOpen } from "./popover.js";
import { sentenceOfRow } from "./voice.js";
import { vetted } from "./vetted.js";
import { clockWords, dayWords } from "./words.js";

/** @typedef {"retract" | "verify" | "hide" | "mute" | "block" | "remove"} Act */

const BAR = parse(`
  <div class="lu-actions" data-lu="actions" hidden>
    <button type="button" class="lu-icon lu-i-react" data-lu="act-react" aria-label="React" title="React (+)" tabindex="-1"></button>
    <button type="button" class="lu-icon lu-i-reply" data-lu="act-reply" aria-label="Reply" title="Reply (R)" tabindex="-1"></button>
    <button type="button" class="lu-icon lu-i-more" data-lu="act-more" aria-label="More" title="More" tabindex="-1"></button>
  </div>`);

/** For each action its words, and where it asks first what it then says. */
const WORDS = /** @type {Record<string, (row: Row) => {label: string, key?: string, ask?: string}>} */ ({
  reply: () => ({ label: "Reply", key: "R" }),
  react: () => ({ label: "React", key: "+" }),
  copy: () => ({ label: "Copy", key: "C" }),
  edit: () => ({ label: "Edit", key: "E" }),
  retract: () => ({ label: "Retract", ask: "Retract it for everybody, for good? Others may have kept it." }),
  verify: () => ({ label: "Check its signature" }),
  hide: () => ({ label: "Hide" }),
  mute: ({ name }) => ({ label: `Mute ${name}` }),
  block: ({ name }) => ({ label: `Block ${name}`, ask: `Show and fetch nothing more of ${name}, for you only? Others may pass on to them what you write.` }),
  remove: ({ name }) => ({ label: `Remove ${name}`, ask: `End ${name}'s part in this room? They keep what they have, and its secret.` }),
});

export class Actions {
  bar = make(BAR);
  /** @type {Row | null} */
  row = null;
  /** @type {string | null} */
  topic = null;

  /**
   * @param {Kernel} kernel
   * @param {Voice} voice
   * @param {{onreply: (row: Row) => void, onedit: (row: Row) => void, onfail: (sentence: string) => void, onnote: (sentence: string) => void}} options
   */
  constructor(kernel, voice, options) {
    this.kernel = kernel;
    this.voice = voice;
    this.options = options;
    /** @type {(name: string, listener: (row: Row, button: HTMLElement) => void) => void} */
    const on = (name, listener) => {
      const button = part(this.bar, name);
      button.addEventListener("click", (event) => {
        event.stopPropagation();
        if (this.row) listener(this.row, button);
      });
    };
    on("act-react", (row, button) => this.react(row, button));
    on("act-reply", (row) => this.options.onreply(row));
    on("act-more", (row, button) => this.menu(row, button));
  }

  /**
   * Puts the bar over a row, or over none.
   * @param {Row | null} row
   * @param {HTMLElement | null} node
   */
  hover(row, node) {
    if (popoverIsOpen() || (row === this.row && this.bar.parentElement === node)) return; // what is open stands beside it
    this.row = row?.actions?.length ? row : null;
    this.bar.hidden = !this.row;
    for (const name of ["react", "reply"]) part(this.bar, `act-${name}`).hidden = !this.row?.actions?.includes(name);
    if (this.row && node) node.append(this.bar);
    else this.bar.remove();
  }

  /**
   * @param {Row} row
   * @param {HTMLElement} anchor
   */
  menu(row, anchor) {
    const items = (row.actions ?? []).filter((name) => name in WORDS).map((name) => {
      const { label, key, ask } = WORDS[name](row);
      const act = () => this.#carryOut(name, row, anchor);
      return { label, key, pick: ask ? () => openMenu(anchor, [{ label, pick: act }, { label: "Cancel", quiet: true, pick: () => {} }], label, ask) : act };
    });
    openMenu(anchor, items, "Message");
  }

  /**
   * A key on a row; whether it is one of ours.
   * @param {string} key
   * @param {Row} row
   * @param {HTMLElement} node
   */
  key(key, row, node) {
    const name = { r: "reply", e: "edit", "+": "react", c: "copy" }[key.toLowerCase()];
    if (!name || !row.actions?.includes(name)) return false;
    this.#carryOut(name, row, node);
    return true;
  }

  /**
   * @param {Row} row
   * @param {HTMLElement} anchor
   */
  react(row, anchor) {
    openPalette(anchor, (symbol) => this.toggle(row, symbol, false));
  }

  /**
   * @param {Row} row
   * @param {string} symbol
   * @param {boolean} remove
   */
  toggle(row, symbol, remove) {
    return this.#ask("react", { target: row.id, symbol, remove });
  }

  /**
   * The texts that a message has had.
   * @param {Row} row
   * @param {HTMLElement} anchor
   */
  async editions(row, anchor) {
    const content = await this.#ask("editions", { target: row.id });
    const list = element("ol", "edition-list", { className: "lu-list lu-edition-list" });
    for (const { html, time } of content?.editions ?? []) {
      const when = new Date(time);
      const item = element("li", "edition", {}, "");
      const body = element("div", "edition-text", { className: "lu-body lu-rich" });
      body.append(vetted(html));
      item.append(element("time", "edition-time", { className: "lu-faint" }, `${dayWords(when)}, ${clockWords(when)}`), body);
      list.append(item);
    }
    if (list.firstChild) openPopover(anchor, list, "Versions of this message");
  }

  /**
   * All of a text of which the beginning is shown, as it was typed.
   * @param {Row} row
   * @param {HTMLElement} body
   */
  async whole(row, body) {
    const content = await this.#ask("whole", { target: row.id });
    if (content?.text) body.replaceChildren(element("pre", "whole", { className: "lu-whole" }, content.text));
  }

  /**
   * @param {string} name
   * @param {Row} row
   * @param {HTMLElement} anchor
   */
  async #carryOut(name, row, anchor) {
    if (name === "reply") this.options.onreply(row);
    else if (name === "edit") this.options.onedit(row);
    else if (name === "react") this.react(row, anchor);
    else if (name === "copy") {
      await copyText(row.source ?? row.text ?? sentenceOfRow({ ...row, name: "" }), anchor);
      this.voice.say("Copied");
    } else {
      const content = await this.#ask("act", { target: row.id, action: /** @type {Act} */ (name) });
      if (content?.text) this.options.onnote(content.text);
    }
  }

  /**
   * @template {"react" | "act" | "editions" | "whole"} Type
   * @param {Type} type
   * @param {Omit<import("./protocol.js").Requests[Type], "topic">} fields
   */
  async #ask(type, fields) {
    if (!this.topic) return null;
    try {
      const about = /** @type {import("./protocol.js").Requests[Type]} */ ({ topic: this.topic, ...fields });
      return (await this.kernel.request(type, about)).content;
    } catch (error) {
      this.options.onfail(sentenceOf(error));
      return null;
    }
  }
}
