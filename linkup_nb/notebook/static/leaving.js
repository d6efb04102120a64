// @ts-check
// The question before one leaves a room.

/** @import { RoomEntry } from "./protocol.js" */

import { setText } from "./dom.js";

const LEAVING = "Leave this room? What is here of it stays on this machine, and its invite brings you back.";
const LEAVING_LINKUP = "Leave this room? Its messages go; only its topic brings you back.";

export class Leaving {
  /**
   * @param {Record<string, HTMLElement>} parts
   * @param {(forget: boolean) => void} leave
   */
  constructor(parts, leave) {
    this.parts = parts;
    parts["leave-cancel"].addEventListener("click", () => this.close());
    parts["leave-confirm"].addEventListener("click", () => leave(false));
    parts["leave-forget"].addEventListener("click", () => leave(true));
  }

  /** @param {RoomEntry | undefined} room */
  ask(room) {
    setText(this.parts["leaving-words"], room?.linkup ? LEAVING_LINKUP : LEAVING);
    this.parts["leave-forget"].hidden = !room || room.linkup || Boolean(room.waiting);
    this.parts.leaving.hidden = false;
    this.parts["leave-cancel"].focus();
  }

  close() {
    this.parts.leaving.hidden = true;
  }
}
