// @ts-check
// The edges of the side columns: dragged or moved by arrows, they make them wider; a double click or Enter folds them.

import { tabStorage } from "./drafts.js";

const LEAST_WIDTH = 160; // px of a side column
const MOST_WIDTH = 320;
const WIDTH_STEP = 16; // px for an arrow
const WIDTHS_STORED = "linkup_nb columns";

/** @typedef {"left" | "right"} Side */
/** @typedef {{left?: number, right?: number}} Widths */

/** @param {number} width */
export function bounded(width) {
  return Math.round(Math.min(MOST_WIDTH, Math.max(LEAST_WIDTH, width)));
}

/**
 * The widths that a storage has; nothing of what is damaged.
 * @param {string | null | undefined} text
 * @returns {Widths}
 */
export function widthsOf(text) {
  try {
    const { left, right } = JSON.parse(text ?? "{}");
    return { ...(Number.isFinite(left) && { left: bounded(left) }), ...(Number.isFinite(right) && { right: bounded(right) }) };
  } catch {
    return {};
  }
}

export class Edges {
  /** @type {Widths} */
  widths = widthsOf(tabStorage()?.getItem(WIDTHS_STORED));

  /**
   * @param {HTMLElement} root
   * @param {Record<string, HTMLElement>} parts
   * @param {(side: Side) => void} fold
   */
  constructor(root, parts, fold) {
    this.root = root;
    this.parts = parts;
    for (const side of /** @type {const} */ (["left", "right"])) {
      const edge = parts[`edge-${side}`];
      edge.addEventListener("pointerdown", (event) => this.#drag(side, edge, event));
      edge.addEventListener("dblclick", () => fold(side));
      edge.addEventListener("keydown", (event) => this.#onKey(side, fold, event));
      this.#apply(side);
    }
  }

  /**
   * @param {Side} side
   * @param {HTMLElement} edge
   * @param {PointerEvent} event
   */
  #drag(side, edge, event) {
    const [start, from] = [event.clientX, this.#width(side)];
    const stop = new AbortController();
    edge.setPointerCapture(event.pointerId);
    edge.addEventListener("pointermove", ({ clientX }) => this.#set(side, from + (side === "left" ? clientX - start : start - clientX)), { signal: stop.signal });
    for (const end of ["pointerup", "pointercancel"]) edge.addEventListener(end, () => stop.abort(), { once: true });
  }

  /**
   * @param {Side} side
   * @param {(side: Side) => void} fold
   * @param {KeyboardEvent} event
   */
  #onKey(side, fold, event) {
    const wider = side === "left" ? "ArrowRight" : "ArrowLeft";
    const narrower = side === "left" ? "ArrowLeft" : "ArrowRight";
    if (event.key === "Enter") fold(side);
    else if (event.key === wider) this.#set(side, this.#width(side) + WIDTH_STEP);
    else if (event.key === narrower) this.#set(side, this.#width(side) - WIDTH_STEP);
    else if (event.key === "Home") this.#set(side, LEAST_WIDTH);
    else if (event.key === "End") this.#set(side, MOST_WIDTH);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {Side} side */
  #width(side) {
    return this.parts[side === "left" ? "left" : "people"].offsetWidth;
  }

  /**
   * @param {Side} side
   * @param {number} width
   */
  #set(side, width) {
    this.widths = { ...this.widths, [side]: bounded(width) };
    this.#apply(side);
    try {
      tabStorage()?.setItem(WIDTHS_STORED, JSON.stringify(this.widths));
    } catch {
      // The storage is full: this page keeps it.
    }
  }

  /** @param {Side} side */
  #apply(side) {
    const width = this.widths[side];
    if (width === undefined) return;
    this.root.style.setProperty(`--lu-${side}`, `${width}px`);
    this.parts[`edge-${side}`].ariaValueNow = String(width);
  }
}
