// @ts-check
// What stands where nothing has been said yet: one thing that is true, and what to do next.

/** @import { RoomEntry, StateUpdate } from "./protocol.js" */
/** @import { Head } from "./head.js" */

import { element } from "./dom.js";

/**
 * Which of the sentences is true; "" for none.
 * @param {StateUpdate} state
 * @param {RoomEntry | undefined} room
 * @param {boolean} empty whether nothing is shown
 */
export function situationOfRoom(state, room, empty) {
  if (!room) return "";
  if (room.waiting) return "waiting";
  if (!empty || state.channel) return "";
  const others = state.peers.filter(({ role }) => !role.startsWith("you"));
  const here = others.some(({ status }) => status === "here");
  if (room.linkup) return here ? "" : "linkup";
  const founder = state.peers.some(({ role }) => role === "you, founder");
  return founder || here || others.length ? "first" : "nobody";
}

/**
 * @param {HTMLElement} place
 * @param {string} situation
 * @param {RoomEntry | undefined} room
 * @param {Head} head
 */
export function showEmpty(place, situation, room, head) {
  place.hidden = !situation;
  const shown = `${situation} ${room?.topic ?? ""} ${room?.waiting ?? ""}`;
  if (place.dataset.shown === shown) return;
  place.dataset.shown = shown;
  place.replaceChildren();
  const [title, sentence] = {
    first: ["Nothing has been said yet", "This room remembers: who comes later reads it all."],
    nobody: ["Nobody is here yet", "What you write is kept, and goes to the first member who comes. Their history comes to you then."],
    waiting: ["Waiting for a member to let you in", room?.waiting ?? ""],
    linkup: ["Nobody else is here yet", "Whoever has the topic above can join. LinkUp keeps no history: only who is here reads what you write."],
  }[situation] ?? ["", ""];
  place.append(element("h2", "alone-title", {}, title), element("p", "alone-sentence", {}, sentence));
  if (situation !== "first") return;
  const steps = element("ol", "steps", { className: "lu-list lu-steps" });
  const invite = element("li", "step", {}, "Invite someone: ");
  const copy = element("button", "step-copy", { type: "button", className: "lu-link" }, "copy the invite");
  copy.addEventListener("click", () => head.copyInvite(copy));
  const show = element("button", "step-qr", { type: "button", className: "lu-link" }, "show its QR code");
  show.addEventListener("click", () => head.showQr(show));
  invite.append(copy, " or ", show);
  const cell = element("li", "step", {}, "Send something from a cell: ");
  cell.append(element("code", "step-code", {}, `await panel.room.send("hello")`));
  steps.append(invite, element("li", "step", {}, "Write below, or drop a file"), cell);
  place.append(steps);
}
