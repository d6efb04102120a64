// @ts-check
// The wire tap: the frames of one connection, as many elements as are seen.

/** @import { FrameEntry, SwarmPeerEntry, TapUpdate } from "./protocol.js" */

import { child, keyed, make, parse, parts, say, setText } from "./dom.js";
import { clockWords } from "./words.js";

const ROW_HIGH = 25; // px
const KEPT_FRAMES = 1_000;
const AHEAD = 4; // rows beyond what is seen
const CHOOSE = "Select a connected peer above to watch what goes over its connection.";
const PRIVATE = "A tap shows what leaves and enters this machine, already decrypted. Nothing of it is saved with the notebook.";

const TAP = parse(`
  <div class="lu-tap">
    <h2>Wire tap <bdi class="lu-tap-name" data-lu="tap-name"></bdi>
      <button type="button" class="lu-switch" role="switch" data-lu="tap-switch" aria-checked="false" aria-label="Watch this connection"></button>
      <span class="lu-faint" data-lu="tap-count"></span>
      <span class="lu-grow"></span>
      <button type="button" class="lu-button lu-plain" data-lu="tap-pause">Pause</button>
      <button type="button" class="lu-button lu-plain" data-lu="tap-clear">Clear</button>
    </h2>
    <div class="lu-tap-row lu-tap-head" data-lu="tap-head" aria-hidden="true"><span>Time</span><span>Way</span><span>Channel</span><span>Frame</span><span class="lu-number">Bytes</span><span>Decoded</span></div>
    <div class="lu-frames" data-lu="frames" tabindex="0" role="group" aria-label="Frames"><div class="lu-frames-all" data-lu="frames-all"></div></div>
    <p class="lu-faint" data-lu="tap-note"></p>
  </div>`);

const FRAME_ROW = parse(`<button type="button" class="lu-tap-row" data-lu="frame"><span></span><span></span><span></span><span></span><span class="lu-number"></span><span></span></button>`);

export class TapView {
  /** @type {FrameEntry[]} */
  frames = [];
  /** @type {TapUpdate | null} */
  state = null;
  /** @type {SwarmPeerEntry | null} whose connection would be watched */
  offered = null;
  paused = false;
  /** @type {number | null} */
  selected = null;

  /**
   * @param {HTMLElement} place
   * @param {{onswitch: (peer: string | null) => void, onclear: () => void, onselect: (frame: number | null) => void}} options
   */
  constructor(place, options) {
    place.append(make(TAP));
    this.parts = parts(place);
    const { parts: named } = this;
    named["tap-switch"].addEventListener("click", () => this.#switch(options));
    named["tap-pause"].addEventListener("click", () => this.#pause(!this.paused));
    named["tap-clear"].addEventListener("click", options.onclear);
    named.frames.addEventListener("scroll", () => this.#scrolled());
    named["frames-all"].addEventListener("click", ({ target }) => {
      const row = /** @type {HTMLElement | null} */ (/** @type {Element} */ (target).closest("[data-key]"));
      const number = Number(row?.dataset.key);
      if (!row) return;
      this.selected = number === this.selected ? null : number;
      options.onselect(this.selected);
      this.#draw();
    });
    this.#draw();
  }

  /** @param {SwarmPeerEntry | null} peer who is selected */
  offer(peer) {
    this.offered = peer && (peer.kind === "direct" || peer.kind === "relayed") ? peer : null;
    this.#draw();
  }

  /** @param {TapUpdate} update */
  receive(update) {
    if (update.tap !== this.state?.tap) this.frames = [];
    const last = this.frames.at(-1)?.number ?? -1;
    const added = update.frames.filter(({ number }) => number > last);
    this.frames = [...this.frames, ...added].filter(({ number }) => number >= update.first).slice(-KEPT_FRAMES);
    this.state = update;
    this.#draw();
  }

  get #watching() {
    return Boolean(this.state?.open);
  }

  /** @param {{onswitch: (peer: string | null) => void}} options */
  #switch({ onswitch }) {
    const wanted = this.offered && this.offered.id !== this.state?.peer ? this.offered.id : null;
    if (this.#watching && !wanted) onswitch(null);
    else onswitch(this.offered?.id ?? this.state?.peer ?? null);
    this.#pause(false);
  }

  /** @param {boolean} paused */
  #pause(paused) {
    this.paused = paused;
    this.#draw();
  }

  #scrolled() {
    const { frames } = this.parts;
    const atEnd = frames.scrollTop + frames.clientHeight >= frames.scrollHeight - ROW_HIGH;
    if (atEnd === this.paused) this.#pause(!atEnd);
    else this.#drawRows();
  }

  #draw() {
    const { parts: named, state } = this;
    const other = this.offered && this.offered.id !== state?.peer;
    const name = other ? this.offered?.name || this.offered?.short : state?.name;
    const nothing = !state?.peer && !this.offered;
    say(named["tap-name"], name ?? "");
    const onThis = this.#watching && !other;
    named["tap-switch"].ariaChecked = String(onThis);
    named["tap-switch"].hidden = nothing;
    say(named["tap-count"], state?.peer && !other ? tapWords(state, this.frames.length) : "");
    setText(named["tap-pause"], this.paused ? "Go on" : "Pause");
    for (const part of ["tap-pause", "tap-clear", "tap-head", "frames"]) named[part].hidden = !this.frames.length || Boolean(other);
    setText(named["tap-note"], nothing ? CHOOSE : PRIVATE);
    if (named.frames.hidden) return;
    named["frames-all"].style.height = `${this.frames.length * ROW_HIGH}px`;
    if (!this.paused) named.frames.scrollTop = this.frames.length * ROW_HIGH;
    this.#drawRows();
  }

  #drawRows() {
    const { frames, "frames-all": all } = this.parts;
    const first = Math.max(0, Math.floor(frames.scrollTop / ROW_HIGH) - AHEAD);
    const seen = this.frames.slice(first, first + Math.ceil(frames.clientHeight / ROW_HIGH) + 2 * AHEAD);
    keyed(all, seen, ({ number }) => String(number), FRAME_ROW, (row, frame) => this.#showFrame(row, frame));
    [...all.children].forEach((row, place) => (/** @type {HTMLElement} */ (row).style.top = `${(first + place) * ROW_HIGH}px`));
  }

  /**
   * @param {HTMLElement} row
   * @param {FrameEntry} frame
   */
  #showFrame(row, { number, time, direction, channel, frame, size, decoded }) {
    const date = new Date(time);
    const milliseconds = String(date.getMilliseconds()).padStart(3, "0");
    const texts = [
      `${clockWords(date)}:${String(date.getSeconds()).padStart(2, "0")}.${milliseconds}`,
      direction === "sent" ? "→ out" : "← in",
      channel,
      frame,
      size.toLocaleString(),
      decoded,
    ];
    texts.forEach((text, place) => setText(child(row, place), text));
    row.title = decoded;
    row.ariaPressed = String(number === this.selected);
  }
}

/**
 * @param {TapUpdate} state
 * @param {number} kept
 */
function tapWords({ seen, open }, kept) {
  const frames = `${seen.toLocaleString()} ${seen === 1 ? "frame" : "frames"}`;
  const some = seen > kept ? `, the last ${kept.toLocaleString()} kept here` : "";
  return `${frames}${some}${open ? "" : "; it has ended"}`;
}
