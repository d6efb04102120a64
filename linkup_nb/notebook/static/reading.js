// @ts-check
// Which rows the reader has seen.

/** @import { Row } from "./protocol.js" */

const SEEN_EVERY = 300; // ms
const AT_ONCE = 500; // rows that are reported together

/** Gathers what was seen, and reports it a few times a second. */
export class Reading {
  /** @type {Map<string, Row>} */
  unread = new Map();
  /** @type {Set<string>} */
  seen = new Set();
  /** @type {{since: string, until: string} | null} */
  range = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  timer = undefined;

  /** @param {(seen: {targets: string[], since: string | null, until: string | null}) => void} report */
  constructor(report) {
    this.report = report;
  }

  /** @param {Row} row that is loaded, or has changed */
  add(row) {
    if (row.unread && !this.seen.has(row.id)) this.unread.set(row.id, row);
    else this.unread.delete(row.id);
  }

  /** @param {Row} row */
  see(row) {
    if (!this.unread.delete(row.id)) return;
    this.seen.add(row.id);
    this.#soon();
  }

  /**
   * All rows from one place to another, loaded or not.
   * @param {string} since
   * @param {string} until
   */
  seeAll(since, until) {
    for (const row of [...this.unread.values()]) {
      if (row.place >= since && row.place <= until) this.see(row);
    }
    this.range = { since, until };
    this.#soon();
  }

  clear() {
    this.#flush();
    this.unread.clear();
    this.seen.clear();
  }

  close() {
    clearTimeout(this.timer);
  }

  #soon() {
    this.timer ??= setTimeout(() => this.#flush(), SEEN_EVERY);
  }

  #flush() {
    clearTimeout(this.timer);
    this.timer = undefined;
    const targets = [...this.seen];
    this.seen.clear();
    const { since, until } = this.range ?? { since: null, until: null };
    this.range = null;
    for (let at = 0; at < targets.length || (at === 0 && since); at += AT_ONCE) {
      this.report({ targets: targets.slice(at, at + AT_ONCE), since: at ? null : since, until: at ? null : until });
    }
  }
}
