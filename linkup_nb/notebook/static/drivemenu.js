// @ts-check
// What one does with a drive or a folder of it: restore, mirror, fetch all, make room, forget.

/** @import { DriveEntry, Requests } from "./protocol.js" */
/** @import { Kernel } from "./kernel.js" */
/** @typedef {{drive: DriveEntry, folder: string, version: number}} Where */

import { copyText, make, parse, part, say } from "./dom.js";
import { sentenceOf } from "./kernel.js";
import { openMenu, openPopover } from "./popover.js";

const MIRROR = parse(`
  <form class="lu-mirror" novalidate>
    <p data-lu="mirror-words"></p>
    <input data-lu="mirror-local" autocomplete="off" spellcheck="false" placeholder="~/results" aria-label="Folder on the computer of the kernel">
    <p class="lu-faint" data-lu="mirror-note" role="status" hidden></p>
    <code class="lu-mirror-python" data-lu="mirror-python" hidden></code>
    <button class="lu-button lu-plain" data-lu="mirror-look">See what would change</button>
    <button type="button" class="lu-button" data-lu="mirror-do" hidden>Do it</button>
  </form>`);

/**
 * @param {HTMLElement} anchor
 * @param {Where} where
 * @param {Kernel} kernel
 * @param {{onnote: (sentence: string) => void, onfail: (sentence: string) => void, onforget: () => void}} options
 */
export function openDriveMenu(anchor, where, kernel, options) {
  const { drive, folder, version } = where;
  const past = version !== drive.version;
  const what = folder === "/" ? "all of it" : "this folder";
  /** @type {<Type extends "restore" | "clear_drive" | "forget_drive" | "download_drive">(type: Type, fields: Requests[Type]) => Promise<import("./protocol.js").ReplyUpdate | null>} */
  const ask = async (type, fields) => {
    try {
      return (await kernel.request(type, fields)).content;
    } catch (error) {
      options.onfail(sentenceOf(error));
      return null;
    }
  };
  /** @param {string} label @param {string} sentence @param {() => void} act */
  const sure = (label, sentence, act) => () => openMenu(anchor, [{ label, pick: act }, { label: "Cancel", quiet: true, pick: () => {} }], label, sentence);
  const restore = async () => {
    const answer = await ask("restore", { drive: drive.id, path: folder, version });
    if (!answer) return;
    options.onnote(answer.changed ? `Restored: ${answer.changed} ${answer.changed === 1 ? "file" : "files"}, as v${answer.version}.` : "It is as it was then.");
  };
  const forget = async () => {
    if (await ask("forget_drive", { drive: drive.id })) options.onforget();
  };
  const own = "It is yours: what is deleted here is nowhere else, unless somebody has copied it. Its name gets another key then.";
  openMenu(anchor, [
    { label: "Copy its link", pick: () => copyText(`linkup://${drive.id}`, anchor) },
    ...(past && drive.writable ? [{ label: `Restore ${what} from v${version}`, pick: restore }] : []),
    { label: "Mirror to a folder of this computer…", pick: () => openMirror(anchor, where, kernel, false) },
    ...(drive.writable ? [{ label: "Mirror a folder of this computer into it…", pick: () => openMirror(anchor, where, kernel, true) }] : []),
    ...(drive.writable ? [] : [
      { label: "Fetch all of it", pick: () => void ask("download_drive", { drive: drive.id }) },
      { label: "Clear its contents here", pick: sure("Clear", "Its files are fetched again when they are read, if someone has them.", () => ask("clear_drive", { drive: drive.id })) },
    ]),
    ...(["yours", "by key"].includes(drive.group) ? [{ label: "Forget it", pick: sure("Forget it", drive.writable ? own : "Look for it no more, and delete what is here of it?", forget) }] : []),
  ], "Drive");
}

/**
 * Asks for a folder of the kernel's computer, says what would change, then does it.
 * @param {HTMLElement} anchor
 * @param {Where} where
 * @param {Kernel} kernel
 * @param {boolean} back from the computer into the drive
 */
function openMirror(anchor, { drive, folder, version }, kernel, back) {
  const form = make(MIRROR);
  const local = /** @type {HTMLInputElement} */ (part(form, "mirror-local"));
  const [note, python, act] = ["mirror-note", "mirror-python", "mirror-do"].map((name) => part(form, name));
  const shown = folder === "/" ? drive.name : folder;
  part(form, "mirror-words").textContent = back
    ? `Make ${shown} like this folder of the kernel’s computer:`
    : `Make this folder of the kernel’s computer like ${shown}, version ${version}:`;
  /** @param {boolean} dry */
  const run = async (dry) => {
    say(note, dry ? "Looking…" : "Under way…");
    act.hidden = true;
    try {
      const { content } = await kernel.request("mirror", { drive: drive.id, version: back ? 0 : version, folder, local: local.value, back, dry });
      say(note, content.sentence ?? "");
      say(python, content.python ?? "");
      act.hidden = !dry || !content.changed;
    } catch (error) {
      say(note, sentenceOf(error));
    }
  };
  local.addEventListener("input", () => (act.hidden = true));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run(true);
  });
  act.addEventListener("click", () => run(false));
  openPopover(anchor, form, "Mirror");
}
