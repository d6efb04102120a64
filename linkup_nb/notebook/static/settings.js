// @ts-check
// The Settings tab: who one is, what others see, the networks, and what takes the space. Each switch acts at once.

/** @import { BlindPeerEntry, FromKernel, ReplyUpdate, Requests, SpaceEntry } from "./protocol.js" */
/** @import { ProfileForm } from "./forms.js" */
/** @import { Kernel } from "./kernel.js" */
/** @import { Notices } from "./notices.js" */
/** @import { Tab } from "./tabs.js" */

import { copyText, element, make, parse, parts, say, setText } from "./dom.js";
import { sentenceOf } from "./kernel.js";
import { sizeWords } from "./words.js";

const CLEAR_SURE = "Delete it";
const LOOK_AGAIN = 3000; // milliseconds, while the tab is open, until it asks again where we stand with blind peers

const SETTINGS = parse(`
  <div class="lu-settings">
    <nav class="lu-sections" aria-label="Sections" data-lu="sections">
      <a href="#you">You</a><a href="#notifications">Notifications</a><a href="#seen">What others see</a><a href="#networks">Networks</a><a href="#blind">Blind peers</a><a href="#space">Space</a><a href="#limits">Limits</a>
    </nav>
    <div class="lu-setting-list">
      <section data-section="you"><h2>You</h2><div data-lu="you"></div>
        <div class="lu-setting"><div><h3>Key</h3><p>Others recognise you by it, whatever your name.</p></div><button type="button" class="lu-button lu-plain" data-lu="copy-key"></button></div>
        <div class="lu-setting"><div><h3>Move to another machine</h3><p>One file with your key and your rooms. Whoever has it can speak as you. There: <code>lu.import_profile(file)</code>.</p></div><button type="button" class="lu-button lu-plain" data-lu="export">Export profile…</button></div>
      </section>
      <section data-section="notifications"><h2>Notifications</h2>
        <div class="lu-setting"><div><h3 id="lu-title">Count in the page’s title</h3><p>While this page is hidden: “(3) analysis.ipynb”.</p></div><button type="button" class="lu-switch" role="switch" data-lu="in-title" aria-label="Count in the page’s title"></button></div>
        <div class="lu-setting"><div><h3>The browser’s notifications</h3><p>While this page is hidden. The browser asks you once.</p></div>
          <select data-lu="notify" aria-label="The browser’s notifications"><option value="off">Off</option><option value="mentions">Mentions</option><option value="all">All</option></select></div>
      </section>
      <section data-section="seen"><h2>What others see</h2>
        <div class="lu-setting"><div><h3>What you have read</h3><p>Off works both ways: you no longer see who has read yours.</p></div><button type="button" class="lu-switch" role="switch" aria-checked="false" data-lu="share-reads" aria-label="What you have read"></button></div>
        <div class="lu-setting"><div><h3>That you are writing</h3><p>Sent to those who are connected, never kept.</p></div><button type="button" class="lu-switch" role="switch" aria-checked="false" data-lu="share-typing" aria-label="That you are writing"></button></div>
      </section>
      <section data-section="networks"><h2>Networks</h2>
        <ul class="lu-networks" data-lu="in-use"></ul>
        <form class="lu-network-form" data-lu="network-form" novalidate>
          <label>Bootstrap nodes <input data-lu="bootstrap" autocomplete="off" spellcheck="false" placeholder="none: the public HyperDHT"></label>
          <p>Nodes of your own network, as host:port for Kademlia or hyperdht:host:port. They see your address and the topics you look for, never what you say.</p>
          <label>Relay <input data-lu="relay" autocomplete="off" spellcheck="false" placeholder="none"></label>
          <p>When two peers behind strict NATs cannot meet, it carries their bytes, which it cannot read.</p>
          <div><button class="lu-button" data-lu="save-networks">Save</button> <span class="lu-faint" data-lu="networks-note"></span></div>
        </form>
      </section>
      <section data-section="blind"><h2>Blind peers</h2>
        <p>Machines that keep your rooms and drives while you are away, and cannot read them: <code>linkup-nb seed --blind</code> is one. They act at once.</p>
        <ul class="lu-blind-peers" data-lu="blind-now"></ul>
        <form class="lu-network-form" data-lu="blind-form" novalidate>
          <label>Their keys <input data-lu="blind-keys" autocomplete="off" spellcheck="false" placeholder="none"></label>
          <p>Several with commas between. They see your address, how much you store, and when.</p>
          <div><button class="lu-button" data-lu="save-blind">Save</button> <span class="lu-faint" data-lu="blind-note"></span></div>
        </form>
      </section>
      <section data-section="space"><h2>Space</h2>
        <p><strong data-lu="space-total"></strong> in this profile</p>
        <div class="lu-space" data-lu="space-bar" role="img" aria-label="Space used"></div>
        <ul class="lu-space-words" data-lu="space-words"></ul>
        <div class="lu-setting"><div><h3>Clear what is stored of others’ drives</h3><p>Fetched again when it is read, if someone has it. Yours is never touched.</p></div><button type="button" class="lu-button lu-plain" data-lu="clear-copies">Clear copies</button></div>
      </section>
      <section data-section="limits"><h2>Limits</h2><p data-lu="limits"></p></section>
    </div>
  </div>`);

/** @implements {Tab} */
export class SettingsTab {
  expression = "";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  looking;

  /**
   * @param {HTMLElement} place
   * @param {Kernel} kernel
   * @param {{profile: ProfileForm, notices: Notices, expression: () => string, key: () => string, onfail: (sentence: string) => void, onexpression: () => void, onopen: () => void, onback: () => void}} options
   */
  constructor(place, kernel, options) {
    this.kernel = kernel;
    this.options = options;
    this.root = make(SETTINGS);
    this.parts = parts(this.root);
    const { parts: named } = this;
    named.you.append(options.profile.root);
    named.sections.addEventListener("click", (event) => this.#jump(event));
    named["copy-key"].addEventListener("click", () => copyText(options.key(), named["copy-key"]));
    named.export.addEventListener("click", () => this.#export());
    named["in-title"].addEventListener("click", () => this.#notices({ title: named["in-title"].ariaChecked !== "true" }));
    named.notify.addEventListener("change", () => this.#notify(/** @type {HTMLSelectElement} */ (named.notify)));
    named["share-reads"].addEventListener("click", () => this.#set({ share_reads: named["share-reads"].ariaChecked !== "true" }));
    named["share-typing"].addEventListener("click", () => this.#set({ share_typing: named["share-typing"].ariaChecked !== "true" }));
    named["network-form"].addEventListener("submit", (event) => this.#saveNetworks(event));
    named["blind-form"].addEventListener("submit", (event) => this.#saveBlindPeers(event));
    named["clear-copies"].addEventListener("click", () => this.#clear());
    place.append(this.root);
  }

  open() {
    this.options.onopen();
    if (this.options.profile.root.parentElement !== this.parts.you) this.parts.you.append(this.options.profile.root);
    this.#notices({});
    setText(this.parts["copy-key"], `${this.options.key().slice(0, 4)}…${this.options.key().slice(-4)}`);
    this.parts["copy-key"].title = this.options.key();
    this.expression = this.options.expression();
    this.options.onexpression();
    this.#ask("settings", {});
    this.#lookSoon();
  }

  close() {
    clearTimeout(this.looking);
  }

  receive(/** @type {FromKernel} */ _) {}

  focus() {
    this.options.profile.name.focus();
  }

  cancel() {
    this.options.onback();
    return true;
  }

  /** @param {File[]} files */
  takeFiles(files) {
    this.options.profile.take(files);
  }

  /** @param {Requests["set"]} change */
  #set(change) {
    return this.#ask("set", change);
  }

  /**
   * @template {"settings" | "set" | "clear_copies"} Type
   * @param {Type} type
   * @param {Requests[Type]} fields
   */
  async #ask(type, fields) {
    try {
      this.#show((await this.kernel.request(type, fields)).content);
      this.options.onfail("");
      return true;
    } catch (error) {
      this.options.onfail(sentenceOf(error));
      return false;
    }
  }

  /** @param {ReplyUpdate} settings */
  #show(settings) {
    const { parts: named } = this;
    named["share-reads"].ariaChecked = String(settings.share_reads);
    named["share-typing"].ariaChecked = String(settings.share_typing);
    const inputs = /** @type {const} */ ([["bootstrap", settings.bootstrap], ["relay", settings.relay], ["blind-keys", settings.blind_peers]]);
    for (const [name, value] of inputs) {
      const input = /** @type {HTMLInputElement} */ (named[name]);
      if (document.activeElement !== input) input.value = value ?? "";
    }
    this.#showBlindPeers(settings.blind_peers_now ?? []);
    named["in-use"].replaceChildren(...(settings.in_use ?? []).map(({ text }) => element("li", "in-use-one", {}, text)));
    setText(named.limits, settings.limits ?? "");
    this.#showSpace(settings.space ?? null);
  }

  /** @param {BlindPeerEntry[]} peers */
  #showBlindPeers(peers) {
    this.parts["blind-now"].replaceChildren(...peers.map(({ key, ok, text }) => {
      const item = element("li", "blind-peer", { title: key }, `${key.slice(0, 4)}…${key.slice(-4)}: ${text}`);
      item.dataset.ok = String(ok);
      return item;
    }));
  }

  #lookSoon() {
    clearTimeout(this.looking);
    this.looking = setTimeout(() => this.#look(), LOOK_AGAIN);
  }

  async #look() {
    if (!this.root.isConnected || this.root.closest("[hidden]")) return; // until it is opened again
    try {
      this.#showBlindPeers((await this.kernel.request("blind_peers", {}, { quiet: true })).content.blind_peers_now ?? []);
    } catch {
      return; // no kernel, which the panel says
    }
    this.#lookSoon();
  }

  /** @param {SpaceEntry | null} space */
  #showSpace(space) {
    const { own, rooms, others } = space ?? { own: 0, rooms: 0, others: 0 };
    const total = own + rooms + others;
    setText(this.parts["space-total"], space ? sizeWords(total) : "Nothing can be stored");
    const kinds = /** @type {const} */ ([["own", "Your drives", own], ["rooms", "Rooms", rooms], ["others", "Drives of others", others]]);
    const words = kinds.map(([, name, bytes]) => `${name} ${sizeWords(bytes)}`);
    this.parts["space-bar"].ariaLabel = words.join(", ");
    this.parts["space-bar"].replaceChildren(...kinds.map(([kind, , bytes]) => {
      const bar = element("span", "space-part", { title: sizeWords(bytes) });
      bar.dataset.kind = kind;
      bar.style.flexGrow = String(bytes);
      return bar;
    }));
    this.parts["space-words"].replaceChildren(...kinds.map(([kind], number) => {
      const item = element("li", "space-word", {}, words[number]);
      item.dataset.kind = kind;
      return item;
    }));
    const clear = /** @type {HTMLButtonElement} */ (this.parts["clear-copies"]);
    setText(clear, others ? `Clear ${sizeWords(others)}` : "Nothing to clear");
    clear.disabled = !others;
    delete clear.dataset.sure;
  }

  /** What cannot be taken back is asked for twice. */
  #clear() {
    const clear = this.parts["clear-copies"];
    if (clear.dataset.sure) return void this.#ask("clear_copies", {});
    clear.dataset.sure = "true";
    setText(clear, CLEAR_SURE);
  }

  async #export() {
    try {
      const { buffers } = await this.kernel.request("export_profile", {});
      const url = URL.createObjectURL(new Blob(/** @type {BlobPart[]} */ (buffers), { type: "application/zip" }));
      element("a", "download", { href: url, download: "linkup-profile.zip" }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
    } catch (error) {
      this.options.onfail(sentenceOf(error));
    }
  }

  /** @param {Event} event */
  async #saveNetworks(event) {
    event.preventDefault();
    const value = (/** @type {string} */ name) => /** @type {HTMLInputElement} */ (this.parts[name]).value.trim();
    say(this.parts["networks-note"], "");
    if (await this.#set({ bootstrap: value("bootstrap"), relay: value("relay") })) {
      say(this.parts["networks-note"], "Saved: used when this node starts again, after a restart of the kernel.");
    }
  }

  /** @param {Event} event */
  async #saveBlindPeers(event) {
    event.preventDefault();
    say(this.parts["blind-note"], "");
    const keys = /** @type {HTMLInputElement} */ (this.parts["blind-keys"]).value;
    if (await this.#set({ blind_peers: keys })) say(this.parts["blind-note"], "Saved.");
  }

  /** @param {{title?: boolean}} change */
  #notices(change) {
    const { notices } = this.options;
    if (change.title !== undefined) notices.choose({ ...notices.choice, title: change.title });
    this.parts["in-title"].ariaChecked = String(notices.choice.title);
    /** @type {HTMLSelectElement} */ (this.parts.notify).value = notices.choice.notify;
  }

  /** @param {HTMLSelectElement} select */
  async #notify(select) {
    const { notices } = this.options;
    const wanted = /** @type {"off" | "mentions" | "all"} */ (select.value);
    const allowed = wanted === "off" || (await notices.allowed());
    if (!allowed) this.options.onfail("The browser does not allow notifications for this page: change it in its settings for this site.");
    notices.choose({ ...notices.choice, notify: allowed ? wanted : "off" });
    select.value = notices.choice.notify;
  }

  /** @param {MouseEvent} event */
  #jump(event) {
    const link = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest("a"));
    if (!link) return;
    event.preventDefault();
    const name = link.getAttribute("href")?.slice(1);
    this.root.querySelector(`[data-section="${name}"]`)?.scrollIntoView({ block: "start" });
  }
}
