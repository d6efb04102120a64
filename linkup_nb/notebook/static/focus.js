// @ts-check
// The keyboard's focus: what is clicked or typed in the panel stays there, for the notebook around it takes single letters as
// commands on its cells.

import { isComposing } from "./dom.js";

const EDITABLE = "input, textarea, select, [contenteditable]";

/**
 * Whether a key typed where nothing takes text is meant for the place where one writes.
 * @param {Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "altKey">} event
 */
export function isText(event) {
  const single = [...event.key].length === 1 && event.key !== " "; // a space presses buttons and scrolls
  return (single || event.key === "Process" || event.key === "Dead") && !event.ctrlKey && !event.metaKey && !event.altKey;
}

/** @param {EventTarget | null} target */
export function isEditable(target) {
  return target instanceof Element && Boolean(target.closest(EDITABLE));
}

/** Keeps the focus within `root`. */
export class Focus {
  clicked = false; // whether the pointer was last pressed in the panel, and no key has left it since

  /**
   * @param {HTMLElement} root itself able to have the focus
   * @param {() => void} write moves the focus to where one writes
   * @param {() => boolean} cancel takes back what is open, and says whether there was something
   * @param {AbortSignal} signal
   */
  constructor(root, write, cancel, signal) {
    this.root = root;
    this.write = write;
    this.cancel = cancel;
    for (const type of ["keydown", "keypress", "keyup"]) {
      root.addEventListener(type, (event) => event.stopPropagation(), { signal });
    }
    root.addEventListener("keydown", (event) => this.#onKey(event), { signal });
    root.addEventListener("focusout", (event) => this.#onLeave(event), { signal });
    document.addEventListener("pointerdown", ({ target }) => (this.clicked = root.contains(/** @type {Node} */ (target))), {
      signal,
      capture: true,
    });
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    if (isComposing(event) && isEditable(event.target)) return;
    if (event.key === "Tab") this.clicked = false;
    if (event.defaultPrevented) return;
    if (event.key === "Escape") this.cancel() || this.#leave();
    else if (isText(event) && !isEditable(event.target)) this.write();
  }

  /** Gives the focus to what is around the panel: in JupyterLab the cell. */
  #leave() {
    this.clicked = false;
    const around = this.root.parentElement?.closest("[tabindex]");
    if (around instanceof HTMLElement) around.focus({ preventScroll: true });
    else if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
  }

  /**
   * What had the focus is gone, or was hidden; or the page around has taken the focus for a click in here.
   * @param {FocusEvent} event
   */
  #onLeave({ relatedTarget }) {
    if (relatedTarget instanceof Node && this.root.contains(relatedTarget)) return;
    setTimeout(() => {
      const lost = document.activeElement === document.body && document.hasFocus();
      if (lost && this.clicked && this.root.isConnected) this.root.focus({ preventScroll: true });
    });
  }
}
