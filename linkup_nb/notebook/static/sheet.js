// @ts-check
// The rows that are loaded, as elements: in blocks, with the lines of the days and of what is new between them.

/** @import { Row } from "./protocol.js" */
/** @typedef {{row: Row, node: HTMLElement, day?: HTMLElement, late?: boolean, url?: string}} Shown */

import { child, element, setAvatar, setText } from "./dom.js";
import { buildDay, buildDivider, sameAuthor } from "./row.js";
import { RowWindow } from "./window.js";
import { dateOf, dayNumber, dayWords } from "./words.js";

const GROUP_WITHIN = 5 * 60_000; // ms between rows of one author that share a head
const BLOCK = 50; // rows that are laid out, or left out of the layout, together

/** @extends {RowWindow<Shown>} */
export class Sheet extends RowWindow {
  /** @type {{node: HTMLElement, place: string, count: number, seen?: boolean} | null} */
  divider = null;

  /**
   * @param {HTMLElement} rows
   * @param {(divider: HTMLElement) => void} watch called for each divider; `see` is next when it is in view
   */
  constructor(rows, watch) {
    super();
    this.rows = rows;
    this.watch = watch;
  }

  /** @override */
  clear() {
    super.clear();
    this.rows.replaceChildren();
    this.divider = null;
  }

  /**
   * @param {number} index
   * @param {Shown[]} entries consecutive and in order
   */
  add(index, entries) {
    this.#insertNodes(index, entries);
    this.insert(index, entries);
    for (let at = index; at <= index + entries.length; at++) this.dress(at);
  }

  /**
   * @param {Shown} entry
   * @param {Row} row the same one, changed
   * @param {HTMLElement} node
   */
  replace(entry, row, node) {
    entry.node.replaceWith(node);
    entry.row = row;
    entry.node = node;
    this.dress(this.indexOf(row.place));
  }

  /**
   * Lets go of what is over a number of rows, at one end.
   * @param {number} most
   * @param {"start" | "end"} side
   */
  limit(most, side) {
    const gone = this.trim(Math.max(0, this.entries.length - most), side);
    for (const { node, day } of gone) {
      day?.remove();
      node.remove();
    }
    for (const block of this.rows.querySelectorAll(".lu-block:empty")) block.remove();
    if (gone.length) this.dress(0);
    return gone;
  }

  /**
   * What stands before a row, and whether it has a head of its own, by the row before it.
   * @param {number} index
   */
  dress(index) {
    const entry = this.entries[index];
    if (!entry) return;
    const before = this.entries[index - 1]?.row;
    const date = dateOf(entry.row);
    const newDay = !before || dayNumber(dateOf(before)) !== dayNumber(date);
    if (newDay && !entry.day) {
      entry.day = buildDay(date);
      entry.node.before(entry.day);
    } else if (!newDay && entry.day) {
      entry.day.remove();
      entry.day = undefined;
    }
    const divided = this.divider?.place === entry.row.place;
    const grouped = !newDay && !divided && sameAuthor(before, entry.row) && entry.row.time - before.time < GROUP_WITHIN;
    entry.node.classList.toggle("lu-grouped", grouped);
    if (!grouped) setAvatar(child(entry.node, 0), entry.row);
  }

  /**
   * @param {Shown} entry the first unread one
   * @param {number} count
   */
  setDivider(entry, count) {
    const old = this.divider;
    old?.node.remove();
    this.divider = { node: buildDivider("new-divider", ""), place: entry.row.place, count };
    this.count(count);
    entry.node.before(this.divider.node);
    this.dress(this.indexOf(entry.row.place));
    if (old) this.dress(this.indexOf(old.place));
    this.watch(this.divider.node);
  }

  /** @param {number} count */
  count(count) {
    if (!this.divider) return;
    this.divider.count = count;
    setText(this.divider.node, `${count} new`);
  }

  /**
   * How many have come since the divider, if that stands above what the reader sees, and has not been seen.
   * @param {string} top the place of the first row in view
   */
  missed(top) {
    return this.divider && !this.divider.seen && this.divider.place < top ? this.divider.count : 0;
  }

  /** @param {Element} node that somebody has seen */
  see(node) {
    if (this.divider?.node === node) this.divider.seen = true;
  }

  /** The first row below the divider. */
  get firstNew() {
    return this.divider ? this.entries[this.indexOf(this.divider.place)] : undefined;
  }

  /**
   * The first row that reaches below a line across the page.
   * @param {number} top px
   */
  firstBelow(top) {
    const { entries } = this;
    let [low, high] = [0, entries.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (entries[middle].node.getBoundingClientRect().bottom <= top) low = middle + 1;
      else high = middle;
    }
    return entries[low];
  }

  /** The words of the days, which change at midnight. */
  renameDays() {
    for (const { day } of this.entries) if (day) setText(day, dayWords(new Date(Number(day.dataset.time))));
  }

  /**
   * Into the block of the row before, or into new ones; a block that grows too long is cut in two.
   * @param {number} index
   * @param {Shown[]} entries
   */
  #insertNodes(index, entries) {
    const next = this.entries[index];
    const before = this.entries[index - 1];
    if (entries.length === 1 && (before || next)) {
      const block = /** @type {HTMLElement} */ ((before ?? next).node.parentElement);
      if (before) before.node.after(entries[0].node);
      else (next.day ?? next.node).before(entries[0].node);
      const rows = block.querySelectorAll(":scope > .lu-row");
      if (rows.length <= 2 * BLOCK) return;
      const other = element("div", "block");
      let node = /** @type {ChildNode | null} */ (rows[BLOCK]);
      if (node?.previousSibling instanceof HTMLElement && !node.previousSibling.matches(".lu-row")) node = node.previousSibling;
      while (node) {
        const following = /** @type {ChildNode | null} */ (node.nextSibling);
        other.append(node);
        node = following;
      }
      block.after(other);
      return;
    }
    const blocks = document.createDocumentFragment();
    for (let at = 0; at < entries.length; at += BLOCK) {
      const block = element("div", "block");
      block.append(...entries.slice(at, at + BLOCK).map(({ node }) => node));
      blocks.append(block);
    }
    const place = before?.node.closest(".lu-block");
    if (place) place.after(blocks);
    else this.rows.prepend(blocks);
  }
}
