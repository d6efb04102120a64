// @ts-check
// What one learns while the page is hidden, and where the peers of the drawing stand.

import assert from "node:assert/strict";
import { test } from "node:test";

import { AWAY_AFTER, Attention } from "../../linkup_nb/notebook/static/attention.js";
import { placesOf } from "../../linkup_nb/notebook/static/drawing.js";
import { choiceOf, newsOf } from "../../linkup_nb/notebook/static/notices.js";
import { superscript } from "../../linkup_nb/notebook/static/words.js";
import { mockTimeouts } from "./timers.js";

test("a damaged choice is the default", () => {
  for (const text of [null, "", "{", "[]", '{"title": 3, "notify": "everything"}']) {
    assert.deepEqual(choiceOf(text), { title: true, notify: "off" });
  }
  assert.deepEqual(choiceOf('{"title": false, "notify": "mentions"}'), { title: false, notify: "mentions" });
});

test("channels count, muted rooms do not", () => {
  const room = { topic: "", name: "", linkup: false, unread: 2, mentions: 1, muted: false, waiting: null, channels: [{ name: "c", topic: "", unread: 3, mentions: 0, invite: false }] };
  assert.deepEqual(newsOf([room, { ...room, muted: true }]), { unread: 5, mentions: 1 });
});

test("who stays keeps the place, and a newcomer takes one that is free", () => {
  const first = placesOf(new Map(), ["a", "b", "c"]);
  const then = placesOf(first, ["c", "d", "a"]);
  assert.equal(then.get("a"), first.get("a"));
  assert.equal(then.get("c"), first.get("c"));
  assert.equal(then.get("d"), first.get("b"));
});

test("powers are small", () => {
  assert.equal(superscript(255), "²⁵⁵");
});

test("who does not look for a while is away until they look again", (context) => {
  mockTimeouts(context);
  /** @type {boolean[]} */
  const said = [];
  const attention = new Attention((away) => said.push(away));
  attention.look(false);
  context.mock.timers.tick(AWAY_AFTER - 1);
  attention.look(true);
  attention.look(false);
  context.mock.timers.tick(AWAY_AFTER - 1);
  assert.deepEqual(said, []);
  context.mock.timers.tick(1);
  attention.look(true);
  attention.look(true);
  assert.deepEqual(said, [true, false]);
});
