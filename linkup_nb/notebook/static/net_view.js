// @ts-check
// A network of the lab: its peers on a circle, and what is between them, as it comes and goes.

/** @import { Model, NetEdgeEntry, NetPeerEntry, NetPicture } from "./protocol.js" */

import { shape } from "./drawing.js";

const GONE_AFTER = 600; // ms in which what is there no more fades
const OUTLINES = {
  alive: "M-1 0a1 1 0 1 0 2 0a1 1 0 1 0 -2 0Z",
  dead: "M-1 -.6L-.6 -1L0 -.4L.6 -1L1 -.6L.4 0L1 .6L.6 1L0 .4L-.6 1L-1 .6L-.4 0Z",
  sybil: "M0 -1.2L1.1 .8L-1.1 .8Z",
  liar: "M0 -1.2L1.2 0L0 1.2L-1.2 0Z",
}; // of a peer of radius 1
const STATE_WORDS = { alive: "alive", dead: "dead", sybil: "sybil", liar: "liar" };
const KIND_WORDS = { knows: "knows", connected: "connected", slow: "slow", cut: "cut" };

class NetDrawing {
  /** @param {HTMLElement} el */
  constructor(el) {
    this.figure = document.createElement("figure");
    this.figure.className = "lu-net";
    this.svg = shape("svg", { viewBox: "0 0 480 392", role: "img" });
    this.lines = this.svg.appendChild(shape("g", {}));
    this.dots = this.svg.appendChild(shape("g", {}));
    this.key = document.createElement("ul");
    this.caption = document.createElement("figcaption");
    this.figure.append(this.svg, this.key, this.caption);
    /** @type {Map<string, Element>} */
    this.shown = new Map();
    el.append(this.figure);
  }

  /** @param {NetPicture} picture */
  show({ peers, edges, radius, words }) {
    this.svg.setAttribute("aria-label", words.join(" "));
    this.caption.textContent = words.join("\n");
    const places = new Map(peers.map((peer) => [peer.n, peer]));
    const wanted = new Set();
    for (const edge of edges) {
      const [one, other] = [places.get(edge.a), places.get(edge.b)];
      if (!one || !other) continue;
      const name = `${edge.a}-${edge.b}`;
      wanted.add(name);
      this.place(this.lines, name, edge.kind, edge.about, () => netLine(edge, one, other));
    }
    for (const peer of peers) {
      wanted.add(String(peer.n));
      const looks = `${peer.state} ${peer.keeps} ${radius} ${peer.label}`;
      this.place(this.dots, String(peer.n), looks, peer.about, () => netPeer(peer, radius));
    }
    for (const [name, node] of this.shown) if (!wanted.has(name)) this.fade(name, node);
    this.explain(new Set(peers.map(({ state }) => state)), new Set(edges.map(({ kind }) => kind)), peers.some(({ keeps }) => keeps));
  }

  /**
   * Puts one thing where it belongs, unless it looks already as it should.
   * @param {Element} group
   * @param {string} name
   * @param {string} looks
   * @param {string} about
   * @param {() => Element[]} build
   */
  place(group, name, looks, about, build) {
    let node = this.shown.get(name);
    if (!node) {
      node = shape("g", { class: "lu-net-new" });
      this.shown.set(name, node);
      const born = node;
      requestAnimationFrame(() => requestAnimationFrame(() => born.classList.remove("lu-net-new")));
    }
    if (node.parentNode !== group || node.getAttribute("data-looks") !== looks) {
      const title = shape("title", {});
      node.replaceChildren(title, ...build());
      node.setAttribute("data-looks", looks);
    }
    const title = node.firstElementChild;
    if (title && title.textContent !== about) title.textContent = about;
    group.append(node);
  }

  /**
   * @param {string} name
   * @param {Element} node
   */
  fade(name, node) {
    this.shown.delete(name);
    node.classList.add("lu-net-new");
    setTimeout(() => node.remove(), GONE_AFTER);
  }

  /**
   * What the shapes and lines that are there mean.
   * @param {Set<NetPeerEntry["state"]>} states
   * @param {Set<NetEdgeEntry["kind"]>} kinds
   * @param {boolean} keeps
   */
  explain(states, kinds, keeps) {
    const items = [];
    for (const [state, word] of netEntries(STATE_WORDS)) {
      if (states.has(state)) items.push(netItem(netPeer({ n: 0, x: 10, y: 9, label: "", state, keeps: false, about: "" }, 6), word));
    }
    if (keeps) items.push(netItem(netPeer({ n: 0, x: 10, y: 9, label: "", state: "alive", keeps: true, about: "" }, 4), "keeps an announcement"));
    for (const [kind, word] of netEntries(KIND_WORDS)) {
      if (kinds.has(kind)) items.push(netItem(netLine({ a: 0, b: 0, kind, about: "" }, { x: 0, y: 9 }, { x: 30, y: 9 }), word));
    }
    this.key.replaceChildren(...items);
  }
}

/**
 * @template {string} Name
 * @param {Record<Name, string>} words
 */
function netEntries(words) {
  return /** @type {[Name, string][]} */ (Object.entries(words));
}

/**
 * @param {Element[]} drawn
 * @param {string} word
 */
function netItem(drawn, word) {
  const item = document.createElement("li");
  const small = shape("svg", { viewBox: "0 0 30 18", width: 30, height: 18, "aria-hidden": "true" });
  small.append(...drawn);
  item.append(small, word);
  return item;
}

/**
 * A line, and where colour alone would say it, a sign in its middle.
 * @param {NetEdgeEntry} edge
 * @param {{x: number, y: number}} one
 * @param {{x: number, y: number}} other
 */
function netLine({ kind }, one, other) {
  const [x, y] = [(one.x + other.x) / 2, (one.y + other.y) / 2];
  const line = shape("line", { x1: one.x, y1: one.y, x2: other.x, y2: other.y, class: "lu-net-line", "data-kind": kind });
  if (kind === "cut") return [line, shape("path", { d: `M${x - 4} ${y - 4}l8 8m0 -8l-8 8`, class: "lu-net-sign", "data-kind": kind })];
  if (kind === "slow") return [line, shape("path", { d: `M${x - 5} ${y - 5}h10l-10 10h10z`, class: "lu-net-sign", "data-kind": kind })];
  return [line];
}

/**
 * A peer: its state as a shape, its number beside it on the outside.
 * @param {NetPeerEntry} peer
 * @param {number} radius
 */
function netPeer({ x, y, label, state, keeps }, radius) {
  const drawn = [];
  if (keeps) drawn.push(shape("circle", { cx: x, cy: y, r: radius + 4, class: "lu-net-keeps" }));
  drawn.push(shape("path", { d: OUTLINES[state], transform: `translate(${x} ${y}) scale(${radius})`, class: "lu-net-peer", "data-state": state }));
  if (!label) return drawn;
  const [dx, dy] = [x - 240, y - 196];
  const far = (radius + 8) / (Math.hypot(dx, dy) || 1);
  const anchor = Math.abs(dx) < 12 ? "middle" : dx > 0 ? "start" : "end";
  const beside = shape("text", { x: x + dx * far, y: y + dy * far + 4 + Math.sign(dy) * (anchor === "middle" ? 4 : 0), "text-anchor": anchor, class: "lu-net-label" });
  beside.textContent = label;
  return [...drawn, beside];
}

export default {
  /** @param {{model: Model, el: HTMLElement}} view */
  render({ model, el }) {
    const drawing = new NetDrawing(el);
    const show = () => drawing.show(model.get("picture"));
    model.on("change:picture", show);
    show();
    return () => model.off("change:picture", show);
  },
};
