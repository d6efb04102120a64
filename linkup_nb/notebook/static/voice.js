// @ts-check
// What a screen reader hears: each new message once, and what else has happened.

/** @import { Row } from "./protocol.js" */

const SPOKEN = 200; // characters of a message
const BURST = 5; // messages within BURST_TIME that are read out; more are counted
const BURST_TIME = 10_000; // ms
const TOGETHER = 150; // ms in which what comes is said together

export class Voice {
  /** @type {number[]} when messages came of late */
  recent = [];
  /** @type {string[]} */
  waiting = [];
  counted = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  timer = undefined;

  /**
   * @param {HTMLElement} region a polite one
   * @param {() => number} [clock] in ms
   */
  constructor(region, clock = Date.now) {
    this.region = region;
    this.clock = clock;
  }

  /** @param {Row} row */
  message(row) {
    const now = this.clock();
    this.recent = [...this.recent.filter((time) => now - time < BURST_TIME), now];
    if (this.recent.length > BURST) this.counted += 1;
    else if (row.mention) this.waiting.unshift(sentenceOfRow(row));
    else this.waiting.push(sentenceOfRow(row));
    this.#soon();
  }

  /** @param {string} sentence */
  say(sentence) {
    this.waiting.push(sentence);
    this.#soon();
  }

  close() {
    clearTimeout(this.timer);
  }

  #soon() {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      const more = this.counted ? [`${this.counted} more new message${this.counted === 1 ? "" : "s"}`] : [];
      this.region.textContent = [...this.waiting, ...more].join(". ");
      this.waiting = [];
      this.counted = 0;
    }, TOGETHER);
  }
}

/** @param {Row} row */
export function sentenceOfRow(row) {
  const text = row.text ?? (row.html ? new DOMParser().parseFromString(row.html, "text/html").body.textContent : "") ?? "";
  const what = row.file ? `sent ${row.file.name}` : [...text.trim()].slice(0, SPOKEN).join("");
  return [row.name, what].filter(Boolean).join(": ");
}
