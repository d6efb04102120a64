// @ts-check
// Making, finding and filling elements.

export const NATIVE_MENU = "data-jp-suppress-context-menu"; // the browser's own menu, with Paste, instead of JupyterLab's
const COPIED_FOR = 1_500; // ms

/**
 * The one element that this module's own HTML describes, to be copied by `make`.
 * @param {string} html
 * @returns {HTMLElement}
 */
export function parse(html) {
  const template = document.createElement("template");
  template.innerHTML = html.trim();
  return /** @type {HTMLElement} */ (template.content.firstChild);
}

/** @param {HTMLElement} pattern */
export function make(pattern) {
  return /** @type {HTMLElement} */ (pattern.cloneNode(true));
}

/**
 * The element of that name under `root`, where it is known to be.
 * @template {HTMLElement} [T=HTMLElement]
 * @param {ParentNode} root
 * @param {string} name
 * @returns {T}
 */
export function part(root, name) {
  return /** @type {T} */ (root.querySelector(`[data-lu="${name}"]`));
}

/**
 * The nth child of `node`, where it is known to be; a negative one counts from the end.
 * @template {HTMLElement} [T=HTMLElement]
 * @param {Element} node
 * @param {number} place
 * @returns {T}
 */
export function child(node, place) {
  return /** @type {T} */ ([...node.children].at(place));
}

/**
 * Every element under `root` that has a name, by its name.
 * @param {HTMLElement} root
 * @returns {Record<string, HTMLElement>}
 */
export function parts(root) {
  const named = /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll("[data-lu]"));
  return Object.fromEntries([...named].map((node) => [node.dataset.lu, node]));
}

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} name
 * @param {Partial<HTMLElementTagNameMap[Tag]>} [properties]
 * @param {string} [text]
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, name, properties = {}, text = "") {
  const node = document.createElement(tag);
  node.setAttribute("data-lu", name);
  node.append(text);
  return Object.assign(node, { className: `lu-${name}` }, properties);
}

/**
 * @param {Element} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Shows a sentence, or with an empty one nothing.
 * @param {HTMLElement} node
 * @param {string} text
 */
export function say(node, text) {
  setText(node, text);
  node.hidden = !text;
}

/**
 * Makes the children of `parent` stand for `items`, and keeps those that stay, and so the focus within them.
 * @template Item
 * @param {Element} parent
 * @param {Item[]} items
 * @param {(item: Item) => string} keyOf
 * @param {HTMLElement} pattern
 * @param {(node: HTMLElement, item: Item) => void} update
 */
export function keyed(parent, items, keyOf, pattern, update) {
  const children = /** @type {HTMLElement[]} */ ([...parent.children]);
  const old = new Map(children.map((node) => [node.dataset.key, node]));
  const nodes = items.map((item) => {
    const node = old.get(keyOf(item)) ?? make(pattern);
    node.dataset.key = keyOf(item);
    update(node, item);
    return node;
  });
  const kept = new Set(nodes);
  for (const node of children) if (!kept.has(node)) node.remove();
  nodes.forEach((node, place) => {
    if (parent.children[place] !== node) parent.insertBefore(node, parent.children[place] ?? null);
  });
}

/**
 * The initial on a colour of the key's; the picture of that id covers it once it is here (see Chat.#onAvatar).
 * @param {HTMLElement} node
 * @param {{avatar?: string | null, name?: string | null, key?: string}} who
 */
export function setAvatar(node, { avatar, name, key }) {
  setText(node, ([...String(name ?? "").trim()][0] ?? "?").toUpperCase());
  const hue = Number.parseInt(String(key ?? "").slice(0, 6), 16) % 360 || 0;
  node.style.backgroundColor = `hsl(${hue} 38% 44%)`;
  if (avatar) node.dataset.avatar = avatar;
  else delete node.dataset.avatar;
}

/**
 * Whether an input method is at work: its Enter ends a composition and sends nothing. Safari ends it before the key
 * comes, and marks that key with the code 229 (UI Events, 7.3.1).
 * @param {KeyboardEvent} event
 */
export function isComposing(event) {
  return event.isComposing || event.keyCode === 229;
}

/**
 * @param {string} text
 * @param {HTMLElement} button
 */
export async function copyText(text, button) {
  const allowed = await navigator.clipboard?.writeText(text).then(() => true, () => false);
  button.dataset.note = allowed || copyBySelection(text, button) ? "Copied" : "Not copied";
  setTimeout(() => delete button.dataset.note, COPIED_FOR);
}

/**
 * The way that works where the page may not use the clipboard API (plain http, a frame, a refusal).
 * @param {string} text
 * @param {HTMLElement} button
 */
function copyBySelection(text, button) {
  const area = element("textarea", "unseen", {}, text);
  button.after(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  button.focus();
  return copied;
}
