// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { agoWords, clockWords, dateOf, dayNumber, dayWords, earlierWords, sizeWords } from "../../linkup_nb/notebook/static/words.js";

const NOON = new Date(2026, 0, 1, 12, 5);

test("a time is shown with two digits each", () => {
  assert.equal(clockWords(new Date(2026, 0, 1, 9, 3)), "09:03");
  assert.equal(clockWords(new Date(2026, 0, 1, 0, 0)), "00:00");
});

test("a time that no date has is the start of 1970, not an error", () => {
  assert.equal(dateOf({ time: 1e308 }).getTime(), 0);
  assert.equal(dateOf({ time: NaN }).getTime(), 0);
  assert.equal(dateOf({ time: NOON.getTime() }).getTime(), NOON.getTime());
});

test("days are named from where one reads", () => {
  assert.equal(dayWords(new Date(2026, 0, 1, 0, 0), NOON), "Today");
  assert.equal(dayWords(new Date(2025, 11, 31, 23, 59), NOON), "Yesterday");
  assert.doesNotMatch(dayWords(new Date(2026, 5, 1), NOON), /2026/);
  assert.match(dayWords(new Date(2024, 5, 1), NOON), /2024/);
});

test("two days have different numbers, also a month or a year apart", () => {
  const days = [new Date(2025, 11, 31), new Date(2026, 0, 1), new Date(2026, 0, 31), new Date(2026, 1, 1), new Date(2027, 0, 1)];
  const numbers = days.map(dayNumber);
  assert.deepEqual([...new Set(numbers)].sort((a, b) => a - b), numbers);
});

for (const [bytes, words] of /** @type {[number, string][]} */ ([
  [0, "0 bytes"], [1, "1 byte"], [999, "999 bytes"], [1000, "1 kB"], [999_499, "999 kB"], [999_500, "1.0 MB"], [9_437_184, "9.4 MB"],
])) {
  test(`${bytes} bytes are ${words}`, () => assert.equal(sizeWords(bytes), words));
}

for (const [ago, words] of /** @type {[number, string][]} */ ([[0, "1 min"], [59, "59 min"], [120, "2 h"], [47 * 60, "47 h"], [72 * 60, "3 d"]])) {
  test(`${ago} minutes ago is ${words}`, () => assert.equal(agoWords(1e12 - ago * 60_000, 1e12), words));
}

test("earlier messages are counted, and named if one person wrote them", () => {
  assert.equal(earlierWords([{ name: "heron" }]), "1 earlier message from heron");
  assert.equal(earlierWords([{ name: "heron" }, { name: "heron" }]), "2 earlier messages from heron");
  assert.equal(earlierWords([{ name: "heron" }, { name: "wren" }]), "2 earlier messages from 2 people");
});
