// @ts-check
// The DHT: how many nodes are known at which distance, and the last look-up hop by hop.

/** @import { DhtEntry, HopEntry, LookUp, SwarmUpdate } from "./protocol.js" */

import { child, element, keyed, make, parse, parts, say, setText } from "./dom.js";
import { superscript } from "./words.js";

const DHT = parse(`
  <div class="lu-dht">
    <div data-lu="dht-table">
      <p data-lu="dht-nodes"></p>
      <div class="lu-bars" data-lu="dht-bars" role="img"></div>
      <p class="lu-between lu-faint"><span data-lu="dht-near"></span><span data-lu="dht-far"></span></p>
      <dl class="lu-facts" data-lu="dht-facts"></dl>
    </div>
    <div data-lu="dht-query">
      <p class="lu-between"><span data-lu="look-up"></span><span class="lu-faint" data-lu="look-up-counts"></span></p>
      <div class="lu-scroll lu-hops" tabindex="0" role="group" aria-label="Look-up">
        <table class="lu-table"><thead><tr><th>Hop</th><th>Node</th><th>Distance</th><th class="lu-number">Answered</th></tr></thead><tbody data-lu="hops"></tbody></table>
      </div>
      <p class="lu-faint" data-lu="more-hops"></p>
    </div>
    <ul class="lu-networks" data-lu="networks"></ul>
  </div>`);

const NETWORK = parse(`<li><strong></strong> <span></span></li>`);
const FACT = parse(`<div><dt></dt><dd></dd></div>`);
const HOP = parse(`<tr><td></td><td><code></code></td><td><span class="lu-power"></span><span class="lu-meter"><i></i></span></td><td class="lu-number"></td></tr>`);

/**
 * @param {HTMLElement} place
 * @param {SwarmUpdate} state
 */
export function showDht(place, state) {
  if (!place.firstElementChild) place.append(make(DHT));
  const named = parts(place);
  const { dht } = state;
  named["dht-table"].hidden = !dht;
  named["dht-query"].hidden = !dht?.look_up;
  if (dht) showTable(named, dht);
  if (dht?.look_up) showLookUp(named, dht.look_up, dht.bits);
  keyed(named.networks, state.networks, ({ name }) => name, NETWORK, (item, { name, text }) => {
    setText(child(item, 0), networkName(name));
    setText(child(item, 1), text);
  });
}

/** @param {string} name */
function networkName(name) {
  return { local: "This network:", hyperdht: "HyperDHT:", kademlia: "Kademlia:" }[name] ?? `${name}:`;
}

/**
 * @param {Record<string, HTMLElement>} named
 * @param {DhtEntry} dht
 */
function showTable(named, dht) {
  const most = Math.max(1, ...dht.buckets);
  setText(named["dht-nodes"], `${dht.nodes} ${dht.nodes === 1 ? "node" : "nodes"} by distance`);
  const bars = named["dht-bars"];
  bars.ariaLabel = `${dht.nodes} nodes by distance, from near to far: ${dht.buckets.join(", ")}`;
  while (bars.children.length > dht.buckets.length) bars.lastElementChild?.remove();
  while (bars.children.length < dht.buckets.length) bars.append(element("span", "column"));
  dht.buckets.forEach((count, number) => {
    const bar = child(bars, number);
    bar.style.height = `${Math.round((100 * count) / most)}%`;
    bar.title = `2${superscript(dht.bits + 1 - dht.buckets.length + number)}: ${count}`;
  });
  say(named["dht-near"], dht.nodes ? `near, 2${superscript(dht.bits + 1 - dht.buckets.length)}` : "");
  say(named["dht-far"], dht.nodes ? `far, 2${superscript(dht.bits)}` : "");
  const facts = [
    ["Answered in 5 min", String(dht.recent)],
    ["Kept for others", String(dht.stored)],
    ["Own id", dht.own_id || "none: it only asks"],
  ];
  keyed(named["dht-facts"], facts, ([name]) => name, FACT, (fact, [name, value]) => {
    setText(child(fact, 0), name);
    setText(child(fact, 1), value);
  });
}

/**
 * @param {Record<string, HTMLElement>} named
 * @param {LookUp} query
 * @param {number} bits of an id
 */
function showLookUp(named, query, bits) {
  setText(named["look-up"], `Last ${query.command}${query.about ? ` of ${query.about}` : ""}, ${query.target}…`);
  setText(named["look-up-counts"], `${query.asked} asked, ${query.answered} answered`);
  const rows = query.hops.map((hop, number) => ({ ...hop, number, bits }));
  keyed(named.hops, rows, ({ number }) => String(number), HOP, showHop);
  say(named["more-hops"], query.asked > query.hops.length ? `${query.asked - query.hops.length} more asked` : "");
}

/**
 * @param {HTMLElement} row
 * @param {HopEntry & {bits: number}} hop
 */
function showHop(row, hop) {
  setText(child(row, 0), String(hop.hop));
  setText(child(child(row, 1), 0), hop.address);
  setText(child(child(row, 2), 0), `2${superscript(hop.exponent)}`);
  child(child(child(row, 2), 1), 0).style.width = `${Math.max(0, 100 * (1 - (hop.bits - hop.exponent) / 20))}%`;
  setText(child(row, 3), hop.failed ? "no answer" : hop.rtt);
  row.dataset.failed = String(hop.failed);
}
