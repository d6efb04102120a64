// Making, finding and filling elements.

export const NATIVE_MENU = "data-jp-suppress-context-menu"; // the browser's own menu, with Paste, instead of JupyterLab's
const COPIED_FOR = 1_500; // ms

export function parse(html) {
  const template = document.createElement("template");
  template.innerHTML = html.trim();
  return template.content.firstChild;
}

export function make(pattern) {
  return pattern.cloneNode(true);
}

export function part(root, name) {
  return root.querySelector(`[data-lu="${name}"]`);
}

/** Every element under `root` that has a name, by its name. */
export function parts(root) {
  return Object.fromEntries([...root.querySelectorAll("[data-lu]")].map((node) => [node.dataset.lu, node]));
}

export function element(tag, name, properties = {}, text = "") {
  const node = Object.assign(document.createElement(tag), { className: `lu-${name}`, ...properties });
  node.dataset.lu = name;
  node.append(text);
  return node;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function say(node, text) {
  setText(node, text);
  node.hidden = !text;
}

/** Makes the children of `parent` stand for `items`, and keeps those that stay, and so the focus within them. */
export function keyed(parent, items, keyOf, pattern, update) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const nodes = items.map((item) => {
    const node = old.get(keyOf(item)) ?? make(pattern);
    node.dataset.key = keyOf(item);
    update(node, item);
    return node;
  });
  const kept = new Set(nodes);
  for (const child of [...parent.children]) if (!kept.has(child)) child.remove();
  nodes.forEach((node, place) => {
    if (parent.children[place] !== node) parent.insertBefore(node, parent.children[place] ?? null);
  });
}

/** The initial on a colour of the key's; the picture of that id covers it once it is here (see Chat.#onAvatar). */
export function setAvatar(node, { avatar, name, key }) {
  setText(node, ([...String(name ?? "").trim()][0] ?? "?").toUpperCase());
  const hue = Number.parseInt(String(key ?? "").slice(0, 6), 16) % 360 || 0;
  node.style.backgroundColor = `hsl(${hue} 38% 44%)`;
  if (avatar) node.dataset.avatar = avatar;
  else delete node.dataset.avatar;
}

export async function copyText(text, button) {
  const allowed = await navigator.clipboard?.writeText(text).then(() => true, () => false);
  button.dataset.note = allowed || copyBySelection(text, button) ? "Copied" : "Not copied";
  setTimeout(() => delete button.dataset.note, COPIED_FOR);
}

/** The way that works where the page may not use the clipboard API (plain http, a frame, a refusal). */
function copyBySelection(text, button) {
  const area = element("textarea", "unseen", {}, text);
  button.after(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  button.focus();
  return copied;
}
