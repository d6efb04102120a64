// @ts-check
// The Swarm tab: who is connected and how, what the doctor says, the DHT, and the frames of one connection.

/** @import { CheckEntry, FromKernel, SwarmPeerEntry, SwarmUpdate } from "./protocol.js" */
/** @import { Kernel } from "./kernel.js" */
/** @import { Tab } from "./tabs.js" */

import { child, keyed, make, parse, parts, say, setText } from "./dom.js";
import { showDht } from "./dht.js";
import { drawSwarm } from "./drawing.js";
import { RESEND, sentenceOf } from "./kernel.js";
import { TapView } from "./tap.js";
import { clockWords, sizeWords } from "./words.js";

const SWARM = parse(`
  <div class="lu-swarm">
    <section class="lu-pane" aria-label="Now">
      <h2>Now <span class="lu-faint" data-lu="swarm-counts"></span></h2>
      <div class="lu-drawing" data-lu="drawing"></div>
      <p class="lu-legend" aria-hidden="true"><span data-kind="direct">direct</span><span data-kind="relayed">relayed</span><span data-kind="dialled">dialled</span><span data-kind="failed">failed</span><span data-kind="found">found</span></p>
    </section>
    <section class="lu-pane" aria-label="Peers">
      <h2>Peers <input type="search" class="lu-filter" data-lu="peer-filter" placeholder="Name or key" aria-label="Name or key" autocomplete="off" spellcheck="false"></h2>
      <div class="lu-scroll" tabindex="0" role="group" aria-label="Peers">
        <table class="lu-table">
          <thead><tr><th>Peer</th><th>Way</th><th class="lu-number">Round trip</th><th class="lu-number">In</th><th class="lu-number">Out</th><th class="lu-number">Since</th><th>Replicates</th></tr></thead>
          <tbody data-lu="peer-rows"></tbody>
        </table>
      </div>
      <p class="lu-faint" data-lu="no-peers"></p>
    </section>
    <section class="lu-pane" aria-label="Doctor">
      <h2>Doctor <button type="button" class="lu-link" data-lu="examine">Ask again</button></h2>
      <ul class="lu-checks" data-lu="checks"></ul>
    </section>
    <section class="lu-pane" aria-label="DHT"><h2>DHT</h2><div data-lu="dht"></div></section>
    <section class="lu-pane lu-wide" aria-label="Wire tap" data-lu="tap"></section>
  </div>`);

const PEER_ROW = parse(`
  <tr data-lu="swarm-peer">
    <td><button type="button" class="lu-cell"><span class="lu-state" aria-hidden="true"></span><bdi></bdi> <code class="lu-short"></code></button></td>
    <td class="lu-way"></td><td class="lu-number"></td><td class="lu-number"><span></span><span class="lu-faint"></span></td
    ><td class="lu-number"><span></span><span class="lu-faint"></span></td><td class="lu-number"></td><td class="lu-replicates"></td>
  </tr>`);

const CHECK = parse(`<li><span class="lu-outcome" role="img"></span><p><strong></strong> <span></span> <em></em></p></li>`);

const OUTCOMES = { ok: "✓", warning: "⚠", failed: "✕", off: "–" };
const ORDER = ["failed", "warning", "ok", "off"];
const NOBODY = "Nobody else has been found. Who opens this room elsewhere is listed here.";

/** @implements {Tab} */
export class SwarmTab {
  expression = "";
  /** @type {SwarmUpdate | null} */
  state = null;
  drawn = "";

  /**
   * @param {HTMLElement} place
   * @param {Kernel} kernel
   * @param {{onfail: (sentence: string) => void, onexpression: () => void}} options
   */
  constructor(place, kernel, options) {
    this.kernel = kernel;
    this.options = options;
    this.root = make(SWARM);
    this.parts = parts(this.root);
    this.tap = new TapView(this.parts.tap, {
      onswitch: (peer) => this.#ask("tap", { peer }),
      onclear: () => this.#ask("tap_clear", {}),
      onselect: (frame) => this.#ask("swarm_select", { frame }),
    });
    this.parts["peer-filter"].addEventListener("input", () => this.#showPeers());
    this.parts["peer-rows"].addEventListener("click", ({ target }) => {
      const row = /** @type {HTMLElement | null} */ (/** @type {Element} */ (target).closest("tr"));
      if (row?.dataset.key) this.#select(row.dataset.key);
    });
    this.parts["peer-rows"].addEventListener("keydown", (event) => this.#walk(event));
    this.parts.drawing.addEventListener("click", ({ target }) => {
      const peer = /** @type {SVGElement | null} */ (/** @type {Element} */ (target).closest("[data-peer]"));
      if (peer?.dataset.peer) this.#select(peer.dataset.peer);
    });
    this.parts.examine.addEventListener("click", () => this.#ask("examine", {}));
    place.append(this.root);
  }

  open() {
    this.kernel.request("swarm_open", {}, { resend: RESEND, quiet: true }).catch(() => {});
  }

  close() {
    this.kernel.request("swarm_close", {}, { resend: RESEND, quiet: true }).catch(() => {});
  }

  focus() {
    this.parts["peer-filter"].focus();
  }

  cancel() {
    if (!this.state?.selected) return false;
    this.#ask("swarm_select", {});
    return true;
  }

  /** @param {FromKernel} content */
  receive(content) {
    if (content.type === "swarm") this.#show(content);
    else if (content.type === "tap") this.tap.receive(content);
  }

  /** @param {SwarmUpdate} state */
  #show(state) {
    this.state = state;
    setText(this.parts["swarm-counts"], countWords(state.peers));
    const shape = JSON.stringify([state.own_name, state.selected, state.peers.map(({ id, kind, name }) => [id, kind, name])]);
    if (shape !== this.drawn) drawSwarm(this.parts.drawing, state, countWords(state.peers));
    this.drawn = shape;
    this.#showPeers();
    this.#showChecks(state.checks, state.examining);
    showDht(this.parts.dht, state);
    this.tap.offer(state.peers.find(({ id }) => id === state.selected) ?? null);
    if (state.expression !== this.expression) {
      this.expression = state.expression;
      this.options.onexpression();
    }
  }

  #showPeers() {
    const { state } = this;
    if (!state) return;
    const wanted = /** @type {HTMLInputElement} */ (this.parts["peer-filter"]).value.trim().toLowerCase();
    const shown = state.peers
      .filter(({ name, id, short }) => [name.toLowerCase(), id, short.toLowerCase()].some((text) => text.includes(wanted)))
      .sort((one, other) => RANK[one.kind] - RANK[other.kind] || one.name.localeCompare(other.name) || one.id.localeCompare(other.id));
    keyed(this.parts["peer-rows"], shown, ({ id }) => id, PEER_ROW, (row, peer) => showPeerRow(row, peer, peer.id === state.selected));
    say(this.parts["no-peers"], shown.length ? "" : state.peers.length ? "No peer is called so." : NOBODY);
  }

  /**
   * @param {CheckEntry[] | null} checks
   * @param {boolean} examining
   */
  #showChecks(checks, examining) {
    const button = /** @type {HTMLButtonElement} */ (this.parts.examine);
    setText(button, examining ? "Looking…" : "Ask again");
    button.ariaDisabled = examining ? "true" : null;
    const reading = this.parts.checks.matches(":hover, :focus-within");
    const sorted = reading ? (checks ?? []) : [...(checks ?? [])].sort((one, other) => ORDER.indexOf(one.outcome) - ORDER.indexOf(other.outcome));
    keyed(this.parts.checks, sorted, ({ name }) => name, CHECK, (item, { name, outcome, seen, advice }) => {
      const [sign, words] = [child(item, 0), child(item, 1)];
      sign.dataset.outcome = outcome;
      sign.ariaLabel = outcome;
      setText(sign, OUTCOMES[outcome]);
      setText(child(words, 0), `${name}.`);
      setText(child(words, 1), seen);
      setText(child(words, 2), advice && `Try: ${advice}`);
    });
  }

  /** @param {string} peer */
  #select(peer) {
    this.#ask("swarm_select", { peer: peer === this.state?.selected ? null : peer });
  }

  /** @param {KeyboardEvent} event */
  #walk(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const buttons = /** @type {HTMLElement[]} */ ([...this.parts["peer-rows"].querySelectorAll("button")]);
    buttons[buttons.indexOf(/** @type {HTMLElement} */ (event.target)) + step]?.focus();
    event.preventDefault();
  }

  /**
   * @template {"tap" | "tap_clear" | "swarm_select" | "examine"} Type
   * @param {Type} type
   * @param {import("./protocol.js").Requests[Type]} fields
   */
  #ask(type, fields) {
    this.kernel.request(type, fields).catch((error) => this.options.onfail(sentenceOf(error)));
  }
}

const RANK = { direct: 0, relayed: 1, dialled: 2, failed: 3, found: 4 };

/** @param {SwarmPeerEntry[]} peers */
export function countWords(peers) {
  const count = (/** @type {string[]} */ ...kinds) => peers.filter(({ kind }) => kinds.includes(kind)).length;
  const counts = { connected: count("direct", "relayed"), dialled: count("dialled"), failed: count("failed"), found: count("found") };
  const words = Object.entries(counts).flatMap(([word, number]) => (number ? [`${number} ${word}`] : []));
  return words.join(", ") || "nobody yet";
}

/**
 * @param {HTMLElement} row
 * @param {SwarmPeerEntry} peer
 * @param {boolean} selected
 */
function showPeerRow(row, peer, selected) {
  const said = JSON.stringify([peer, selected]);
  if (row.dataset.said === said) return;
  row.dataset.said = said;
  const connected = peer.kind === "direct" || peer.kind === "relayed";
  const [who, way, rtt, received, sent, since, replicates] = /** @type {HTMLElement[]} */ ([...row.children]);
  row.dataset.kind = peer.kind;
  row.dataset.connected = String(connected);
  row.ariaSelected = String(selected);
  const button = child(who, 0);
  button.ariaPressed = String(selected);
  button.title = peer.id;
  setText(child(button, 1), peer.name || peer.short);
  setText(child(button, 2), peer.name ? peer.short : "");
  setText(way, peer.way);
  way.title = peer.way;
  setText(rtt, peer.rtt);
  showBytes(received, connected, peer.received, peer.receiving);
  showBytes(sent, connected, peer.sent, peer.sending);
  setText(since, peer.since ? clockWords(new Date(peer.since)) : "");
  since.title = peer.since ? new Date(peer.since).toLocaleString() : "";
  setText(replicates, peer.replicates.join(", "));
}

/**
 * @param {HTMLElement} cell
 * @param {boolean} connected
 * @param {number} bytes
 * @param {number} rate bytes a second
 */
function showBytes(cell, connected, bytes, rate) {
  setText(child(cell, 0), connected ? sizeWords(bytes) : "");
  setText(child(cell, 1), connected ? (rate ? `${sizeWords(rate)}/s` : "idle") : "");
}
