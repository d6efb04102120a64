// @ts-check
// The names of people in the room behind an @, so that one sees who is meant.

import { element } from "./dom.js";

const PLAIN = "code, pre, a, .lu-at, .lu-math"; // where a name is part of something else

/**
 * What matches a mention of one of these people; `null` for nobody.
 * @param {string[]} names
 */
export function mentionPattern(names) {
  const known = [...new Set(names)].filter(Boolean).sort((a, b) => b.length - a.length);
  if (!known.length) return null;
  const either = known.map((name) => name.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&")).join("|");
  return new RegExp(`(?<![\\p{L}\\p{N}_])@(?:${either})(?![\\p{L}\\p{N}_])`, "gu");
}

/**
 * A text as its pieces, each with whether it is a mention.
 * @param {string} text
 * @param {RegExp} pattern
 * @returns {[string, boolean][]}
 */
export function piecesOf(text, pattern) {
  /** @type {[string, boolean][]} */
  const pieces = [];
  let from = 0;
  for (const { 0: mention, index } of text.matchAll(pattern)) {
    if (index > from) pieces.push([text.slice(from, index), false]);
    pieces.push([mention, true]);
    from = index + mention.length;
  }
  if (from < text.length) pieces.push([text.slice(from), false]);
  return pieces;
}

export class Mentions {
  /** @type {RegExp | null} */
  pattern = null;

  /**
   * @param {string[]} names of the people in the room
   * @param {Element} rows that are shown already
   */
  setPeople(names, rows) {
    const pattern = mentionPattern(names);
    if (pattern?.source === this.pattern?.source) return;
    this.pattern = pattern;
    this.mark(rows);
  }

  /**
   * Marks the mentions in the bodies of rows; those that are marked stay so.
   * @param {Element} rows
   */
  mark(rows) {
    if (!this.pattern) return;
    for (const body of rows.querySelectorAll(".lu-body")) {
      if (body.textContent?.includes("@")) markTexts(body, this.pattern);
    }
  }
}

/**
 * @param {Element} body
 * @param {RegExp} pattern
 */
function markTexts(body, pattern) {
  const walker = document.createTreeWalker(body, NodeFilter.SHOW_TEXT);
  const texts = /** @type {Text[]} */ ([]);
  while (walker.nextNode()) texts.push(/** @type {Text} */ (walker.currentNode));
  for (const text of texts) {
    if (text.parentElement?.closest(PLAIN)) continue;
    const pieces = piecesOf(text.data, pattern);
    if (!pieces.some(([, mention]) => mention)) continue;
    text.replaceWith(...pieces.map(([piece, mention]) => (mention ? element("span", "at", { className: "lu-at" }, piece) : piece)));
  }
}
