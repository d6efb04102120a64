// @ts-check
// The drawing of the swarm: oneself in the middle, each peer at an angle that it keeps as others come and go.

/** @import { SwarmPeerEntry, SwarmUpdate } from "./protocol.js" */

const [WIDE, HIGH] = [400, 290]; // units of the drawing
const MIDDLE = { x: WIDE / 2, y: 148 };
const RING = 106; // from the middle
const NAMED = 14; // peers up to which each has its name beside it
const GOLDEN = Math.PI * (3 - Math.sqrt(5)); // radians from one place to the next: no two ever meet

const WAY_WORDS = { direct: "", relayed: "relayed", dialled: "dialling", failed: "failed", found: "found" };

/** @type {WeakMap<HTMLElement, Map<string, number>>} the places that each drawing has given */
const placesGiven = new WeakMap();

/**
 * The place of each peer: those that were here keep theirs, a newcomer takes the first that is free.
 * @param {Map<string, number>} before
 * @param {string[]} ids
 */
export function placesOf(before, ids) {
  const wanted = new Set(ids);
  const kept = new Map([...before].filter(([id]) => wanted.has(id)));
  const taken = new Set(kept.values());
  let free = 0;
  for (const id of ids) {
    if (kept.has(id)) continue;
    while (taken.has(free)) free++;
    taken.add(free);
    kept.set(id, free);
  }
  return kept;
}

/**
 * @param {HTMLElement} place
 * @param {SwarmUpdate} state
 * @param {string} words what it shows, for who does not see it
 */
export function drawSwarm(place, state, words) {
  const places = placesOf(placesGiven.get(place) ?? new Map(), state.peers.map(({ id }) => id));
  placesGiven.set(place, places);
  const drawing = shape("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": words });
  for (const radius of [58, RING]) drawing.append(shape("circle", { cx: MIDDLE.x, cy: MIDDLE.y, r: radius, class: "lu-ring" }));
  const peers = state.peers.map((peer) => ({ peer, at: pointOf(places.get(peer.id) ?? 0, peer.kind === "found" ? RING + 6 : RING) }));
  for (const { peer, at } of peers) if (peer.kind !== "found") drawing.append(...lineTo(peer, at));
  for (const { peer, at } of peers) drawing.append(faceOf(peer, at, peer.id === state.selected, peers.length <= NAMED));
  drawing.append(square(MIDDLE, 15, state.own, state.own_name));
  place.replaceChildren(drawing);
}

/**
 * @param {number} number of the place
 * @param {number} radius
 */
function pointOf(number, radius) {
  const angle = -2.5 + number * GOLDEN;
  return { x: MIDDLE.x + radius * 1.1 * Math.cos(angle), y: MIDDLE.y + radius * Math.sin(angle) };
}

/**
 * @param {SwarmPeerEntry} peer
 * @param {{x: number, y: number}} at
 */
function lineTo({ kind }, at) {
  const [x, y] = [(MIDDLE.x + at.x) / 2, (MIDDLE.y + at.y) / 2];
  const line = shape("line", { x1: MIDDLE.x, y1: MIDDLE.y, x2: at.x, y2: at.y, class: "lu-way-line", "data-kind": kind });
  if (kind === "relayed") return [line, shape("path", { d: `M${x - 6} ${y}l6 -6l6 6l-6 6z`, class: "lu-relay" })];
  if (kind === "failed") return [line, shape("path", { d: `M${x - 4} ${y - 4}l8 8m0 -8l-8 8`, class: "lu-cross" })];
  return [line];
}

/**
 * @param {SwarmPeerEntry} peer
 * @param {{x: number, y: number}} at
 * @param {boolean} selected
 * @param {boolean} named whether there is room for names
 */
function faceOf(peer, at, selected, named) {
  const group = shape("g", { "data-peer": peer.id, class: "lu-node", "data-selected": selected });
  const title = shape("title", {});
  title.textContent = `${peer.name || peer.short}: ${peer.way}`;
  group.append(title);
  if (peer.kind === "found") {
    group.append(shape("circle", { cx: at.x, cy: at.y, r: 5, class: "lu-found" }));
    return group;
  }
  group.append(...square(at, 12, peer.who, peer.name || peer.short).children);
  if (named) {
    const left = at.x < MIDDLE.x - 20;
    const x = at.x + (left ? -17 : 17);
    group.append(text(x, at.y - 1, peer.name || peer.short, left ? "end" : "start", "lu-node-name"));
    group.append(text(x, at.y + 12, WAY_WORDS[peer.kind] || peer.way.split(",")[0], left ? "end" : "start", "lu-node-way"));
  }
  return group;
}

/**
 * A face: the first letter on the colour of the key.
 * @param {{x: number, y: number}} at
 * @param {number} half the size
 * @param {string} key
 * @param {string} name
 */
function square(at, half, key, name) {
  const group = shape("g", {});
  const hue = Number.parseInt(key.slice(0, 6), 16) % 360 || 0;
  const box = shape("rect", { x: at.x - half, y: at.y - half, width: 2 * half, height: 2 * half, rx: 4, class: "lu-face-box" });
  box.style.fill = `hsl(${hue} 38% 44%)`;
  group.append(box, text(at.x, at.y + 4, ([...name][0] ?? "?").toUpperCase(), "middle", "lu-face-letter"));
  return group;
}

/**
 * @param {number} x
 * @param {number} y
 * @param {string} words
 * @param {"start" | "middle" | "end"} anchor
 * @param {string} style
 */
function text(x, y, words, anchor, style) {
  const node = shape("text", { x, y, "text-anchor": anchor, class: style });
  node.textContent = words.length > 14 ? `${words.slice(0, 13)}…` : words;
  return node;
}

/**
 * @param {string} tag
 * @param {Record<string, string | number | boolean>} attributes
 */
export function shape(tag, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  return node;
}
