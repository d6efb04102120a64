// @ts-check
// One message, as a row of the log.

/** @import { Attachment, Row } from "./protocol.js" */

import { NATIVE_MENU, child, element, make, parse, part, setAvatar } from "./dom.js";
import { AUDIO_TYPES, IMAGE_TYPES, fileName, mediaType, vetted } from "./vetted.js";
import { clockWords, dayWords, deliveryWords, sizeWords } from "./words.js";

const ROW = parse(`
  <div class="lu-row" data-lu="row" tabindex="-1"><span class="lu-avatar" aria-hidden="true"></span><div class="lu-main"
    ><div class="lu-by"><bdi class="lu-author" data-lu="author"></bdi><time data-lu="time"></time></div
    ><div class="lu-body" data-lu="body" dir="auto"></div></div></div>`);

const CARD = parse(`
  <div class="lu-card" data-lu="file">
    <span class="lu-i-file" aria-hidden="true"></span>
    <span class="lu-file"><bdi data-lu="file-name"></bdi> <span class="lu-faint" data-lu="file-size"></span></span>
    <button type="button" class="lu-icon lu-i-download" data-lu="download"></button>
  </div>`);

/**
 * @param {Row} row
 * @param {Date} date
 * @param {boolean} grouped whether the head of the row above, of the same author, stands for this one too
 */
export function buildRow(row, date, grouped) {
  const node = make(ROW);
  const main = child(node, 1);
  const [author, time, body] = ["author", "time", "body"].map((name) => part(node, name));
  node.dataset.seq = String(row.seq);
  node.dataset.kind = row.kind;
  if (row.own) node.dataset.own = "true";
  if (grouped) node.classList.add("lu-grouped");
  time.textContent = clockWords(date);
  if (!grouped) setAvatar(child(node, 0), row);
  author.textContent = row.name ?? "";
  if (row.short) author.after(element("code", "short", {}, row.short));
  if (row.text) body.textContent = row.text;
  else if (row.html) body.append(vetted(row.html));
  else body.remove();
  if (row.html) {
    body.classList.add("lu-rich");
    body.removeAttribute("dir"); // each of its paragraphs has one
  }
  if (row.file) main.append(...buildAttachment(row.file));
  if (row.own) main.append(element("span", "delivery", {}, deliveryWords(row.recipients)));
  return node;
}

/** @param {Attachment} file */
function buildAttachment(file) {
  const card = make(CARD);
  const name = fileName(file);
  const button = part(card, "download");
  part(card, "file-name").textContent = name;
  part(card, "file-size").textContent = sizeWords(file.size);
  button.title = button.ariaLabel = `Download ${name}`;
  const media = file.inline && buildMedia(file);
  return media ? [media, card] : [card];
}

/** @param {Attachment} file */
function buildMedia(file) {
  const type = mediaType(file);
  /** @type {HTMLElement | null} */
  let media = null;
  if (AUDIO_TYPES.has(type)) media = element("audio", "audio", { controls: true, ariaLabel: fileName(file) });
  if (IMAGE_TYPES.has(type)) media = element("img", "image", { alt: fileName(file), width: file.width ?? 0, height: file.height ?? 0 });
  media?.setAttribute(NATIVE_MENU, "");
  return media;
}

/**
 * Whether two rows may share a head, as far as it says who wrote them.
 * @param {Row} before
 * @param {Row} row
 */
export function sameAuthor(before, row) {
  return before.kind !== "notice" && row.kind !== "notice" && before.key === row.key && before.name === row.name;
}

/**
 * A line across the log.
 * @param {string} name
 * @param {string} words
 */
export function buildDivider(name, words) {
  return element("div", name, { className: `lu-divider lu-${name}`, role: "separator" }, words);
}

/** @param {Date} date */
export function buildDay(date) {
  const node = buildDivider("day", dayWords(date));
  node.dataset.time = String(date.getTime());
  return node;
}
