// @ts-check
// The rooms on the left, the people on the right.

/** @import { PeerEntry, RoomEntry } from "./protocol.js" */

import { child, keyed, parse, say, setText } from "./dom.js";

const GROUPS = /** @type {const} */ ([["here", "Here"], ["connecting", "Connecting"], ["away", "Away"]]);

const ROOM = parse(`
  <li><button type="button" class="lu-room" data-lu="room"><bdi></bdi><span class="lu-unread" data-lu="unread" hidden></span></button></li>`);

const PEERS = parse(`<section><h2></h2><ul class="lu-list"></ul></section>`);

const PEER = parse(`
  <li class="lu-peer" data-lu="peer">
    <span class="lu-dot" aria-hidden="true"></span>
    <span class="lu-peer-name"><bdi></bdi> <code class="lu-short"></code></span>
    <span class="lu-faint" data-lu="rtt"></span>
  </li>`);

/**
 * @param {HTMLElement} list
 * @param {RoomEntry[]} rooms
 * @param {string | null} shown
 * @param {boolean} present whether somebody is looking at its end
 */
export function showRooms(list, rooms, shown, present) {
  keyed(list, rooms, ({ topic }) => topic, ROOM, (item, { topic, name, unread }) => {
    const button = child(item, 0);
    const [title, count] = [child(button, 0), child(button, 1)];
    button.dataset.topic = topic;
    button.setAttribute("aria-current", String(topic === shown));
    setText(title, name);
    say(count, unread && !(topic === shown && present) ? String(unread) : "");
    count.ariaLabel = `${unread} unread`;
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
    setText(child(section, 0), title);
    keyed(child(section, 1), members, ({ key }) => key, PEER, showPeer);
  });
}

/**
 * @param {HTMLElement} item
 * @param {PeerEntry} peer
 */
function showPeer(item, { name, short, shared_name: shared, status, detail }) {
  const [who, rtt] = [child(item, 1), child(item, 2)];
  item.dataset.status = status;
  setText(child(who, 0), name);
  setText(child(who, 1), shared ? short : "");
  setText(rtt, detail ?? "");
}
