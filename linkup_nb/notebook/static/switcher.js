// @ts-check
// Going to a room by a few letters of its name.

/** @import { RoomEntry } from "./protocol.js" */

import { element } from "./dom.js";
import { openPopover } from "./popover.js";
import { linesOf } from "./sides.js";

const SHOWN = 12; // rooms and channels

/**
 * The lines whose names have these letters, those first that begin with them.
 * @param {ReturnType<typeof linesOf>} lines
 * @param {string} text
 */
export function matching(lines, text) {
  const wanted = text.trim().toLowerCase();
  const found = lines.filter(({ name }) => name.toLowerCase().includes(wanted));
  const begins = (/** @type {{name: string}} */ { name }) => Number(!name.toLowerCase().startsWith(wanted));
  return found.sort((a, b) => begins(a) - begins(b)).slice(0, SHOWN);
}

/**
 * @param {HTMLElement} anchor
 * @param {RoomEntry[]} rooms
 * @param {(topic: string, channel: string) => void} go
 */
export function openSwitcher(anchor, rooms, go) {
  const box = element("div", "switcher");
  const input = element("input", "switch-input", { placeholder: "Go to a room", ariaLabel: "Go to a room", autocomplete: "off" });
  const list = element("div", "switch-list", { role: "listbox", ariaLabel: "Rooms" });
  const names = new Map(rooms.map(({ topic, name }) => [topic, name]));
  let at = 0;
  const show = () => {
    const found = matching(linesOf(rooms), input.value);
    at = Math.min(at, Math.max(0, found.length - 1));
    list.replaceChildren(...found.map(({ topic, channel, name }, place) => {
      const option = element("button", "switch-option", { type: "button", role: "option", ariaSelected: String(place === at), tabIndex: -1 });
      option.append(element("bdi", "switch-name", {}, channel ? `${names.get(topic)} › ${name}` : name));
      option.addEventListener("click", () => {
        close(true);
        go(topic, channel);
      });
      return option;
    }));
  };
  input.addEventListener("input", () => {
    at = 0;
    show();
  });
  input.addEventListener("keydown", (event) => {
    const options = /** @type {HTMLElement[]} */ ([...list.children]);
    if (event.key === "Enter") options[at]?.click();
    else if (event.key === "ArrowDown") at = Math.min(at + 1, options.length - 1);
    else if (event.key === "ArrowUp") at = Math.max(at - 1, 0);
    else return;
    event.preventDefault();
    if (event.key !== "Enter") show();
  });
  show();
  box.append(input, list);
  const close = openPopover(anchor, box, "Go to a room");
}
