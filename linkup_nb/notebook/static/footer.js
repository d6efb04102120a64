// @ts-check
// The last line: the Python that gives what is selected.

import { copyText, setText } from "./dom.js";

export class Footer {
  expression = "";

  /** @param {Record<string, HTMLElement>} parts */
  constructor(parts) {
    this.parts = parts;
    parts["copy-expression"].addEventListener("click", () => copyText(this.expression, parts["copy-expression"]));
  }

  /**
   * @param {string} expression
   * @param {boolean} chat whether it is that of a message
   */
  show(expression, chat) {
    this.expression = expression;
    // Once it has been there its place is kept: nothing moves when something is selected.
    if (expression) this.parts.footer.hidden = false;
    this.parts.footer.classList.toggle("lu-vacant", !expression);
    setText(this.parts.expression, chat && expression ? `panel.selection  →  ${expression}` : expression);
    this.parts["copy-expression"].hidden = !expression;
  }
}
