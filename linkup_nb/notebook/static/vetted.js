// @ts-check
// What a peer wrote, on its way into the document.
//
// Peers are strangers, and script in this page is code in every kernel. Whatever a peer wrote reaches the document only as
// text, as the value of a harmless attribute, as a blob made of fetched bytes, or as HTML that the kernel sanitised and that
// `vetted` then copies tag by tag.

import { copyText, element } from "./dom.js";
import { putIntoCell } from "./newcell.js";

export const IMAGE_TYPES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"]);
export const AUDIO_TYPES = new Set(["audio/webm", "audio/ogg", "audio/mp4", "audio/mpeg", "audio/wav", "audio/flac"]);
const TAGS = new Set(
  ("a blockquote br code del div em h1 h2 h3 h4 h5 h6 hr li ol p pre s span strong sub sup " +
    "table tbody td th thead tr ul").split(" "),
);
const PARAGRAPHS = new Set("blockquote h1 h2 h3 h4 h5 h6 li ol p td th ul".split(" ")); // each has a direction of its own
const CLASSES = /^(language-[\w+#-]{1,24}|lu-(left|center|right|cut|math)|[a-z][a-z0-9]{0,2})$/; // ours and Pygments', none of JupyterLab's
const DIRECTION_CONTROLS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/**
 * The kernel's sanitised HTML, copied element by element: what is not on the lists arrives as its text.
 * @param {string} html
 */
export function vetted(html) {
  const template = document.createElement("template");
  template.innerHTML = html; // inert: nothing in a template loads or runs, and none of its nodes leave it
  const copy = document.createDocumentFragment();
  copyVetted(template.content, copy);
  for (const code of copy.querySelectorAll("pre")) addCodeTools(code);
  return copy;
}

/**
 * @param {ParentNode & Node} source
 * @param {ParentNode & Node} target
 */
function copyVetted(source, target) {
  for (const node of source.childNodes) {
    if (node instanceof Text) target.append(node.data);
    else if (!(node instanceof Element)) continue;
    else if (TAGS.has(node.localName)) copyVetted(node, target.appendChild(copyElement(node)));
    else target.append(node.textContent);
  }
}

/** @param {Element} node */
function copyElement(node) {
  const copy = document.createElement(node.localName);
  if (copy instanceof HTMLAnchorElement) copyLink(node, copy);
  const start = node.getAttribute("start") ?? "";
  if (copy instanceof HTMLOListElement && /^\d{1,6}$/.test(start)) copy.start = Number(start);
  if (PARAGRAPHS.has(node.localName)) copy.dir = "auto";
  const classes = (node.getAttribute("class") ?? "").split(" ").filter((name) => CLASSES.test(name));
  if (classes.length) copy.className = classes.join(" ");
  return copy;
}

/**
 * @param {Element} node
 * @param {HTMLAnchorElement} copy
 */
function copyLink(node, copy) {
  const href = node.getAttribute("href") ?? "";
  if (!/^(https?:\/\/|mailto:)/i.test(href)) return;
  Object.assign(copy, { href, target: "_blank", rel: "noopener noreferrer", title: href });
}

/**
 * What one does with code stands beside it, never over it.
 * @param {Element} code
 */
function addCodeTools(code) {
  const block = element("div", "codeblock");
  const tools = element("div", "code-tools");
  const copy = element("button", "copy-code", { type: "button", className: "lu-link" }, "Copy");
  const source = code.textContent;
  code.replaceWith(block);
  copy.addEventListener("click", () => copyText(source, copy));
  tools.append(copy);
  if (code.querySelector(".language-python")) {
    const put = element("button", "to-cell", { type: "button", className: "lu-link", title: "Put it into a new cell, which you run or not" }, "To a cell");
    put.addEventListener("click", () => putIntoCell(source, put) || copyText(source, put));
    tools.append(put);
  }
  block.append(code, tools);
}

/**
 * The name, without what could make its end look like another; all else of it, its dots and spaces, is kept.
 * @param {{name: string}} file
 */
export function fileName(file) {
  return String(file.name).replace(DIRECTION_CONTROLS, "");
}

/** @param {{mime: string}} file */
export function mediaType(file) {
  return String(file.mime).split(";")[0].trim().toLowerCase();
}
