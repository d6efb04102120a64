// @ts-check
// One tab as a widget of its own.

/** @import { FromKernel, Model } from "./protocol.js" */
/** @import { Tab } from "./tabs.js" */

import { make, parse, parts, say } from "./dom.js";
import { Focus } from "./focus.js";
import { Footer } from "./footer.js";
import { Blobs, Kernel, randomId } from "./kernel.js";
import { SITUATIONS, Session } from "./session.js";

const ALONE = parse(`
  <div class="lu-chat lu-alone-tab" data-lu="root" data-tab="alone" data-mode="chat" data-lm-suppress-shortcuts="true" tabindex="-1">
    <div class="lu-frame">
      <p class="lu-banner" data-lu="banner" role="alert" hidden></p>
      <section class="lu-tab" data-lu="place"></section>
      <p class="lu-tab-error lu-error" data-lu="tab-error" role="alert" hidden></p>
      <footer class="lu-expression" data-lu="footer" hidden><code data-lu="expression"></code><button type="button" class="lu-link" data-lu="copy-expression">copy</button></footer>
    </div>
  </div>`);

/**
 * Shows a tab, and asks the kernel for what is in it; returns how to end that.
 * @template {Tab} T
 * @param {Model} model
 * @param {HTMLElement} el
 * @param {(place: HTMLElement, kernel: Kernel, blobs: Blobs, options: {onfail: (sentence: string) => void, onexpression: () => void}) => T} build
 */
export function mountAlone(model, el, build) {
  const root = make(ALONE);
  const named = parts(root);
  const blobs = new Blobs();
  const closed = new AbortController();
  const footer = new Footer(named);
  const kernel = new Kernel(model, randomId(), () => {});
  const tab = build(named.place, kernel, blobs, {
    onfail: (sentence) => say(named["tab-error"], sentence),
    onexpression: () => {
      say(named["tab-error"], "");
      footer.show(tab.expression, false);
    },
  });
  new Focus(root, () => tab.focus(), () => tab.cancel(), closed.signal);
  el.append(root);
  const isCut = () => Boolean(el.closest(".jupyter-widgets-disconnected"));
  const session = new Session(model.widget_manager?.context?.sessionContext, isCut, (situation) => {
    say(named.banner, situation === "live" ? "" : SITUATIONS[situation].text);
    if (situation === "live") {
      delete root.dataset.off;
      kernel.reconnected();
      tab.open();
    } else root.dataset.off = situation;
    if (session.over) kernel.stop();
  });
  /** @type {(content: FromKernel, buffers: DataView[]) => void} */
  const receive = (content, buffers) => {
    if ((content.view && content.view !== kernel.view) || session.over) return;
    if (content.type === "reply") kernel.answer(content, buffers);
    else if (content.type === "error") say(named["tab-error"], content.text);
    else tab.receive(content, buffers);
  };
  const look = () => queueMicrotask(session.look);
  model.on("msg:custom", receive);
  model.on("comm_live_update", look);
  if (isCut()) session.set("saved");
  else tab.open();
  return {
    tab,
    close() {
      tab.close();
      closed.abort();
      session.close();
      kernel.stop();
      blobs.close();
      root.remove();
      model.off("msg:custom", receive);
      model.off("comm_live_update", look);
    },
  };
}
