// @ts-check
// Symbols to choose from.

import { element } from "./dom.js";
import { closePopover, openPopover } from "./popover.js";

const SYMBOLS = ["👍", "❤️", "😂", "🎉", "😮", "😢", "🙏", "👀", "✅", "❌", "🔥", "🚀", "🤔", "💯", "👏", "🔬"];
const MAX_BYTES = 32; // of a reaction

/**
 * Whether a text may be a reaction.
 * @param {string} symbol
 */
export function isSymbol(symbol) {
  const bytes = new TextEncoder().encode(symbol).length;
  return bytes > 0 && bytes <= MAX_BYTES && !/\s/.test(symbol);
}

/**
 * @param {HTMLElement} anchor
 * @param {(symbol: string) => void} pick
 */
export function openPalette(anchor, pick) {
  const box = element("div", "palette");
  const choose = (/** @type {string} */ symbol) => {
    closePopover();
    pick(symbol);
  };
  for (const symbol of SYMBOLS) {
    const button = element("button", "symbol", { type: "button", ariaLabel: symbol }, symbol);
    button.addEventListener("click", () => choose(symbol));
    box.append(button);
  }
  const other = element("input", "other-symbol", { placeholder: "Any other", ariaLabel: "Any other symbol" });
  other.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && isSymbol(other.value.trim())) choose(other.value.trim());
  });
  box.addEventListener("keydown", (event) => {
    const buttons = /** @type {HTMLElement[]} */ ([...box.querySelectorAll("button")]);
    const at = buttons.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const moves = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + 8, ArrowUp: at - 8 };
    const to = event.key in moves && at >= 0 ? buttons[moves[/** @type {keyof typeof moves} */ (event.key)]] : null;
    if (!to) return;
    event.preventDefault();
    to.focus();
  });
  box.append(other);
  openPopover(anchor, box, "Symbols");
}
