// @ts-check
// What was typed and not sent, for each room; it outlives the page's reload and the cell's next run.

export class Drafts {
  /** @type {Map<string, string>} */
  kept = new Map();

  /** @param {Pick<Storage, "getItem" | "setItem" | "removeItem"> | null} storage of this tab, where the page may use one */
  constructor(storage) {
    this.storage = storage;
  }

  /**
   * @param {string} author the key of whoever writes
   * @param {string | null} topic of a room, or the place of a channel in it
   */
  get(author, topic) {
    const name = nameOf(author, topic);
    return this.kept.get(name) ?? this.storage?.getItem(name) ?? "";
  }

  /**
   * @param {string} author
   * @param {string | null} topic of a room, or the place of a channel in it
   * @param {string} text
   */
  set(author, topic, text) {
    const name = nameOf(author, topic);
    this.kept.set(name, text);
    try {
      if (text) this.storage?.setItem(name, text);
      else this.storage?.removeItem(name);
    } catch {
      // The storage is full: this page keeps it.
    }
  }
}

/**
 * @param {string} author
 * @param {string | null} topic of a room, or the place of a channel in it
 */
function nameOf(author, topic) {
  return `linkup_nb draft ${author} ${topic ?? ""}`;
}

/** The tab's storage; none where the browser refuses it, as in a sandboxed frame. */
export function tabStorage() {
  try {
    return globalThis.sessionStorage;
  } catch {
    return null;
  }
}
