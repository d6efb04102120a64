// @ts-check
// Whether somebody looks at the page: who has not for a while is away.

export const AWAY_AFTER = 5 * 60_000; // ms

export class Attention {
  away = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  timer = undefined;

  /** @param {(away: boolean) => void} onchange */
  constructor(onchange) {
    this.onchange = onchange;
  }

  /** @param {boolean} visible whether the page is */
  look(visible) {
    clearTimeout(this.timer);
    if (!visible) this.timer = setTimeout(() => this.#set(true), AWAY_AFTER);
    else if (this.away) this.#set(false);
  }

  close() {
    clearTimeout(this.timer);
  }

  /** @param {boolean} away */
  #set(away) {
    this.away = away;
    this.onchange(away);
  }
}
