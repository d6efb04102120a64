// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { isComposing } from "../../linkup_nb/notebook/static/dom.js";
import { Drafts } from "../../linkup_nb/notebook/static/drafts.js";
import { isText } from "../../linkup_nb/notebook/static/focus.js";
import { askForMicrophone } from "../../linkup_nb/notebook/static/microphone.js";

/** @param {object} event */
const key = (event) => /** @type {KeyboardEvent} */ ({ ctrlKey: false, metaKey: false, altKey: false, isComposing: false, keyCode: 0, ...event });

test("letters of every script are text, what presses and moves is not", () => {
  for (const typed of ["a", "M", "é", "ж", "字", "😀", "/", "Process", "Dead"]) assert.ok(isText(key({ key: typed })), typed);
  for (const other of [" ", "Enter", "Tab", "Shift", "ArrowUp", "Delete", "F5"]) assert.ok(!isText(key({ key: other })), other);
  for (const held of ["ctrlKey", "metaKey", "altKey"]) assert.ok(!isText(key({ key: "c", [held]: true })), held);
});

test("a key is an input method's by either of its two signs", () => {
  assert.ok(isComposing(key({ key: "Enter", isComposing: true, keyCode: 229 })));
  assert.ok(isComposing(key({ key: "Enter", keyCode: 229 })));
  assert.ok(!isComposing(key({ key: "Enter", keyCode: 13 })));
});

function storage() {
  /** @type {Map<string, string>} */
  const kept = new Map();
  return {
    getItem: (/** @type {string} */ name) => kept.get(name) ?? null,
    setItem: (/** @type {string} */ name, /** @type {string} */ text) => void kept.set(name, text),
    removeItem: (/** @type {string} */ name) => void kept.delete(name),
    kept,
  };
}

test("a draft is of its author and room, and is there again after a reload", () => {
  const tab = storage();
  new Drafts(tab).set("kestrel", "lobby", "half a sentence");
  const later = new Drafts(tab);
  assert.equal(later.get("kestrel", "lobby"), "half a sentence");
  assert.equal(later.get("kestrel", "physics"), "");
  assert.equal(later.get("otter", "lobby"), "");
  later.set("kestrel", "lobby", "");
  assert.equal(tab.kept.size, 0);
  assert.equal(later.get("kestrel", "lobby"), "");
});

test("drafts are kept for this page where the tab keeps nothing", () => {
  const full = { ...storage(), setItem: () => { throw new DOMException("", "QuotaExceededError"); } };
  for (const tab of [null, full]) {
    const drafts = new Drafts(tab);
    drafts.set("kestrel", null, "~jo");
    assert.equal(drafts.get("kestrel", null), "~jo");
  }
});

/** @param {string} name */
const refusing = (name) => ({ getUserMedia: () => Promise.reject(new DOMException("", name)) });

test("a microphone that is not to be had is one sentence at once, and an alternative", async () => {
  await assert.rejects(askForMicrophone(undefined), /only pages over https .* or attach a sound file/);
  await assert.rejects(askForMicrophone(refusing("NotAllowedError")), /does not let this page use the microphone: allow it/);
  await assert.rejects(askForMicrophone(refusing("NotFoundError")), /finds no microphone: connect one/);
  await assert.rejects(askForMicrophone(refusing("NotReadableError")), /another program may use it/);
});

test("a microphone that was asked for is let go of, until the recording begins", async () => {
  let stopped = 0;
  const stream = /** @type {MediaStream} */ (/** @type {unknown} */ ({ getTracks: () => [{ stop: () => (stopped += 1) }] }));
  await askForMicrophone({ getUserMedia: async () => stream });
  assert.equal(stopped, 1);
});
