// @ts-check
// That the checks are on, everywhere.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

const STATIC = new URL("../../linkup_nb/notebook/static/", import.meta.url);
const HERE = new URL("./", import.meta.url);
const sources = [STATIC, HERE].flatMap((folder) =>
  readdirSync(folder).filter((name) => name.endsWith(".js")).map((name) => new URL(name, folder)),
);

for (const source of sources) {
  test(`${source.pathname.split("/").at(-1)} is checked, all of it`, () => {
    const text = readFileSync(source, "utf8");
    assert.ok(text.startsWith("// @ts-check\n"));
    assert.doesNotMatch(text, new RegExp("@ts-" + "(ignore|nocheck|expect-error)"));
    assert.doesNotMatch(text, new RegExp("\\{any" + "\\}"));
  });
}
