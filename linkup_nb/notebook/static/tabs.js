// @ts-check
// The views of the whole peer: one is shown, the others are made when they are first looked at.

/** @import { FromKernel } from "./protocol.js" */
/** @typedef {"chat" | "drive" | "swarm" | "settings"} TabName */

/**
 * What one tab besides the chat is.
 * @typedef {object} Tab
 * @property {() => void} open it is being looked at
 * @property {() => void} close it no longer is
 * @property {(content: FromKernel, buffers: DataView[]) => void} receive
 * @property {string} expression the Python that gives what is selected in it
 * @property {() => void} focus to where one will want to begin
 * @property {() => boolean} cancel takes back what is open in it, and says whether there was something
 * @property {(files: File[]) => void} [takeFiles] what is dropped or pasted while it is shown
 */

export class Tabs {
  /** @type {TabName} */
  shown = "chat";
  /** @type {Map<TabName, Tab>} */
  made = new Map();

  /**
   * @param {HTMLElement} root
   * @param {Record<string, HTMLElement>} parts
   * @param {() => void} onchange
   * @param {Record<Exclude<TabName, "chat">, (place: HTMLElement) => Tab>} makers
   */
  constructor(root, parts, onchange, makers) {
    this.root = root;
    this.parts = parts;
    this.makers = makers;
    this.onchange = onchange;
    root.dataset.tab = "chat";
    parts.tabs.addEventListener("click", ({ target }) => {
      const name = /** @type {HTMLElement} */ (target).dataset.tab;
      if (name) this.show(/** @type {TabName} */ (name));
    });
    parts.tabs.addEventListener("keydown", (event) => this.#onKey(event));
  }

  /** The tab that is shown, if it is not the chat. */
  get current() {
    return this.made.get(this.shown);
  }

  /** @param {TabName} name */
  show(name) {
    if (name === this.shown) return;
    this.current?.close();
    this.shown = name;
    this.root.dataset.tab = name;
    for (const button of this.#buttons) {
      const selected = button.dataset.tab === name;
      button.ariaSelected = String(selected);
      button.tabIndex = selected ? 0 : -1;
    }
    for (const each of Object.keys(this.makers)) this.parts[each].hidden = each !== name;
    if (name !== "chat" && !this.made.has(name)) this.made.set(name, this.makers[name](this.parts[name]));
    this.current?.open();
    this.onchange();
  }

  /** To be called when the kernel may have forgotten what is being looked at. */
  again() {
    this.current?.open();
  }

  /**
   * @param {FromKernel} content
   * @param {DataView[]} buffers
   */
  receive(content, buffers) {
    for (const tab of this.made.values()) tab.receive(content, buffers);
  }

  get #buttons() {
    return /** @type {HTMLElement[]} */ ([...this.parts.tabs.children]);
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const buttons = this.#buttons;
    const at = buttons.indexOf(/** @type {HTMLElement} */ (event.target));
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    const next = buttons[(to + buttons.length) % buttons.length];
    this.show(/** @type {TabName} */ (next.dataset.tab));
    next.focus();
    event.preventDefault();
  }
}
