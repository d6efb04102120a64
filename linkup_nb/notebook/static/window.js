// @ts-check
// The rows that are loaded: consecutive ones of a longer order.

/** @import { Row } from "./protocol.js" */
/** @typedef {{row: Row}} Placed */

/**
 * Rows in the order of their places, without elements of the page. `start` and `end` are whether nothing stands before
 * and after them.
 * @template {Placed} Entry
 */
export class RowWindow {
  /** @type {Entry[]} */
  entries = [];
  /** @type {Map<string, Entry>} */
  byId = new Map();
  start = true;
  end = true;

  get first() {
    return this.entries[0];
  }

  get last() {
    return this.entries[this.entries.length - 1];
  }

  /**
   * Where a place is, or would be.
   * @param {string} place
   */
  indexOf(place) {
    let [low, high] = [0, this.entries.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.entries[middle].row.place < place) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /**
   * Whether a row that has come belongs among those that are loaded.
   * @param {string} place
   */
  covers(place) {
    if (!this.entries.length) return this.start && this.end;
    return (this.start || place > this.first.row.place) && (this.end || place < this.last.row.place);
  }

  /**
   * @param {number} index
   * @param {Entry[]} entries in order, none of them here yet
   */
  insert(index, entries) {
    this.entries.splice(index, 0, ...entries);
    for (const entry of entries) this.byId.set(entry.row.id, entry);
  }

  /**
   * Takes so many entries away from one end, which is not the end of all rows then.
   * @param {number} count
   * @param {"start" | "end"} side
   */
  trim(count, side) {
    const gone = side === "start" ? this.entries.splice(0, count) : this.entries.splice(-count, count);
    for (const { row } of gone) this.byId.delete(row.id);
    if (gone.length) this[side] = false;
    return gone;
  }

  clear() {
    this.entries = [];
    this.byId.clear();
    this.start = this.end = true;
  }
}
