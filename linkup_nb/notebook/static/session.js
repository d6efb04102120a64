// @ts-check
// Whether there is a kernel behind this page.

/** @import { SessionContext } from "./protocol.js" */
/** @typedef {"live" | "offline" | "stopped" | "restarted" | "saved"} Situation */

const DEAD = new Set(["dead", "terminated"]);
const RESTARTING = new Set(["restarting", "autorestarting"]);

/** For each situation but "live" what the bar says, and the one sentence below it. */
export const SITUATIONS = {
  offline: {
    level: "waiting",
    title: "Page offline",
    text: "This page is offline. The kernel and your rooms go on without it; your draft is kept.",
  },
  stopped: {
    level: "off",
    title: "No kernel",
    text: "The kernel has stopped: others no longer see you, and nothing goes out. Run the cell again to go on; your draft is kept.",
  },
  restarted: {
    level: "off",
    title: "Kernel restarted",
    text: "The kernel has restarted, and what ran in it is gone. Run the cell again to go on; your draft is kept.",
  },
  saved: { level: "off", title: "", text: "Run the cell to open the chat." },
};

/**
 * What `context` shows of a kernel that was `before`.
 * @param {Pick<SessionContext, "session">} context
 * @param {string | null} id the kernel that made the widget
 * @returns {Situation}
 */
export function situationOf(context, id) {
  const kernel = context.session?.kernel;
  if (!kernel || DEAD.has(kernel.status)) return "stopped";
  if (RESTARTING.has(kernel.status) || (id && kernel.id !== id)) return "restarted";
  return kernel.connectionStatus === "connected" ? "live" : "offline";
}

/** Watches the kernel that made a widget; `onchange` is called with each new situation. What has stopped stays so. */
export class Session {
  /** @type {Situation} */
  situation = "live";

  /**
   * @param {SessionContext | undefined} context where the page has one, as JupyterLab and Notebook do
   * @param {() => boolean} isCut whether the widget has lost its comm
   * @param {(situation: Situation) => void} onchange
   */
  constructor(context, isCut, onchange) {
    this.context = context;
    this.isCut = isCut;
    this.onchange = onchange;
    this.kernel = context?.session?.kernel?.id ?? null;
    for (const signal of this.#signals) signal.connect(this.look);
  }

  get over() {
    return this.situation !== "live" && this.situation !== "offline";
  }

  /** Looks again. Call it also when the widget's comm may have come or gone. */
  look = () => {
    if (this.over) return;
    let next = this.context ? situationOf(this.context, this.kernel) : "live";
    if (next === "live" && this.isCut()) next = "restarted";
    if (next !== this.situation) this.set(next);
  };

  /** @param {Situation} situation */
  set(situation) {
    this.situation = situation;
    this.onchange(situation);
  }

  close() {
    for (const signal of this.#signals) signal.disconnect(this.look);
  }

  get #signals() {
    if (!this.context) return [];
    return [this.context.statusChanged, this.context.connectionStatusChanged, this.context.kernelChanged];
  }
}
