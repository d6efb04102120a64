// @ts-check
// One message, as a row of the log.

/** @import { Attachment, Quote, Reaction, Row } from "./protocol.js" */

import { NATIVE_MENU, child, element, make, parse, part, setAvatar } from "./dom.js";
import { AUDIO_TYPES, IMAGE_TYPES, fileName, mediaType, vetted } from "./vetted.js";
import { clockWords, dayWords, sizeWords } from "./words.js";

const LOADED_UNASKED = 2 * 1024 * 1024; // bytes of a picture or clip in a drive that is fetched when it is near
const BOX = [320, 240]; // px of a picture whose size is not known

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

const PROGRESS = parse(`
  <div class="lu-progress" data-lu="progress" hidden>
    <progress max="1" value="0"></progress>
    <button type="button" class="lu-icon lu-i-cross" data-lu="stop-loading" aria-label="Stop" title="Stop"></button>
    <span class="lu-faint" data-lu="progress-words"></span>
  </div>`);

/**
 * @param {Row} row
 * @param {Date} date
 */
export function buildRow(row, date) {
  const node = make(ROW);
  const main = child(node, 1);
  const [author, time, body] = ["author", "time", "body"].map((name) => part(node, name));
  node.dataset.id = row.id;
  node.dataset.kind = row.kind;
  if (row.kind === "notice" && row.name) node.dataset.kind = "event";
  if (row.own) node.dataset.own = "true";
  if (row.mention) node.dataset.mention = "true";
  if (row.hidden) node.dataset.hidden = row.html || row.text || row.file ? "folded" : "gone";
  time.textContent = clockWords(date);
  time.title = date.toLocaleString();
  setAvatar(child(node, 0), row);
  author.textContent = row.name ?? "";
  if (row.short) author.after(element("code", "short", {}, row.short));
  if (row.received) time.after(buildLate(row, date));
  if (row.reply) body.before(buildQuote(row.reply));
  fillBody(row, body);
  if (row.edited && !row.retracted) {
    main.append(element("button", "edited", { type: "button", className: "lu-link lu-edited", title: "Show its versions" }, "edited"));
  }
  if (row.file && !row.retracted) main.append(...buildAttachment(row.file));
  if (row.warning) main.append(element("p", "warning", {}, row.warning));
  if (row.reactions?.length) main.append(buildReactions(row.reactions));
  if (row.delivery) main.append(element("span", "delivery", {}, row.delivery));
  return node;
}

/**
 * @param {Row} row
 * @param {HTMLElement} body
 */
function fillBody(row, body) {
  if (row.retracted) {
    body.textContent = `Retracted by ${row.own ? "you" : row.name}. Others may have kept it.`;
    body.classList.add("lu-aside");
  } else if (row.hidden) {
    body.textContent = row.hidden;
    body.classList.add("lu-aside");
    if (row.text || row.html) body.append(" ", element("button", "unfold", { type: "button", className: "lu-link" }, "Show it"));
  } else showText(row, body);
  if (!body.firstChild) body.remove();
}

/**
 * @param {Row} row
 * @param {HTMLElement} body
 */
export function showText(row, body) {
  body.classList.remove("lu-aside");
  if (row.text) body.textContent = row.text;
  else if (row.html) {
    body.replaceChildren(vetted(row.html));
    body.classList.add("lu-rich");
    body.removeAttribute("dir"); // each of its paragraphs has one
    const cut = body.querySelector(":scope > .lu-cut");
    if (cut?.textContent.startsWith("…")) cut.append(" ", element("button", "show-all", { type: "button", className: "lu-link" }, "Show all"));
  }
}

/**
 * @param {Row} row
 * @param {Date} date
 */
function buildLate(row, date) {
  const came = new Date(row.received ?? 0);
  const words = came.toDateString() === date.toDateString() ? clockWords(came) : `${dayWords(came)}, ${clockWords(came)}`;
  return element("span", "late", { title: `Written ${date.toLocaleString()}, came ${came.toLocaleString()}` }, `came ${words}`);
}

/** @param {Quote} reply */
function buildQuote({ id, name, text }) {
  const quote = element("button", "quote", { type: "button", title: "Go there" });
  quote.dataset.to = id;
  if (name) quote.append(element("bdi", "quote-name", {}, name), " ");
  quote.append(element("bdi", "quote-text", {}, text || (name ? "…" : "A message that is not here.")));
  return quote;
}

/** @param {Reaction[]} reactions */
function buildReactions(reactions) {
  const list = element("div", "reactions");
  for (const { symbol, raw, count, own, names } of reactions) {
    const who = names.join(", ") + (count > names.length ? ` and ${count - names.length} more` : "");
    const chip = element("button", "reaction", { type: "button", ariaPressed: String(own), title: who, ariaLabel: `${symbol}, ${count}: ${who}` });
    chip.dataset.symbol = raw;
    chip.append(element("bdi", "symbol-shown", {}, symbol), ` ${count}`);
    list.append(chip);
  }
  list.append(element("button", "add-reaction", { type: "button", className: "lu-add-reaction", ariaLabel: "React", title: "React" }, "+"));
  return list;
}

/** @param {Attachment} file */
function buildAttachment(file) {
  const card = make(CARD);
  const name = fileName(file);
  const button = part(card, "download");
  part(card, "file-name").textContent = name;
  part(card, "file-size").textContent = [sizeWords(file.size), file.drive && `from ${file.drive}’s drive`].filter(Boolean).join(" · ");
  button.title = button.ariaLabel = `Download ${name}`;
  if (file.version) {
    button.before(element("button", "versions", { type: "button", className: "lu-versions", title: "Its versions" }, `v${file.version}`));
    card.append(make(PROGRESS));
  }
  const media = file.inline && buildMedia(file);
  return media ? [media, card] : [card];
}

/** @param {Attachment} file */
function buildMedia(file) {
  const type = mediaType(file);
  /** @type {HTMLElement | null} */
  let media = null;
  if (AUDIO_TYPES.has(type)) media = element("audio", "audio", { controls: true, ariaLabel: fileName(file) });
  if (IMAGE_TYPES.has(type)) {
    const [width, height] = file.width && file.height ? [file.width, file.height] : BOX;
    media = element("img", "image", { alt: fileName(file), width, height, tabIndex: 0 });
    if (!file.width) media.classList.add("lu-boxed");
  }
  media?.setAttribute(NATIVE_MENU, "");
  if (media && file.version && file.size > LOADED_UNASKED) media.dataset.state = "asked";
  return media;
}

/**
 * Whether two rows may share a head, as far as it says who wrote them.
 * @param {Row} before
 * @param {Row} row
 */
export function sameAuthor(before, row) {
  return before.kind !== "notice" && row.kind !== "notice" && before.key === row.key && before.name === row.name && !row.received && !row.reply;
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
