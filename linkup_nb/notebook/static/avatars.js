// @ts-check
// The pictures of people: one rule of a style sheet each, for every place that shows them.

/** @import { AvatarPicture } from "./protocol.js" */
/** @import { Blobs } from "./kernel.js" */

import { IMAGE_TYPES } from "./vetted.js";

const MAX_AVATARS = 256; // pictures kept, the newest
const AVATAR_ID = /^[\w-]{1,128}$/;

export class AvatarSheet {
  style = document.createElement("style");
  /** @type {Map<string, string>} id → URL */
  urls = new Map();

  /**
   * @param {string} root the id of the element within which they are shown
   * @param {Blobs} blobs
   */
  constructor(root, blobs) {
    this.root = root;
    this.blobs = blobs;
  }

  /**
   * @param {AvatarPicture} picture
   * @param {DataView[]} buffers
   */
  add({ avatar, mime }, buffers) {
    if (this.urls.has(avatar) || !AVATAR_ID.test(avatar) || !IMAGE_TYPES.has(mime)) return;
    this.urls.set(avatar, this.blobs.make(/** @type {BlobPart[]} */ (buffers), mime));
    for (const [oldest, url] of this.urls) {
      if (this.urls.size <= MAX_AVATARS) break;
      this.urls.delete(oldest);
      this.blobs.revoke(url);
    }
    /** @type {(entry: [string, string]) => string} */
    const rule = ([id, url]) => `#${this.root} [data-avatar="${id}"]{background-image:url(${url});color:transparent}`;
    this.style.textContent = [...this.urls].map(rule).join("\n");
  }
}
