// @ts-check
import assert from "node:assert/strict";
import { mock, test } from "node:test";

import "./document.js";
import { mockTimeouts } from "./timers.js";
import { completionsOf } from "../../linkup_nb/notebook/static/completion.js";
import { placeOf } from "../../linkup_nb/notebook/static/composer.js";
import { bounded, widthsOf } from "../../linkup_nb/notebook/static/edges.js";
import { situationOfRoom } from "../../linkup_nb/notebook/static/empty.js";
import { mentionPattern, piecesOf } from "../../linkup_nb/notebook/static/mentions.js";
import { isSymbol } from "../../linkup_nb/notebook/static/palette.js";
import { Reading } from "../../linkup_nb/notebook/static/reading.js";
import { linesOf } from "../../linkup_nb/notebook/static/sides.js";
import { matching } from "../../linkup_nb/notebook/static/switcher.js";
import { Voice } from "../../linkup_nb/notebook/static/voice.js";
import { RowWindow } from "../../linkup_nb/notebook/static/window.js";

/** @import { Row, RoomEntry, PeerEntry, StateUpdate } from "../../linkup_nb/notebook/static/protocol.js" */

/**
 * @param {string} place
 * @param {Partial<Row>} [fields]
 * @returns {Row}
 */
const row = (place, fields = {}) => ({ id: `id ${place}`, place, kind: "text", time: 0, ...fields });
const entry = (/** @type {string} */ place) => ({ row: row(place) });

/** @param {string[]} places */
function windowOf(places, start = false, end = false) {
  const window = new RowWindow();
  window.insert(0, places.map(entry));
  Object.assign(window, { start, end });
  return window;
}

test("rows stand in the order of their places, wherever they come", () => {
  const window = windowOf(["b", "d"]);
  window.insert(window.indexOf("c"), [entry("c")]);
  window.insert(window.indexOf("a"), [entry("a")]);
  window.insert(window.indexOf("e"), [entry("e")]);
  assert.deepEqual(window.entries.map(({ row: { place } }) => place), ["a", "b", "c", "d", "e"]);
  assert.equal(window.byId.get("id c")?.row.place, "c");
});

test("a row belongs to a window if it stands within, or at an end that is one", () => {
  const window = windowOf(["b", "d"]);
  assert.deepEqual(["a", "c", "e"].map((place) => window.covers(place)), [false, true, false]);
  window.end = true;
  assert.deepEqual(["a", "c", "e"].map((place) => window.covers(place)), [false, true, true]);
  window.start = true;
  assert.ok(window.covers("a"));
  assert.ok(new RowWindow().covers("x"));
});

test("what is let go of at one end is not the end any more", () => {
  const window = windowOf(["a", "b", "c"], true, true);
  assert.deepEqual(window.trim(1, "end").map(({ row: { place } }) => place), ["c"]);
  assert.deepEqual([window.start, window.end, window.byId.has("id c")], [true, false, false]);
  assert.deepEqual(window.trim(0, "start"), []);
  assert.ok(window.start);
});

test("what was seen is reported together, once, and before another room is shown", (context) => {
  mockTimeouts(context);
  /** @type {{targets: string[], since: string | null, until: string | null}[]} */
  const reports = [];
  const reading = new Reading((seen) => reports.push(seen));
  const [a, b, c] = ["a", "b", "c"].map((place) => row(place, { unread: true }));
  for (const each of [a, b, c]) reading.add(each);
  reading.see(a);
  reading.see(a);
  assert.deepEqual(reports, []);
  context.mock.timers.tick(300);
  assert.deepEqual(reports, [{ targets: ["id a"], since: null, until: null }]);
  reading.seeAll("b", "c");
  reading.clear();
  assert.deepEqual(reports[1], { targets: ["id b", "id c"], since: "b", until: "c" });
  context.mock.timers.tick(1000);
  assert.equal(reports.length, 2);
});

test("very many rows are reported in parts, a range once", () => {
  const report = mock.fn();
  const reading = new Reading(report);
  for (let number = 0; number < 1200; number++) reading.add(row(String(number).padStart(5, "0"), { unread: true }));
  reading.seeAll("", "9");
  reading.clear();
  const calls = report.mock.calls.map(({ arguments: [seen] }) => seen);
  assert.deepEqual(calls.map(({ targets }) => targets.length), [500, 500, 200]);
  assert.deepEqual(calls.map(({ until }) => until), ["9", null, null]);
});

test("a screen reader hears each message once, a mention first, and many as a count", (context) => {
  mockTimeouts(context);
  let now = 0;
  const region = /** @type {HTMLElement} */ (/** @type {unknown} */ ({ textContent: "" }));
  const voice = new Voice(region, () => now);
  voice.message(row("a", { name: "otter", text: "hello" }));
  voice.message(row("b", { name: "wren", text: "x".repeat(300), mention: true }));
  context.mock.timers.tick(150);
  assert.equal(region.textContent, `wren: ${"x".repeat(200)}. otter: hello`);
  for (let number = 0; number < 6; number++) voice.message(row("c", { name: "otter", text: `${number}` }));
  context.mock.timers.tick(150);
  assert.equal(region.textContent, "otter: 0. otter: 1. otter: 2. 3 more new messages");
  now += 10_000;
  voice.message(row("d", { name: "otter", file: { name: "a.csv", size: 1, mime: "", inline: false } }));
  context.mock.timers.tick(150);
  assert.equal(region.textContent, "otter: sent a.csv");
});

const COMMANDS = [{ name: "~help", usage: "~help", help: "this" }, { name: "~join", usage: "~join INVITE", help: "a room" }];

test("commands, names and symbols are completed where they stand", () => {
  const complete = (/** @type {string} */ text, before = text) => completionsOf(text, before, COMMANDS, ["otter", "Отто Б", "wren", "otter"]);
  assert.deepEqual(complete("~j").map(({ text, from }) => [text, from]), [["~join ", 0]]);
  assert.deepEqual(complete("~HE").map(({ text }) => text), ["~help"]);
  assert.deepEqual(complete("see @ot").map(({ text, from }) => [text, from]), [["@otter ", 4]]);
  assert.deepEqual(complete("@от").map(({ text }) => text), ["@Отто Б "]);
  assert.deepEqual(complete("well :rock").map(({ text, from }) => [text, from]), [["🚀", 5]]);
  for (const plain of ["hello", "a@ot", "10:30", "::", "~join me"]) assert.deepEqual(complete(plain), [], plain);
});

test("a reaction is a short text without spaces", () => {
  for (const good of ["👍", "+1", "🏳️‍🌈"]) assert.ok(isSymbol(good), good);
  for (const bad of ["", "a b", "x".repeat(33), "👨‍👩‍👧‍👦👨‍👩‍👧‍👦"]) assert.ok(!isSymbol(bad), bad);
});

/** @type {RoomEntry} */
const physics = { topic: "1", name: "physics", linkup: false, unread: 2, mentions: 1, muted: false, waiting: null, channels: [{ name: "results", topic: "", unread: 3, mentions: 0, invite: false }] };
/** @type {RoomEntry} */
const lobby = { topic: "2", name: "lobby", linkup: true, unread: 0, mentions: 0, muted: false, waiting: null, channels: [] };

test("a room's channels are lines below it, with counts of their own", () => {
  assert.deepEqual(linesOf([physics, lobby]).map(({ name, channel, unread, sign }) => [name, channel, unread, sign]), [
    ["physics", "", 2, "room"], ["results", "results", 3, "channel"], ["lobby", "", 0, "linkup"],
  ]);
});

test("a room is found by letters of its name, those first that begin with them", () => {
  const found = (/** @type {string} */ text) => matching(linesOf([physics, lobby]), text).map(({ name }) => name);
  assert.deepEqual(found("S"), ["physics", "results"]);
  assert.deepEqual(found("r"), ["results"]);
  assert.deepEqual(found(" lob "), ["lobby"]);
  assert.deepEqual(found("x"), []);
  assert.equal(found("").length, 3);
});

test("one sentence is true of a room in which nothing stands", () => {
  /** @type {(role: string, status?: PeerEntry["status"]) => PeerEntry} */
  const peer = (role, status = "here") => ({ key: role, short: "", name: role, shared_name: false, status, detail: null, avatar: null, role, since: null, faults: [] });
  const state = (/** @type {PeerEntry[]} */ ...peers) => /** @type {StateUpdate} */ (/** @type {unknown} */ ({ peers, channel: "" }));
  assert.equal(situationOfRoom(state(peer("you, founder")), physics, true), "first");
  assert.equal(situationOfRoom(state(peer("you")), physics, true), "nobody");
  assert.equal(situationOfRoom(state(peer("you"), peer("founder")), physics, true), "first");
  assert.equal(situationOfRoom(state(peer("you")), physics, false), "");
  assert.equal(situationOfRoom(state(peer("you")), { ...physics, waiting: "Waiting" }, true), "waiting");
  assert.equal(situationOfRoom(state(peer("you")), lobby, true), "linkup");
  assert.equal(situationOfRoom(state(peer("you"), peer("")), lobby, true), "");
  assert.equal(situationOfRoom({ ...state(peer("you, founder")), channel: "results" }, physics, true), "");
  assert.equal(situationOfRoom(state(), undefined, true), "");
});

test("drafts are kept for each channel", () => {
  assert.deepEqual([placeOf(null, ""), placeOf("t", ""), placeOf("t", "results")], [null, "t", "t results"]);
});

test("the longest name behind an @ is a mention, parts of words and of addresses are none", () => {
  const pattern = mentionPattern(["otter", "otter (2)", "Zoë", "a.b", ""]);
  assert(pattern);
  const mentions = (/** @type {string} */ text) => piecesOf(text, pattern).filter(([, mention]) => mention).map(([piece]) => piece);
  assert.deepEqual(mentions("@otter, (@otter (2)) and @Zoë!"), ["@otter", "@otter (2)", "@Zoë"]);
  assert.deepEqual(mentions("mail@otter.org @otters @axb @nobody @"), []);
  assert.deepEqual(piecesOf("hi @otter!", pattern), [["hi ", false], ["@otter", true], ["!", false]]);
  assert.equal(mentionPattern([""]), null);
});

test("the widths of columns stay within their bounds, whatever the storage has", () => {
  assert.deepEqual([10, 200.4, 9000].map(bounded), [160, 200, 320]);
  assert.deepEqual(widthsOf('{"left": 5, "right": 250}'), { left: 160, right: 250 });
  for (const damaged of [null, "", "{", "null", "7", '{"left": "9", "right": null}']) assert.deepEqual(widthsOf(damaged), {});
});
