// @ts-check
// The line above the log: which room, what it is about, who may come in, and what else one does with it.

/** @import { RoomEntry, StateUpdate } from "./protocol.js" */
/** @import { Kernel } from "./kernel.js" */

import { copyText, element, say, setText } from "./dom.js";
import { sentenceOf } from "./kernel.js";
import { openMenu, openPopover } from "./popover.js";

const HONEST = "Whoever has this invite can come in and read everything.";

export class Head {
  /** @type {StateUpdate | null} */
  state = null;
  /** @type {RoomEntry | undefined} */
  room = undefined;

  /**
   * @param {Record<string, HTMLElement>} parts
   * @param {Kernel} kernel
   * @param {{onleave: () => void, onfail: (sentence: string) => void, onnote: (sentence: string) => void, oncommand: (text: string) => void}} options
   */
  constructor(parts, kernel, options) {
    this.parts = parts;
    this.kernel = kernel;
    this.options = options;
    parts["copy-topic"].addEventListener("click", () => this.copyInvite(parts["copy-topic"]));
    parts["show-qr"].addEventListener("click", () => this.showQr(parts["show-qr"]));
    parts.subject.addEventListener("click", () => this.#askSubject());
    parts.more.addEventListener("click", () => this.#menu());
  }

  /**
   * @param {StateUpdate} state
   * @param {RoomEntry | undefined} room the one that is shown
   */
  update(state, room) {
    this.state = state;
    this.room = room;
    const { parts } = this;
    const memory = Boolean(state.invite);
    setText(parts["room-name"], room?.name ?? "");
    say(parts["channel-name"], memory && (state.channel || room?.channels.length) ? `› ${state.channel || "main"}` : "");
    const about = state.channel ? room?.channels.find(({ name }) => name === state.channel)?.topic : state.subject;
    say(parts.subject, room?.linkup ? "LinkUp room" : (about ?? ""));
    parts.subject.title = memory && !state.channel ? "Change the subject" : "";
    parts.key.hidden = !room || (!memory && !room.linkup);
    setText(parts.topic, state.invite ?? (room?.linkup ? shortened(room.topic) : ""));
    parts["copy-topic"].title = parts["copy-topic"].ariaLabel = memory ? "Copy the invite" : "Copy the topic";
    parts["show-qr"].hidden = !memory;
    parts.more.hidden = !room;
  }

  /** @param {HTMLElement} button */
  async copyInvite(button) {
    if (this.room?.linkup) return copyText(this.room.topic, button);
    const invite = await this.#invite();
    if (invite) await copyText(invite.link ?? "", button);
  }

  /** @param {HTMLElement} button */
  async showQr(button) {
    const invite = await this.#invite();
    if (!invite) return;
    const box = element("div", "qr");
    const code = element("img", "qr-code", { alt: "The invite as a QR code", src: `data:image/svg+xml;utf8,${encodeURIComponent(standalone(invite.svg ?? ""))}` });
    box.append(code, element("p", "qr-words", {}, HONEST));
    openPopover(button, box, "Invite");
  }

  async #invite() {
    if (!this.room) return null;
    return this.#request("invite", { topic: this.room.topic });
  }

  #askSubject() {
    const { room, state } = this;
    if (!room || !state?.invite || state.channel) return;
    this.#ask(this.parts.subject.hidden ? this.parts.more : this.parts.subject, "Subject, for everybody", state.subject, (subject) =>
      this.#request("change_room", { topic: room.topic, subject }));
  }

  #menu() {
    const { room, state } = this;
    const { more } = this.parts;
    if (!room || !state) return;
    const leave = { label: "Leave…", pick: this.options.onleave };
    const rename = {
      label: "Rename it here…",
      pick: () => this.#ask(more, "Name, for you only", room.name, (name) => this.#request("change_room", { topic: room.topic, name })),
    };
    if (room.waiting) return openMenu(more, [leave], "Room");
    if (room.linkup) return openMenu(more, [rename, leave], "Room");
    openMenu(more, [
      rename,
      { label: "Change the subject…", pick: () => this.#askSubject() },
      { label: "New channel…", pick: () => this.#ask(more, "Name of the channel", "", (name) => this.#request("channel", { topic: room.topic, name })) },
      { label: "An invite that ends…", pick: () => this.options.oncommand("~invite --expires 2d --uses 1") },
      { label: room.muted ? "Count what is new" : "Mute this room", pick: () => this.#request("change_room", { topic: room.topic, muted: !room.muted }) },
      ...(state.peers.some(({ faults }) => faults.length) ? [{ label: "What is disputed…", pick: () => this.options.oncommand("~disputed") }] : []),
      { label: "Export it to a file…", pick: () => this.options.oncommand(`~export ${room.name}.jsonl`) },
      leave,
    ], "Room");
  }

  /**
   * A box with one line to type.
   * @param {HTMLElement} anchor
   * @param {string} label
   * @param {string} value
   * @param {(value: string) => Promise<unknown>} then
   */
  #ask(anchor, label, value, then) {
    const form = element("form", "ask", { noValidate: true });
    const input = element("input", "ask-input", { value, ariaLabel: label, placeholder: label, dir: "auto" });
    form.append(element("p", "ask-label", {}, label), input, element("button", "ask-save", { className: "lu-button" }, "Save"));
    const close = openPopover(anchor, form, label);
    input.select();
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (await then(input.value.trim())) close(true);
    });
  }

  /**
   * @template {"invite" | "change_room" | "channel"} Type
   * @param {Type} type
   * @param {import("./protocol.js").Requests[Type]} fields
   */
  async #request(type, fields) {
    try {
      return (await this.kernel.request(type, fields)).content;
    } catch (error) {
      this.options.onfail(sentenceOf(error));
      return null;
    }
  }
}

/** @param {string} key */
export function shortened(key) {
  return `${key.slice(0, 4)}…${key.slice(-4)}`;
}

/**
 * An inline SVG as one that stands alone.
 * @param {string} svg
 */
function standalone(svg) {
  return svg.includes("xmlns=") ? svg : svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"');
}
