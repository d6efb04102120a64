// Who one is, and which room to go to.

import { NATIVE_MENU, make, parse, part, say, setAvatar, setText } from "./dom.js";
import { upload } from "./kernel.js";
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
    <form novalidate data-request="create" data-field="name">
      <label>A new room <input data-lu="create-name" dir="auto" autocomplete="off" placeholder="Name" ${NATIVE_MENU}></label>
      <button class="lu-button" data-lu="create">Create</button>
    </form>
    <form novalidate data-request="join" data-field="topic">
      <label>Someone's room <input data-lu="join-topic" autocomplete="off" spellcheck="false" placeholder="Topic, 64 digits" ${NATIVE_MENU}></label>
      <button class="lu-button" data-lu="join">Join</button>
    </form>
    <p class="lu-error" data-lu="error" role="alert" hidden></p>
  </div>`);

/** Runs a form's request when it is submitted: its error is shown in it, and what was typed stays. */
function onSubmit(form, error, task) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector(".lu-button:not([type])");
    say(error, "");
    button.disabled = true;
    await task().catch((failure) => say(error, failure.message));
    button.disabled = false;
  });
}

/** A new room by its name, or somebody's by its topic. */
export function buildRoomForm(kernel, done) {
  const root = make(ROOM_FORM);
  for (const form of root.querySelectorAll("form")) {
    const input = form.querySelector("input");
    onSubmit(form, part(root, "error"), async () => {
      await kernel.request(form.dataset.request, { [form.dataset.field]: input.value.trim() });
      input.value = "";
      done();
    });
  }
  return root;
}

/** Name and avatar: what a new user sees first, and later the settings. */
export class ProfileForm {
  me = {};
  url = null;

  constructor(kernel, blobs, done) {
    this.root = make(PROFILE_FORM);
    this.blobs = blobs;
    this.preview = part(this.root, "avatar-preview");
    this.picker = part(this.root, "avatar-input");
    this.name = part(this.root, "name");
    this.name.addEventListener("input", () => this.#show());
    this.picker.addEventListener("change", () => this.#show());
    part(this.root, "choose-avatar").addEventListener("click", () => this.picker.click());
    part(this.root, "cancel-profile").addEventListener("click", done);
    onSubmit(this.root, part(this.root, "error"), async () => {
      const [file] = this.picker.files;
      const avatar = file ? await upload(kernel, file, { purpose: "avatar" }) : null;
      await kernel.request("profile", { name: this.name.value, avatar });
      done();
    });
  }

  open(me, first) {
    this.me = me;
    this.picker.value = "";
    this.name.value = first ? "" : me.name;
    setText(this.root.querySelector("h2"), first ? "Who are you?" : "Your profile");
    setText(part(this.root, "save-profile"), first ? "Start chatting" : "Save");
    part(this.root, "cancel-profile").hidden = first;
    say(part(this.root, "error"), "");
    this.#show();
  }

  #show() {
    const [file] = this.picker.files;
    this.blobs.revoke(this.url);
    this.url = file && IMAGE_TYPES.has(file.type) ? this.blobs.make([file], file.type) : null;
    setAvatar(this.preview, { ...this.me, name: this.name.value });
    this.preview.style.backgroundImage = this.url ? `url(${this.url})` : "";
    this.preview.classList.toggle("lu-pictured", Boolean(this.url));
  }
}
