// @ts-check
// What opens over the panel for a moment: menus, and boxes with anything in them.

import { element } from "./dom.js";

const MARGIN = 8; // px to the edges of the panel

/** @typedef {{label: string, key?: string, quiet?: boolean, pick: () => void}} MenuItem */

/** @type {{node: HTMLElement, close: (back: boolean) => void} | null} the one that is open */
let opened = null;

/** Whether something is open. */
export function popoverIsOpen() {
  return opened !== null;
}

/** Closes what is open, and says whether anything was. */
export function closePopover() {
  const was = opened;
  was?.close(true);
  return Boolean(was);
}

/**
 * Opens a box beside an element of the panel. `Esc`, a click elsewhere or another box closes it.
 * @param {HTMLElement} anchor has the focus again afterwards
 * @param {HTMLElement} content
 * @param {string} label
 */
export function openPopover(anchor, content, label) {
  opened?.close(false);
  const root = /** @type {HTMLElement} */ (anchor.closest(".lu-chat"));
  const node = element("div", "popover", { role: "dialog", ariaLabel: label });
  node.append(content);
  root.append(node);
  const place = () => {
    const [box, frame] = [anchor.getBoundingClientRect(), root.getBoundingClientRect()];
    const left = Math.min(box.left - frame.left, frame.width - node.offsetWidth - MARGIN);
    const below = box.bottom - frame.top + 4;
    const above = box.top - frame.top - node.offsetHeight - 4;
    const lowest = frame.height - node.offsetHeight - MARGIN;
    node.style.left = `${Math.max(MARGIN, left)}px`;
    node.style.top = `${Math.max(MARGIN, below <= lowest ? below : above >= MARGIN ? above : lowest)}px`;
  };
  const grown = new ResizeObserver(place);
  grown.observe(node);
  place();
  const leave = new AbortController();
  /** @param {boolean} back */
  const close = (back) => {
    leave.abort();
    grown.disconnect();
    const focused = node.contains(document.activeElement);
    node.remove();
    opened = null;
    if (back && focused && anchor.isConnected) anchor.focus({ preventScroll: true });
  };
  opened = { node, close };
  const outside = (/** @type {PointerEvent} */ { target }) => node.contains(/** @type {Node} */ (target)) || close(false);
  document.addEventListener("pointerdown", outside, { signal: leave.signal, capture: true });
  node.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    close(true);
  });
  /** @type {HTMLElement | null} */ (node.querySelector("input, button"))?.focus({ preventScroll: true });
  return close;
}

/**
 * @param {HTMLElement} anchor
 * @param {MenuItem[]} items
 * @param {string} label
 * @param {string} [title] a sentence above them
 */
export function openMenu(anchor, items, label, title = "") {
  const list = element("div", "menu", { role: "menu", ariaLabel: label });
  if (title) list.append(element("p", "menu-title", {}, title));
  for (const { label: text, key, quiet, pick } of items) {
    const button = element("button", "menu-item", { type: "button", role: "menuitem" }, text);
    button.dataset.item = text;
    if (quiet) button.classList.add("lu-quiet");
    if (key) button.append(element("kbd", "key", {}, key));
    button.addEventListener("click", () => {
      close(true);
      pick();
    });
    list.append(button);
  }
  list.addEventListener("keydown", (event) => {
    const buttons = /** @type {HTMLElement[]} */ ([...list.querySelectorAll("button")]);
    const at = buttons.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const moves = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 };
    if (!(event.key in moves)) return;
    event.preventDefault();
    buttons.at(moves[/** @type {keyof typeof moves} */ (event.key)] % buttons.length)?.focus();
  });
  const close = openPopover(anchor, list, label);
}
