// Requests to the kernel, and files on their way to it and from it.

export const CHUNK = 1024 * 1024; // bytes
const WINDOW = 4; // chunks under way at once
const CHUNK_RESEND = 5_000; // ms until the first resend; each later one waits twice as long
export const RESEND = 10_000; // ms
const BUSY_AFTER = 1_500; // ms without an answer until the reader is told that the kernel is busy
export const STOPPED = "The kernel has stopped. Run the cell again to carry on.";

/** One view's requests to the kernel: an id each, one answer each. */
export class Kernel {
  count = 0;
  waiting = new Map();
  late = new Set();
  stopped = false;

  constructor(model, view, onbusy) {
    this.model = model;
    this.view = view;
    this.onbusy = onbusy;
  }

  /** Resolves with {content, buffers} of the answer, or rejects with the kernel's sentence. With `resend` (ms) the same
   *  request goes out again while no answer comes: only for those that may arrive twice. */
  request(type, fields = {}, { buffer, resend, quiet, signal } = {}) {
    if (this.stopped) return Promise.reject(new Error(STOPPED));
    const id = `${this.view}:${++this.count}`;
    const send = () => this.model.send({ id, view: this.view, type, ...fields }, undefined, buffer ? [buffer] : []);
    return new Promise((resolve, reject) => {
      const entry = { resolve, reject };
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

  answer(content, buffers) {
    const entry = this.#settle(content.id);
    if (content.ok) entry?.resolve({ content, buffers });
    else entry?.reject(new Error(content.error));
  }

  stop() {
    this.stopped = true;
    for (const id of [...this.waiting.keys()]) this.#settle(id).reject(new Error(STOPPED));
  }

  #settle(id) {
    const entry = this.waiting.get(id);
    this.waiting.delete(id);
    clearTimeout(entry?.resend);
    clearTimeout(entry?.late);
    this.#setLate(id, false);
    return entry;
  }

  #setLate(id, late) {
    const wasBusy = this.late.size > 0;
    if (late) this.late.add(id);
    else this.late.delete(id);
    const busy = this.late.size > 0;
    if (busy !== wasBusy) this.onbusy(busy);
  }
}

/** Calls `task(index)` for every index below `count`, WINDOW of them at once. */
export async function windowed(count, task) {
  let next = 0;
  const work = async () => {
    while (next < count) await task(next++);
  };
  await Promise.all(Array.from({ length: WINDOW }, work));
}

/** Sends a File to the kernel and returns the upload's id; `progress` hears the share (0 to 1) that has arrived. */
export async function upload(kernel, file, { purpose, topic = null, progress = () => {}, signal }) {
  const id = `${kernel.view}:${randomId()}`;
  const chunks = Math.ceil(file.size / CHUNK);
  const about = { upload: id, purpose, topic, name: file.name, mime: file.type, size: file.size, chunks };
  await kernel.request("upload_begin", about, { signal });
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
    const unreadable = error.name === "NotReadableError" || error.name === "NotFoundError";
    throw unreadable ? new Error(`${file.name} cannot be read. If it is a folder, zip it first.`) : error;
  }
  return id;
}

/** The bytes of a message's attachment, as a list of buffers. */
export async function download(kernel, topic, seq, progress, signal) {
  const fetch = (index) => kernel.request("fetch", { topic, seq, index }, { resend: RESEND, quiet: true, signal });
  const first = await fetch(0);
  const parts = [first.buffers[0]];
  const { chunks } = first.content;
  await windowed(chunks - 1, async (index) => {
    parts[index + 1] = (await fetch(index + 1)).buffers[0];
    progress((index + 2) / chunks);
  });
  return parts;
}

export function randomId() {
  return crypto.getRandomValues(new Uint32Array(2)).join("-");
}

/** The blob URLs of one view. */
export class Blobs {
  urls = new Set();

  make(parts, type) {
    const url = URL.createObjectURL(new Blob(parts, { type }));
    this.urls.add(url);
    return url;
  }

  revoke(url) {
    if (this.urls.delete(url)) URL.revokeObjectURL(url);
  }

  close() {
    for (const url of [...this.urls]) this.revoke(url);
  }
}
