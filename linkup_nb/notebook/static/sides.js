// @ts-check
// The rooms on the left, the people on the right.

/** @import { ChannelEntry, PeerEntry, RoomEntry } from "./protocol.js" */
/** @typedef {{topic: string, channel: string, name: string, unread: number, mentions: number, muted: boolean, sign: "room" | "channel" | "linkup", waiting: string | null}} Line */

import { child, keyed, parse, part, say, setAvatar, setText } from "./dom.js";
import { agoWords } from "./words.js";

const GROUPS = /** @type {const} */ ([["here", "Here"], ["connecting", "Connecting"], ["away", "Away"]]);

const LINE = parse(`
  <li><button type="button" class="lu-room" data-lu="room"><bdi></bdi
    ><span class="lu-mentions" data-lu="mentions" hidden></span><span class="lu-unread" data-lu="unread" hidden></span
    ><span class="lu-muted" data-lu="muted" hidden>muted</span></button></li>`);

const PEERS = parse(`<section><h2><span></span> <span class="lu-faint"></span></h2><ul class="lu-list"></ul></section>`);

const PEER = parse(`
  <li class="lu-peer" data-lu="peer">
    <span class="lu-face"><span class="lu-avatar lu-small" aria-hidden="true"></span><span class="lu-dot" aria-hidden="true"></span></span>
    <span class="lu-peer-name"><bdi></bdi> <code class="lu-short"></code></span>
    <span class="lu-faults" data-lu="faults" role="img" hidden>⚠</span>
    <span class="lu-faint" data-lu="detail"></span>
  </li>`);

/**
 * The lines of the list: a room with channels has its main one among them.
 * @param {RoomEntry[]} rooms
 * @returns {Line[]}
 */
export function linesOf(rooms) {
  return rooms.flatMap(({ topic, name, linkup, muted, waiting, channels, ...counts }) => {
    const about = { topic, muted, waiting };
    /** @type {Line} */
    const room = { ...about, ...counts, channel: "", name, sign: linkup ? "linkup" : "room" };
    /** @type {(entry: ChannelEntry) => Line} */
    const line = ({ name: channel, unread, mentions }) => ({ ...about, channel, name: channel, unread, mentions, sign: "channel" });
    return [room, ...channels.map(line)];
  });
}

/**
 * @param {Record<string, HTMLElement>} parts
 * @param {RoomEntry[]} rooms
 * @param {{topic: string | null, channel: string}} shown
 * @param {boolean} present whether somebody is looking at its end
 */
export function showRooms(parts, rooms, shown, present) {
  const linkup = rooms.filter((room) => room.linkup);
  showLines(parts.rooms, linesOf(rooms.filter((room) => !room.linkup)), shown, present);
  showLines(parts["linkup-rooms"], linesOf(linkup), shown, present);
  parts["linkup-title"].hidden = !linkup.length;
}

/**
 * @param {HTMLElement} list
 * @param {Line[]} lines
 * @param {{topic: string | null, channel: string}} shown
 * @param {boolean} present
 */
function showLines(list, lines, shown, present) {
  keyed(list, lines, ({ topic, channel }) => `${topic} ${channel}`, LINE, (item, { topic, channel, name, unread, mentions, muted, sign, waiting }) => {
    const button = child(item, 0);
    const current = topic === shown.topic && channel === shown.channel;
    Object.assign(button.dataset, { topic, channel, sign });
    button.setAttribute("aria-current", String(current));
    button.title = waiting ?? "";
    setText(child(button, 0), name);
    const counted = !muted && !(current && present);
    say(part(button, "mentions"), counted && mentions ? `@${mentions}` : "");
    part(button, "mentions").ariaLabel = `${mentions} mention${mentions === 1 ? "s you" : " you"}`;
    say(part(button, "unread"), counted && unread ? String(unread) : "");
    part(button, "unread").ariaLabel = `${unread} unread`;
    part(button, "muted").hidden = !muted || sign === "channel";
    button.classList.toggle("lu-fresh", counted && unread > 0);
  });
}

/**
 * Arrows go from line to line, over all lists of rooms.
 * @param {HTMLElement} side
 */
export function walkRooms(side) {
  side.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const target = /** @type {Element} */ (event.target);
    if (!step || !target.matches(".lu-room, .lu-add")) return;
    const lines = /** @type {HTMLElement[]} */ ([...side.querySelectorAll(".lu-room, .lu-add")]);
    lines[lines.indexOf(/** @type {HTMLElement} */ (target)) + step]?.focus();
    event.preventDefault();
  });
}

/**
 * @param {HTMLElement} side
 * @param {PeerEntry[]} peers
 */
export function showPeers(side, peers) {
  const groups = GROUPS
    .map(([status, title]) => ({ title, members: peers.filter((peer) => peer.status === status) }))
    .filter(({ title, members }) => members.length || title === "Here");
  keyed(side, groups, ({ title }) => title, PEERS, (section, { title, members }) => {
    const heading = child(section, 0);
    setText(child(heading, 0), title);
    setText(child(heading, 1), String(members.length));
    keyed(child(section, 1), members, ({ key }) => key, PEER, showPeer);
  });
}

/**
 * @param {HTMLElement} item
 * @param {PeerEntry} peer
 */
function showPeer(item, peer) {
  const { name, short, shared_name: shared, status, detail, role, since, faults } = peer;
  const [face, who, wrong, beside] = [child(item, 0), child(item, 1), child(item, 2), child(item, 3)];
  item.dataset.status = status;
  setAvatar(child(face, 0), peer);
  setText(child(who, 0), name);
  setText(child(who, 1), shared ? short : "");
  wrong.hidden = !faults.length;
  wrong.title = wrong.ariaLabel = faults.join("\n");
  setText(beside, role || detail || (since ? agoWords(since) : ""));
  beside.title = since ? `last here ${new Date(since).toLocaleString()}` : role;
}
