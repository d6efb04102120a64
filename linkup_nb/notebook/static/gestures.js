// @ts-check
// Clicks and keys on the rows of the log.

/** @import { Row } from "./protocol.js" */
/** @import { Actions } from "./actions.js" */
/** @import { Files } from "./files.js" */
/** @import { Sheet, Shown } from "./sheet.js" */

/**
 * @typedef {object} Listened
 * @property {HTMLElement} scroller
 * @property {HTMLElement} rows
 * @property {Sheet} window
 * @property {Actions} actions
 * @property {Files} files
 * @property {{onselect: (id: string) => void}} options
 * @property {(target: Element) => Shown | undefined} entryOf
 * @property {(id: string) => void} jump
 * @property {() => void} toNewest
 */

import { part } from "./dom.js";
import { enlarge } from "./enlarge.js";
import { showText } from "./row.js";

/** @param {Listened} log */
export function listenToRows(log) {
  log.scroller.addEventListener("keydown", (event) => onKey(log, event));
  log.rows.addEventListener("click", (event) => onClick(log, event));
  log.rows.addEventListener("pointerover", ({ target }) => {
    const entry = log.entryOf(/** @type {Element} */ (target));
    if (entry) log.actions.hover(entry.row, entry.node);
  });
  log.scroller.addEventListener("pointerleave", () => log.actions.hover(null, null));
}

/**
 * @param {Listened} log
 * @param {MouseEvent} event
 */
function onClick(log, event) {
  const target = /** @type {Element} */ (event.target);
  const entry = log.entryOf(target);
  if (!entry) return;
  const button = target.closest("button");
  if (button) onButton(log, button, entry);
  else if (target instanceof HTMLImageElement && target.dataset.state === "asked") log.files.show(entry);
  else if (target instanceof HTMLImageElement && target.dataset.state === "ready") enlarge(target);
  else if (!target.closest("a, audio") && getSelection()?.isCollapsed) pick(log, entry.row);
}

/**
 * @param {Listened} log
 * @param {HTMLButtonElement} button
 * @param {Shown} entry
 */
function onButton(log, button, entry) {
  const { actions, files } = log;
  const { row, node } = entry;
  const name = button.dataset.lu;
  if (name === "download") files.save(entry, button);
  else if (name === "retry") files.show(entry);
  else if (name === "versions") files.versions(entry, button);
  else if (name === "stop-loading") files.stop(row);
  else if (name === "quote" && button.dataset.to) log.jump(button.dataset.to);
  else if (name === "edited") actions.editions(row, button);
  else if (name === "reaction") actions.toggle(row, button.dataset.symbol ?? "", button.ariaPressed === "true");
  else if (name === "add-reaction") actions.react(row, button);
  else if (name === "show-all") actions.whole(row, part(node, "body"));
  else if (name === "unfold") showText(row, part(node, "body"));
}

/**
 * @param {Listened} log
 * @param {Row} row
 */
function pick(log, row) {
  if (row.kind !== "notice") log.options.onselect(row.id);
}

/**
 * @param {Listened} log
 * @param {KeyboardEvent} event
 */
function onKey(log, event) {
  if (event.target instanceof HTMLImageElement && event.key === "Enter") event.target.click();
  const entry = log.entryOf(/** @type {Element} */ (event.target));
  if (event.target !== (entry?.node ?? log.scroller)) return;
  const { entries } = log.window;
  const at = entry ? log.window.indexOf(entry.row.place) : entries.length;
  const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
  if (entry && (event.key === "Enter" || event.key === " ")) pick(log, entry.row);
  else if (event.key === "ArrowUp") entries[at - 1]?.node.focus();
  else if (event.key === "ArrowDown" && entry) entries[at + 1]?.node.focus();
  else if (event.key === "Home") entries[0]?.node.focus();
  else if (event.key === "End") log.toNewest();
  else if (!(entry && plain && log.actions.key(event.key, entry.row, entry.node))) return;
  event.preventDefault();
}
