// @ts-check
// Requests to the kernel, and files on their way to it and from it.

/** @import { Model, ReplyUpdate, Requests } from "./protocol.js" */
/** @typedef {{content: ReplyUpdate, buffers: DataView[]}} Answer */
/** @typedef {ReturnType<typeof setTimeout>} Timer */
/** @typedef {{resolve: (answer: Answer) => void, reject: (reason: unknown) => void, resend?: Timer, late?: Timer, again: boolean}} Waiting */

export const CHUNK = 1024 * 1024; // bytes
const WINDOW = 4; // chunks under way at once
const CHUNK_RESEND = 5_000; // ms until the first resend; each later one waits twice as long
export const RESEND = 10_000; // ms
const BUSY_AFTER = 1_500; // ms without an answer until the reader is told that the kernel is busy
export const STOPPED = "The kernel has stopped: run the cell again.";
const LOST = "The page was offline: look whether this has gone out before you send it again.";

/** One view's requests to the kernel: an id each, one answer each. */
export class Kernel {
  count = 0;
  /** @type {Map<string, Waiting>} */
  waiting = new Map();
  /** @type {Set<string>} */
  late = new Set();
  stopped = false;

  /**
   * @param {Pick<Model, "send">} model
   * @param {string} view
   * @param {(busy: boolean) => void} onbusy
   */
  constructor(model, view, onbusy) {
    this.model = model;
    this.view = view;
    this.onbusy = onbusy;
  }

  /**
   * Resolves with {content, buffers} of the answer, or rejects with the kernel's sentence. With `resend` (ms) the same
   * request goes out again while no answer comes: only for those that may arrive twice.
   * @template {keyof Requests} Type
   * @param {Type} type
   * @param {Requests[Type]} fields
   * @param {{buffer?: ArrayBuffer, resend?: number, quiet?: boolean, signal?: AbortSignal}} [options]
   * @returns {Promise<Answer>}
   */
  request(type, fields, { buffer, resend, quiet, signal } = {}) {
    if (this.stopped) return Promise.reject(new Error(STOPPED));
    const id = `${this.view}:${++this.count}`;
    const send = () => this.model.send({ id, view: this.view, type, ...fields }, undefined, buffer ? [buffer] : []);
    return new Promise((resolve, reject) => {
      /** @type {Waiting} */
      const entry = { resolve, reject, again: Boolean(resend) };
      /** @param {number} wait */
      const resendAfter = (wait) => {
        entry.resend = setTimeout(() => {
          send();
          resendAfter(wait * 2);
        }, wait);
      };
      if (resend) resendAfter(resend);
      if (!quiet) entry.late = setTimeout(() => this.#setLate(id, true), BUSY_AFTER);
      this.waiting.set(id, entry);
      signal?.addEventListener("abort", () => this.#settle(id)?.reject(signal.reason), { once: true });
      send();
    });
  }

  /**
   * @param {ReplyUpdate} content
   * @param {DataView[]} buffers
   */
  answer(content, buffers) {
    const entry = this.#settle(content.id);
    if (content.ok) entry?.resolve({ content, buffers });
    else entry?.reject(new Error(content.error));
  }

  /** To be called when a lost connection is back: what is not sent again by itself, and not answered soon, was lost. */
  reconnected() {
    const doubtful = [...this.waiting].filter(([, entry]) => !entry.again).map(([id]) => id);
    setTimeout(() => doubtful.forEach((id) => this.#settle(id)?.reject(new Error(LOST))), RESEND);
  }

  stop() {
    this.stopped = true;
    for (const id of [...this.waiting.keys()]) this.#settle(id)?.reject(new Error(STOPPED));
  }

  /** @param {string} id */
  #settle(id) {
    const entry = this.waiting.get(id);
    this.waiting.delete(id);
    clearTimeout(entry?.resend);
    clearTimeout(entry?.late);
    this.#setLate(id, false);
    return entry;
  }

  /**
   * @param {string} id
   * @param {boolean} late
   */
  #setLate(id, late) {
    const wasBusy = this.late.size > 0;
    if (late) this.late.add(id);
    else this.late.delete(id);
    const busy = this.late.size > 0;
    if (busy !== wasBusy) this.onbusy(busy);
  }
}

/**
 * Calls `task(index)` for every index below `count`, WINDOW of them at once.
 * @param {number} count
 * @param {(index: number) => Promise<void>} task
 */
export async function windowed(count, task) {
  let next = 0;
  const work = async () => {
    while (next < count) await task(next++);
  };
  await Promise.all(Array.from({ length: WINDOW }, work));
}

/**
 * Sends a File to the kernel and returns the upload's id; `progress` is called with the share (0 to 1) that has arrived.
 * @param {Kernel} kernel
 * @param {File} file
 * @param {{purpose: "file" | "avatar", topic?: string | null, channel?: string, progress?: (share: number) => void, signal?: AbortSignal}} options
 */
export async function upload(kernel, file, { purpose, topic = null, channel = "", progress = () => {}, signal }) {
  const id = `${kernel.view}:${randomId()}`;
  const chunks = Math.ceil(file.size / CHUNK);
  await kernel.request("upload_begin", { upload: id, purpose, topic, channel, name: file.name, size: file.size, chunks }, { signal });
  try {
    let arrived = 0;
    await windowed(chunks, async (index) => {
      signal?.throwIfAborted();
      const buffer = await file.slice(index * CHUNK, (index + 1) * CHUNK).arrayBuffer();
      await kernel.request("upload_chunk", { upload: id, index }, { buffer, resend: CHUNK_RESEND, quiet: true, signal });
      progress(++arrived / chunks);
    });
    await kernel.request("upload_end", { upload: id }, { signal });
  } catch (error) {
    kernel.request("upload_cancel", { upload: id }, { quiet: true }).catch(() => {});
    const unreadable = error instanceof DOMException && ["NotReadableError", "NotFoundError"].includes(error.name);
    throw unreadable ? new Error(`${file.name} cannot be read. If it is a folder, zip it first.`) : error;
  }
  return id;
}

/**
 * The bytes of a message's attachment as a list of buffers, and their media type if they are to be shown.
 * @param {Kernel} kernel
 * @param {string | null} topic
 * @param {string} target the id of its row
 * @param {{inline?: boolean, version?: number, progress?: (share: number) => void, signal?: AbortSignal}} options
 */
export async function download(kernel, topic, target, { inline = false, version, progress = () => {}, signal } = {}) {
  /** @param {number} index */
  const fetch = (index) => kernel.request("fetch", { topic, target, version, index, inline }, { resend: RESEND, quiet: true, signal });
  const first = await fetch(0);
  const parts = [first.buffers[0]];
  const chunks = first.content.chunks ?? 1;
  await windowed(chunks - 1, async (index) => {
    parts[index + 1] = (await fetch(index + 1)).buffers[0];
    progress((index + 2) / chunks);
  });
  return { parts, mime: first.content.mime ?? "" };
}

export function randomId() {
  return crypto.getRandomValues(new Uint32Array(2)).join("-");
}

/**
 * The sentence of whatever was thrown.
 * @param {unknown} error
 */
export function sentenceOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/** The blob URLs of one view. */
export class Blobs {
  /** @type {Set<string>} */
  urls = new Set();

  /**
   * @param {BlobPart[]} parts
   * @param {string} type
   */
  make(parts, type) {
    const url = URL.createObjectURL(new Blob(parts, { type }));
    this.urls.add(url);
    return url;
  }

  /** @param {string | null | undefined} url */
  revoke(url) {
    if (url && this.urls.delete(url)) URL.revokeObjectURL(url);
  }

  close() {
    for (const url of [...this.urls]) this.revoke(url);
  }
}
