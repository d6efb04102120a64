// @ts-check
// What one learns of the chat while its page is hidden: a count in the title, and if one wants it the browser's notifications.

/** @import { StateUpdate } from "./protocol.js" */
/** @typedef {{title: boolean, notify: "off" | "mentions" | "all"}} Choice */

import { Attention } from "./attention.js";

const CHOICE_STORED = "linkup_nb notices";
const COUNTED = /^\(\d+\) /;

/**
 * What a storage says was chosen; the default for what is damaged.
 * @param {string | null | undefined} text
 * @returns {Choice}
 */
export function choiceOf(text) {
  try {
    const { title, notify } = JSON.parse(text ?? "{}");
    return { title: title !== false, notify: ["mentions", "all"].includes(notify) ? notify : "off" };
  } catch {
    return { title: true, notify: "off" };
  }
}

/**
 * How much is new in rooms that are not muted, and how much of it names the reader.
 * @param {StateUpdate["rooms"]} rooms
 */
export function newsOf(rooms) {
  let [unread, mentions] = [0, 0];
  for (const room of rooms) {
    if (room.muted) continue;
    for (const one of [room, ...room.channels]) {
      unread += one.unread;
      mentions += one.mentions;
    }
  }
  return { unread, mentions };
}

export class Notices {
  choice = choiceOf(stored()?.getItem(CHOICE_STORED));
  before = { unread: 0, mentions: 0 };

  /**
   * @param {AbortSignal} signal
   * @param {(away: boolean) => void} onaway
   */
  constructor(signal, onaway) {
    this.attention = new Attention(onaway);
    const look = () => {
      this.#showTitle(0);
      this.attention.look(!document.hidden);
    };
    document.addEventListener("visibilitychange", look, { signal });
    signal.addEventListener("abort", () => {
      this.#showTitle(0);
      this.attention.close();
    });
  }

  /** @param {Choice} choice */
  choose(choice) {
    this.choice = choice;
    try {
      stored()?.setItem(CHOICE_STORED, JSON.stringify(choice));
    } catch {
      // The storage is full: this page keeps it.
    }
  }

  async allowed() {
    return "Notification" in window && (await Notification.requestPermission()) === "granted";
  }

  /** @param {StateUpdate} state */
  update({ rooms }) {
    const news = newsOf(rooms);
    const more = { unread: news.unread - this.before.unread, mentions: news.mentions - this.before.mentions };
    this.before = news;
    if (!document.hidden) return;
    if (this.choice.title) this.#showTitle(news.unread);
    const count = { off: 0, mentions: more.mentions, all: more.unread }[this.choice.notify];
    if (count > 0) this.#notify(count);
  }

  /** Neither who wrote it nor what: a notification is seen by who stands beside the reader. */
  #notify(/** @type {number} */ count) {
    const words = this.choice.notify === "mentions" ? "named you" : "new";
    if ("Notification" in window && Notification.permission === "granted") {
      new Notification("LinkUp", { body: `${count} ${count === 1 ? "message" : "messages"} ${words === "new" ? "new" : "that name you"}`, tag: "linkup_nb" });
    }
  }

  /** @param {number} count */
  #showTitle(count) {
    const plain = document.title.replace(COUNTED, "");
    if (count || plain !== document.title) document.title = count ? `(${count}) ${plain}` : plain;
  }
}

function stored() {
  try {
    return window.localStorage;
  } catch {
    return null; // where the page may not
  }
}
