// @ts-check
// The slider over the versions of a drive: a mark for each change, one handle, or two to compare.

/** @import { Mark } from "./protocol.js" */

import { element, make, parse, part, parts, setText } from "./dom.js";
import { shape } from "./drawing.js";

const WIDTH = 1000; // units of the drawing, however wide it is shown
const HEIGHT = 28;
export const MOST_MARKS = 400;

const SLIDER = parse(`
  <div class="lu-slider">
    <div class="lu-slider-head"><span data-lu="slider-words"></span><span class="lu-grow"></span>
      <button type="button" class="lu-link" data-lu="slider-compare">+ Compare</button> <button type="button" class="lu-link" data-lu="slider-newest">Newest</button></div>
    <div class="lu-slider-track" data-lu="slider-track"><div class="lu-marks" data-lu="marks" aria-hidden="true"></div><div class="lu-between-handles" data-lu="slider-between"></div></div>
    <div class="lu-slider-ends lu-faint"><span>v1</span><span data-lu="slider-head-version"></span></div>
  </div>`);

/**
 * Where a version stands, from 0 to 1.
 * @param {number} version
 * @param {number} head
 */
export function shareOf(version, head) {
  return head <= 1 ? 1 : Math.min(1, Math.max(0, (version - 1) / (head - 1)));
}

/**
 * The next change of the selected file before or after a version; the version itself if there is none.
 * @param {Mark[]} marks
 * @param {number} version
 * @param {1 | -1} step
 */
export function nextOwn(marks, version, step) {
  const own = marks.filter((mark) => mark.own);
  const found = step > 0 ? own.find(({ last }) => last > version) : own.findLast(({ last }) => last < version);
  return found?.last ?? version;
}

export class Slider {
  head = 0;
  /** @type {number[]} one version, or two in order */
  at = [0];
  /** @type {Mark[]} */
  marks = [];
  /** @type {HTMLElement[]} */
  handles = [];

  /**
   * @param {HTMLElement} place
   * @param {(versions: number[]) => void} onmove
   */
  constructor(place, onmove) {
    this.onmove = onmove;
    this.root = make(SLIDER);
    this.parts = parts(this.root);
    this.parts["slider-compare"].addEventListener("click", () => this.#compare());
    this.parts["slider-newest"].addEventListener("click", () => this.#move([this.head]));
    this.parts["slider-track"].addEventListener("pointerdown", (event) => this.#press(event));
    place.append(this.root);
  }

  /**
   * @param {number} head
   * @param {number[]} versions
   */
  set(head, versions) {
    this.head = head;
    this.at = versions;
    this.#draw();
  }

  /** @param {Mark[]} marks */
  show(marks) {
    this.marks = marks;
    const most = Math.max(1, ...marks.map(({ changes }) => changes));
    const drawing = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none" });
    for (const { last, changes, own } of marks) {
      const x = (shareOf(last, this.head) * WIDTH).toFixed(1);
      const high = 5 + (16 * changes) / most;
      drawing.append(shape("line", { x1: x, x2: x, y1: HEIGHT, y2: (HEIGHT - high).toFixed(1), class: own ? "lu-mark lu-own-mark" : "lu-mark" }));
    }
    this.parts.marks.replaceChildren(drawing);
  }

  #compare() {
    if (this.at.length > 1) return this.#move([this.at[1]]);
    const change = this.marks.findLast(({ first, own }) => own && first <= this.at[0]);
    this.#move([(change?.first ?? this.at[0]) - 1, this.at[0]]);
  }

  /** @param {number[]} versions */
  #move(versions) {
    const bounded = versions.map((version) => Math.min(this.head, Math.max(1, Math.round(version)))).sort((one, other) => one - other);
    if (bounded.join() === this.at.join()) return;
    this.at = bounded;
    this.#draw();
    this.onmove(bounded);
  }

  /** @param {PointerEvent} event */
  #press(event) {
    const track = this.parts["slider-track"];
    const versionAt = (/** @type {PointerEvent} */ { clientX }) => {
      const box = track.getBoundingClientRect();
      return 1 + ((clientX - box.left) / box.width) * (this.head - 1);
    };
    const wanted = versionAt(event);
    const nearer = this.at.length > 1 && Math.abs(this.at[1] - wanted) < Math.abs(this.at[0] - wanted) ? 1 : 0;
    const fixed = this.at.length > 1 ? this.at[1 - nearer] : null;
    const go = (/** @type {number} */ version) => this.#move(fixed === null ? [version] : [fixed, version]);
    const stop = new AbortController();
    event.preventDefault();
    track.setPointerCapture(event.pointerId);
    track.addEventListener("pointermove", (moved) => go(versionAt(moved)), { signal: stop.signal });
    for (const end of ["pointerup", "pointercancel"]) track.addEventListener(end, () => stop.abort(), { once: true });
    go(wanted);
    this.handles[nearer]?.focus();
  }

  /**
   * @param {number} number of the handle
   * @param {KeyboardEvent} event
   */
  #onKey(number, event) {
    const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
    const page = { PageDown: -1, PageUp: 1 }[event.key];
    const version = this.at[number];
    /** @type {number} */
    let next;
    if (step) next = event.shiftKey ? nextOwn(this.marks, version, /** @type {1 | -1} */ (step)) : version + step;
    else if (page) next = version + page * Math.max(1, Math.round(this.head / 10));
    else if (event.key === "Home") next = 1;
    else if (event.key === "End") next = this.head;
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.#move(this.at.map((each, place) => (place === number ? next : each)));
  }

  #draw() {
    const track = this.parts["slider-track"];
    while (this.handles.length > this.at.length) this.handles.pop()?.remove();
    while (this.handles.length < this.at.length) {
      const number = this.handles.length;
      const handle = element("div", "handle", { tabIndex: 0, role: "slider", ariaLabel: "Version" });
      handle.addEventListener("keydown", (event) => this.#onKey(number, event));
      this.handles.push(track.appendChild(handle));
    }
    this.at.forEach((version, number) => {
      const handle = this.handles[number];
      handle.style.insetInlineStart = `${100 * shareOf(version, this.head)}%`;
      handle.ariaValueMin = "1";
      handle.ariaValueMax = String(this.head);
      handle.ariaValueNow = String(version);
      handle.ariaValueText = `version ${version}`;
      handle.dataset.version = `v${version}`;
    });
    const two = this.at.length > 1;
    const between = this.parts["slider-between"];
    between.hidden = !two;
    if (two) {
      between.style.insetInlineStart = `${100 * shareOf(this.at[0], this.head)}%`;
      between.style.width = `${100 * (shareOf(this.at[1], this.head) - shareOf(this.at[0], this.head))}%`;
    }
    setText(this.parts["slider-compare"], two ? "✕ One handle" : "+ Compare");
    this.parts["slider-compare"].hidden = this.head < 2;
    this.parts["slider-newest"].hidden = two || this.at[0] === this.head;
    setText(this.parts["slider-head-version"], this.head > 1 && !this.at.includes(this.head) ? `v${this.head}` : "");
    const now = this.at[0] === this.head ? `The drive as it is, version ${this.head}` : `The drive as it was in version ${this.at[0]}`;
    setText(this.parts["slider-words"], two ? `What changed between version ${this.at[0]} and version ${this.at[1]}` : now);
    part(this.root, "slider-track").hidden = this.head < 1;
  }
}
