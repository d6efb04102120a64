// @ts-check
// The last line: the Python that gives what is selected.

import { copyText, setText } from "./dom.js";

const HINT = "panel.selection is the message you click";

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
    setText(this.parts.expression, chat ? (expression ? `panel.selection  →  ${expression}` : HINT) : expression);
    this.parts["copy-expression"].hidden = !expression;
  }
}
