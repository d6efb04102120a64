// @ts-check
import assert from "node:assert/strict";
import { File } from "node:buffer";
import { webcrypto } from "node:crypto";
import { mock, test } from "node:test";

import { mockTimeouts } from "./timers.js";

import { CHUNK, Kernel, download, upload, windowed } from "../../linkup_nb/notebook/static/kernel.js";

// Every browser has it; Node.js 18, which Debian 12 brings, does not.
globalThis.crypto ??= /** @type {Crypto} */ (webcrypto);

/** @import { ReplyUpdate } from "../../linkup_nb/notebook/static/protocol.js" */
/** @typedef {{id: string, view: string, type: string, upload?: string, index?: number, size?: number, chunks?: number}} Request */

/**
 * A kernel whose messages `answer` gets, and answers with the fields that it returns; with undefined it stays silent.
 * @param {(request: Request, buffer?: ArrayBuffer) => (Partial<ReplyUpdate> & {buffers?: DataView[]}) | undefined} answer
 */
function kernelThat(answer) {
  /** @type {Request[]} */
  const requests = [];
  /** @type {boolean[]} */
  const busy = [];
  const kernel = new Kernel(
    {
      send(content, _, buffers) {
        const request = /** @type {Request} */ (content);
        requests.push(request);
        const reply = answer(request, buffers?.[0]);
        if (!reply) return;
        const { buffers: data = [], ...fields } = reply;
        queueMicrotask(() => kernel.answer({ type: "reply", id: request.id, ok: true, ...fields }, data));
      },
    },
    "view",
    (now) => busy.push(now),
  );
  return { kernel, requests, busy };
}

const file = (/** @type {number} */ size, name = "energies.bin") =>
  /** @type {globalThis.File} */ (/** @type {unknown} */ (new File([new Uint8Array(size)], name)));

test("each request has an id of its own, and gets its answer", async () => {
  const { kernel, requests } = kernelThat((request) => ({ topic: request.id }));
  const answers = await Promise.all([kernel.request("create", { name: "a" }), kernel.request("create", { name: "b" })]);
  assert.deepEqual(answers.map(({ content }) => content.topic), requests.map(({ id }) => id));
  assert.equal(new Set(requests.map(({ id }) => id)).size, 2);
});

test("a refusal is the kernel's sentence", async () => {
  const { kernel } = kernelThat(() => ({ ok: false, error: "This name is taken." }));
  await assert.rejects(kernel.request("create", { name: "a" }), { message: "This name is taken." });
});

test("a kernel that does not answer is busy until it does", (context) => {
  mockTimeouts(context);
  const { kernel, requests, busy } = kernelThat(() => undefined);
  kernel.request("send", { topic: null, text: "~help" });
  context.mock.timers.tick(1_499);
  assert.deepEqual(busy, []);
  context.mock.timers.tick(1);
  assert.deepEqual(busy, [true]);
  kernel.answer({ type: "reply", id: requests[0].id, ok: true }, []);
  assert.deepEqual(busy, [true, false]);
});

test("only what may arrive twice is sent again, each time later", (context) => {
  mockTimeouts(context);
  const { kernel, requests } = kernelThat(() => undefined);
  kernel.request("send", { topic: null, text: "once" });
  kernel.request("seen", { topic: "t", targets: ["1"] }, { resend: 10 });
  for (const wait of [10, 20, 40]) context.mock.timers.tick(wait);
  assert.deepEqual(requests.map(({ type }) => type), ["send", "seen", "seen", "seen", "seen"]);
});

test("what was under way when the connection was lost is given up some time after it is back", async (context) => {
  mockTimeouts(context);
  const { kernel } = kernelThat(() => undefined);
  const sending = kernel.request("send", { topic: null, text: "hello" });
  kernel.reconnected();
  context.mock.timers.tick(10_000);
  await assert.rejects(sending, { message: "The page was offline: look whether this has gone out before you send it again." });
});

test("a kernel that has stopped answers what waits, and all that follows, with one sentence", async () => {
  const { kernel, requests } = kernelThat(() => undefined);
  const waiting = kernel.request("send", { topic: null, text: "hello" });
  kernel.stop();
  await assert.rejects(waiting, { message: "The kernel has stopped: run the cell again." });
  await assert.rejects(kernel.request("bye", {}), { message: "The kernel has stopped: run the cell again." });
  assert.equal(requests.length, 1);
});

test("an aborted request ends at once", async () => {
  const { kernel } = kernelThat(() => undefined);
  const abort = new AbortController();
  const waiting = kernel.request("fetch", { topic: null, target: "0", index: 0 }, { signal: abort.signal });
  abort.abort();
  await assert.rejects(waiting, { name: "AbortError" });
  assert.equal(kernel.waiting.size, 0);
});

test("every index is worked on once, four at a time", async () => {
  /** @type {number[]} */
  const done = [];
  let under = 0;
  let most = 0;
  await windowed(10, async (index) => {
    most = Math.max(most, ++under);
    await new Promise((resolve) => setImmediate(resolve));
    under -= 1;
    done.push(index);
  });
  assert.deepEqual(done.sort((a, b) => a - b), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.equal(most, 4);
});

test("a file goes in chunks that make it whole", async () => {
  /** @type {number[]} */
  const sizes = [];
  const { kernel, requests } = kernelThat((request, buffer) => {
    if (request.type === "upload_chunk") sizes[request.index ?? -1] = buffer?.byteLength ?? 0;
    return {};
  });
  const progress = mock.fn();
  await upload(kernel, file(2 * CHUNK + 5), { purpose: "file", topic: "t", progress });
  const [begin] = requests;
  assert.deepEqual([begin.type, begin.size, begin.chunks, requests.at(-1)?.type], ["upload_begin", 2 * CHUNK + 5, 3, "upload_end"]);
  assert.deepEqual(sizes, [CHUNK, CHUNK, 5]);
  assert.deepEqual(progress.mock.calls.map((call) => call.arguments[0]), [1 / 3, 2 / 3, 1]);
});

test("an empty file is no chunk, and arrives", async () => {
  const { kernel, requests } = kernelThat(() => ({}));
  await upload(kernel, file(0), { purpose: "avatar" });
  assert.deepEqual(requests.map(({ type }) => type), ["upload_begin", "upload_end"]);
});

test("an upload that fails is cancelled, and says why", async () => {
  const { kernel, requests } = kernelThat(({ type }) => (type === "upload_chunk" ? { ok: false, error: "Too large." } : {}));
  await assert.rejects(upload(kernel, file(5), { purpose: "file" }), { message: "Too large." });
  assert.equal(requests.at(-1)?.type, "upload_cancel");
});

test("a folder is no file, and the sentence says what to do", async () => {
  const { kernel } = kernelThat(() => ({}));
  const folder = Object.assign(file(5, "runs"), { slice: () => ({ arrayBuffer: () => Promise.reject(new DOMException("", "NotFoundError")) }) });
  await assert.rejects(upload(kernel, folder, { purpose: "file" }), { message: "runs cannot be read. If it is a folder, zip it first." });
});

test("an attachment's chunks stand in their order, in whichever they come", async () => {
  const { kernel } = kernelThat(({ index }) => ({ chunks: 6, buffers: [new DataView(new Uint8Array([index ?? 255]).buffer)] }));
  const { parts } = await download(kernel, "t", "3");
  assert.deepEqual(parts.map((part) => part.getUint8(0)), [0, 1, 2, 3, 4, 5]);
});
