// @ts-check
// A picture as large as the window has room for; a click or Esc closes it.

import { element } from "./dom.js";

/** @param {HTMLImageElement} image that is shown */
export function enlarge(image) {
  const dialog = /** @type {HTMLDialogElement} */ (element("dialog", "large-picture", { ariaLabel: image.alt }));
  dialog.append(element("img", "large-image", { src: image.src, alt: image.alt }));
  dialog.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    dialog.remove();
    image.focus({ preventScroll: true });
  });
  // The notebook around has keys of its own.
  dialog.addEventListener("keydown", (event) => event.stopPropagation());
  image.closest(".lu-chat")?.append(dialog);
  dialog.showModal();
}
