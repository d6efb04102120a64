// @ts-check
// Who one is, and which room to go to.

/** @import { Me } from "./protocol.js" */
/** @import { Blobs, Kernel } from "./kernel.js" */

import { NATIVE_MENU, make, parse, part, say, setAvatar, setText } from "./dom.js";
import { sentenceOf, upload } from "./kernel.js";
import { IMAGE_TYPES } from "./vetted.js";

const PROFILE_FORM = parse(`
  <form class="lu-form" data-lu="profile-form" novalidate>
    <h2></h2>
    <div class="lu-pick">
      <span class="lu-avatar lu-large" data-lu="avatar-preview" aria-hidden="true"></span>
      <button type="button" class="lu-button lu-plain" data-lu="choose-avatar">Choose a picture…</button>
      <input type="file" data-lu="avatar-input" accept="${[...IMAGE_TYPES]}" hidden>
    </div>
    <label>Name <input data-lu="name" dir="auto" autocomplete="off" placeholder="What others will call you" ${NATIVE_MENU}></label>
    <p class="lu-faint">Without a picture, one is made from your name. Everybody you share a room with sees both.</p>
    <p class="lu-error" data-lu="error" role="alert" hidden></p>
    <div class="lu-buttons">
      <button class="lu-button" data-lu="save-profile"></button>
      <button type="button" class="lu-button lu-plain" data-lu="cancel-profile">Cancel</button>
    </div>
  </form>`);

const ROOM_FORM = parse(`
  <div class="lu-form lu-room-form" data-lu="room-form">
    <h2>Create or join a room</h2>
    <form novalidate>
      <label>A new room <input data-lu="create-name" dir="auto" autocomplete="off" placeholder="Name" ${NATIVE_MENU}></label>
      <button class="lu-button" data-lu="create">Create</button>
      <label class="lu-choice"><input type="checkbox" data-lu="create-linkup"> <span>as a LinkUp room: no history, for people with LinkUp</span></label>
    </form>
    <form novalidate>
      <label>Someone's room <input data-lu="join-word" autocomplete="off" spellcheck="false" placeholder="Invite, or LinkUp topic" ${NATIVE_MENU}></label>
      <button class="lu-button" data-lu="join">Join</button>
    </form>
    <p class="lu-error" data-lu="error" role="alert" hidden></p>
  </div>`);

/**
 * Runs a form's request when it is submitted: its error is shown in it, and what was typed stays.
 * @param {HTMLFormElement} form
 * @param {HTMLElement} error
 * @param {() => Promise<void>} task
 */
function onSubmit(form, error, task) {
  const button = /** @type {HTMLButtonElement} */ (form.querySelector(".lu-button:not([type])"));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.ariaDisabled === "true") return;
    say(error, "");
    button.ariaDisabled = "true"; // a button that is really disabled would lose the focus
    await task().catch((failure) => say(error, sentenceOf(failure)));
    button.ariaDisabled = null;
  });
}

/**
 * A new room by its name, or somebody's by its invite or topic.
 * @param {Kernel} kernel
 * @param {() => void} done
 */
export function buildRoomForm(kernel, done) {
  const root = make(ROOM_FORM);
  const error = part(root, "error");
  const [create, join] = root.querySelectorAll("form");
  /**
   * @param {HTMLFormElement} form
   * @param {(value: string) => Promise<unknown>} enter
   */
  const listen = (form, enter) => {
    const input = /** @type {HTMLInputElement} */ (form.querySelector("input:not([type])"));
    onSubmit(form, error, async () => {
      await enter(input.value.trim());
      input.value = "";
      done();
    });
  };
  /** @type {HTMLInputElement} */
  const linkup = part(root, "create-linkup");
  listen(create, (name) => kernel.request("create", { name, linkup: linkup.checked }));
  listen(join, (word) => kernel.request("join", { word }));
  return root;
}

/** Name and avatar: what a new user sees first, and later the settings. */
export class ProfileForm {
  /** @type {Partial<Me>} */
  me = {};
  /** @type {File | null} the new picture */
  picture = null;
  /** @type {string | null} of its preview */
  url = null;

  /**
   * @param {Kernel} kernel
   * @param {Blobs} blobs
   * @param {() => void} done
   */
  constructor(kernel, blobs, done) {
    this.root = /** @type {HTMLFormElement} */ (make(PROFILE_FORM));
    this.blobs = blobs;
    this.preview = part(this.root, "avatar-preview");
    this.error = part(this.root, "error");
    this.heading = /** @type {HTMLElement} */ (this.root.querySelector("h2"));
    /** @type {HTMLInputElement} */
    this.picker = part(this.root, "avatar-input");
    /** @type {HTMLInputElement} */
    this.name = part(this.root, "name");
    this.name.addEventListener("input", () => this.#show());
    this.picker.addEventListener("change", () => this.take([...(this.picker.files ?? [])]));
    part(this.root, "choose-avatar").addEventListener("click", () => this.picker.click());
    part(this.root, "cancel-profile").addEventListener("click", done);
    onSubmit(this.root, this.error, async () => {
      const avatar = this.picture && (await upload(kernel, this.picture, { purpose: "avatar" }));
      await kernel.request("profile", { name: this.name.value, avatar });
      done();
    });
  }

  get open() {
    return !this.root.hidden;
  }

  /**
   * @param {Me} me
   * @param {boolean} first whether there is no name yet
   */
  fill(me, first) {
    this.me = me;
    this.picker.value = "";
    this.picture = null;
    this.name.value = first ? "" : (me.name ?? "");
    setText(this.heading, first ? "Who are you?" : "Your profile");
    setText(part(this.root, "save-profile"), first ? "Start chatting" : "Save");
    part(this.root, "cancel-profile").hidden = first;
    say(this.error, "");
    this.#show();
  }

  /**
   * Takes the first of these files as the new picture, or with none the one from before.
   * @param {File[]} files
   */
  take(files) {
    this.picture = files[0] ?? null;
    say(this.error, "");
    this.#show();
  }

  #show() {
    this.blobs.revoke(this.url);
    this.url = this.picture && IMAGE_TYPES.has(this.picture.type) ? this.blobs.make([this.picture], this.picture.type) : null;
    setAvatar(this.preview, { ...this.me, name: this.name.value });
    this.preview.style.backgroundImage = this.url ? `url(${this.url})` : "";
    this.preview.classList.toggle("lu-pictured", Boolean(this.url));
  }
}
