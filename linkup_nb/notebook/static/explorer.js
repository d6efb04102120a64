// @ts-check
// The Drive tab: the drives, what is in them at any version, and what one file was and is.

/** @import { DriveEntry, FileEntry, FromKernel, ReplyUpdate, Requests } from "./protocol.js" */
/** @import { Blobs, Kernel } from "./kernel.js" */
/** @import { Tab } from "./tabs.js" */

import { child, element, keyed, make, parse, parts, say, setText } from "./dom.js";
import { openDriveMenu } from "./drivemenu.js";
import { FileList } from "./filelist.js";
import { FileView } from "./fileview.js";
import { CHUNK, RESEND, randomId, sentenceOf } from "./kernel.js";
import { MOST_MARKS, Slider } from "./slider.js";
import { fileName } from "./vetted.js";

const EXPLORER = parse(`
  <div class="lu-explorer">
    <nav class="lu-drives" aria-label="Drives">
      <form data-lu="mount-form" novalidate><input data-lu="mount-key" autocomplete="off" spellcheck="false" placeholder="Key or linkup:// link" aria-label="Key or link of a drive"></form>
      <div data-lu="drive-list"></div>
      <form data-lu="new-drive-form" novalidate><input data-lu="new-drive" autocomplete="off" placeholder="+ New drive" aria-label="Name of a new drive"></form>
      <p class="lu-error" data-lu="drive-error" role="alert" hidden></p>
    </nav>
    <div class="lu-drive-body" data-lu="drive-body" hidden>
      <div data-lu="slider-place"></div>
      <div class="lu-listing" data-lu="listing">
        <p class="lu-error" data-lu="drive-trouble" hidden></p>
        <p class="lu-between lu-crumbs"><span data-lu="crumbs"></span><span class="lu-faint" data-lu="changed"></span><button type="button" class="lu-icon lu-i-more" data-lu="drive-more" aria-label="More for this drive" title="More"></button></p>
        <ul data-lu="files-place"></ul>
        <p class="lu-faint" data-lu="listing-note"></p>
        <p class="lu-faint" data-lu="drive-note" role="status" hidden></p>
        <p class="lu-drop-zone" data-lu="drop-zone"></p>
      </div>
      <div class="lu-file" data-lu="file-place"></div>
    </div>
    <div class="lu-no-drive" data-lu="no-drive"><h2>No drive yet</h2><p>A drive is a folder with a history. Make one by a name on the left, or mount somebody’s by its key.</p></div>
  </div>`);

const GROUP = parse(`<section><h2></h2><ul class="lu-list"></ul></section>`);
const DRIVE = parse(`<li><button type="button" class="lu-drive"><bdi></bdi><span class="lu-faint"></span></button></li>`);

/** @implements {Tab} */
export class ExplorerTab {
  expression = "";
  /** @type {DriveEntry[]} */
  drives = [];
  /** @type {string | null} the id of the drive that is shown */
  drive = null;
  folder = "/";
  /** @type {string | null} the path of the file that is shown */
  path = null;
  following = true; // whether the handle stays at the newest version
  /** @type {{drive?: string, version: number, path: string | null} | null} what to look at once its drive is here */
  wanted = null;
  asked = 0; // listings, the last of which is shown

  /**
   * @param {HTMLElement} place
   * @param {Kernel} kernel
   * @param {Blobs} blobs
   * @param {{onfail: (sentence: string) => void, onexpression: () => void, onlook?: (at: {version: number, path: string | null}) => void}} options
   */
  constructor(place, kernel, blobs, options) {
    this.kernel = kernel;
    this.options = options;
    this.root = make(EXPLORER);
    this.parts = parts(this.root);
    this.slider = new Slider(this.parts["slider-place"], (versions) => this.#moved(versions));
    this.file = new FileView(this.parts["file-place"], kernel, blobs, {
      onfail: options.onfail,
      onexpression: (python) => this.#setExpression(python),
      onversions: (versions) => this.#goTo(versions),
    });
    this.parts["drive-list"].addEventListener("click", ({ target }) => {
      const id = this.#keyOf(target, ".lu-drive");
      if (id) this.#open(id);
    });
    this.files = new FileList(this.parts["files-place"], this.parts.listing, {
      onenter: (folder) => this.#enter(folder),
      onselect: (path) => this.#select(path),
    });
    this.parts.crumbs.addEventListener("click", ({ target }) => {
      const { folder } = /** @type {HTMLElement} */ (target).dataset;
      if (folder) this.#enter(folder);
    });
    this.parts["drive-more"].addEventListener("click", () => this.#menu());
    this.#form("mount-form", "mount-key", (key) => ({ key }));
    this.#form("new-drive-form", "new-drive", (name) => ({ name }));
    place.append(this.root);
  }

  open() {
    this.kernel.request("drives", {}, { resend: RESEND, quiet: true }).then(({ content }) => this.#show(content.drives ?? []), () => {});
  }

  close() {
    this.kernel.request("drives_close", {}, { resend: RESEND, quiet: true }).catch(() => {});
  }

  focus() {
    this.parts["mount-key"].focus();
  }

  cancel() {
    if (!this.path) return false;
    this.#closeFile();
    return true;
  }

  /** @param {FromKernel} content */
  receive(content) {
    if (content.type === "drives") this.#show(content.drives);
  }

  /** @param {File[]} files */
  async takeFiles(files) {
    const drive = this.#shown;
    if (!drive) return this.options.onfail("Choose one of your drives first, then drop the files into it.");
    if (!drive.writable) return this.options.onfail("This drive is somebody else's: only its author can put files into it.");
    const folder = this.folder;
    for (const file of files) {
      setText(this.parts["drop-zone"], `${file.name} is on its way…`);
      try {
        await this.#put(drive.id, `${folder === "/" ? "" : folder}/${file.name}`, file);
      } catch (error) {
        this.options.onfail(sentenceOf(error));
      }
    }
    this.#showDropZone();
  }

  /**
   * Shows a version, 0 for the newest, of a drive and a file, as a cell asks for it; without a drive, of the one that is shown.
   * @param {{drive?: string, version: number, path: string | null}} at
   */
  look({ drive, version, path }) {
    if (drive ? !this.drives.some(({ id }) => id === drive) : !this.drive) {
      this.wanted = { drive, version, path };
      return;
    }
    if (drive && drive !== this.drive) this.#open(drive);
    const to = version && version < this.slider.head ? version : this.slider.head;
    if (to && this.slider.at.join() !== String(to)) this.#goTo([to]);
    if (path && path !== this.path) {
      this.folder = path.slice(0, path.lastIndexOf("/")) || "/";
      this.#select(path);
      this.#list();
    }
  }

  #menu() {
    const drive = this.#shown;
    if (!drive) return;
    say(this.parts["drive-note"], "");
    const where = { drive, folder: this.folder, version: this.slider.at.at(-1) ?? drive.version };
    openDriveMenu(this.parts["drive-more"], where, this.kernel, {
      onfail: this.options.onfail,
      onnote: (sentence) => say(this.parts["drive-note"], sentence),
      onforget: () => {
        this.drive = null;
        this.open();
      },
    });
  }

  #tellLook() {
    this.options.onlook?.({ version: this.slider.at.at(-1) ?? 0, path: this.path });
  }

  get #shown() {
    return this.drives.find(({ id }) => id === this.drive);
  }

  /**
   * @param {string} drive
   * @param {string} path
   * @param {File} file
   */
  async #put(drive, path, file) {
    const upload = randomId();
    const chunks = Math.max(1, Math.ceil(file.size / CHUNK));
    for (let index = 0; index < chunks; index++) {
      const buffer = await file.slice(index * CHUNK, (index + 1) * CHUNK).arrayBuffer();
      await this.kernel.request("put", { drive, path, upload, index, chunks }, { buffer, quiet: true });
    }
  }

  /** @param {DriveEntry[]} drives */
  #show(drives) {
    const before = this.#shown?.version;
    this.drives = drives;
    const groups = [...new Set(drives.map(({ group }) => group))];
    keyed(this.parts["drive-list"], groups, (group) => group, GROUP, (section, group) => {
      setText(child(section, 0), group);
      const those = drives.filter((drive) => drive.group === group);
      keyed(child(section, 1), those, ({ id }) => id, DRIVE, (item, drive) => {
        const button = child(item, 0);
        button.setAttribute("aria-current", String(drive.id === this.drive));
        button.title = drive.id;
        setText(child(button, 0), drive.name);
        setText(child(button, 1), drive.fetching || `v${drive.version}`);
      });
    });
    const shown = this.#shown;
    this.parts["no-drive"].hidden = drives.length > 0;
    this.parts["drive-body"].hidden = !shown;
    say(this.parts["drive-trouble"], shown?.trouble ?? "");
    const { wanted } = this;
    const found = wanted && drives.find(({ id }) => !wanted.drive || id === wanted.drive);
    if (wanted && found) {
      this.wanted = null;
      return this.look({ ...wanted, drive: found.id });
    }
    if (!shown && drives.length) this.#open(drives[0].id);
    else if (shown && shown.version !== before) this.#grown(shown);
  }

  /** @param {string} id */
  #open(id) {
    this.drive = id;
    say(this.parts["drive-note"], "");
    this.folder = "/";
    this.following = true;
    this.#closeFile();
    this.#show(this.drives);
    const drive = this.#shown;
    if (drive) this.#grown(drive);
  }

  /** @param {DriveEntry} drive that has another version than before */
  #grown(drive) {
    const versions = this.following || !this.slider.at[0] ? [drive.version] : this.slider.at;
    this.slider.set(drive.version, versions.map((version) => Math.min(version, drive.version)));
    this.#marks();
    this.#list();
    if (this.path) this.file.show({ drive, path: this.path, versions: this.slider.at });
  }

  /** @param {number[]} versions */
  #moved(versions) {
    this.following = versions.length === 1 && versions[0] === this.slider.head;
    this.#list();
    const drive = this.#shown;
    if (drive && this.path) this.file.show({ drive, path: this.path, versions });
    this.#tellLook();
  }

  /** @param {number[]} versions */
  #goTo(versions) {
    this.slider.set(this.slider.head, versions);
    this.#moved(versions);
  }

  async #marks() {
    if (!this.drive) return;
    const { drive, path } = this;
    const content = await this.#ask("marks", { drive, path: path ?? "", most: MOST_MARKS });
    if (content && drive === this.drive && path === this.path) this.slider.show(content.marks ?? []);
  }

  async #list() {
    const drive = this.#shown;
    if (!drive) return;
    const { at } = this.slider;
    const asked = ++this.asked;
    const since = at.length > 1 ? at[0] : null;
    let content;
    try {
      ({ content } = await this.kernel.request("folder", { drive: drive.id, version: at.at(-1) ?? 0, folder: this.folder, since }));
    } catch (error) {
      if (asked === this.asked) this.#showFiles([], sentenceOf(error));
      return;
    }
    if (asked !== this.asked) return;
    const more = content.left_out ? `${content.left_out.toLocaleString()} more are not listed: use drive.list().` : "";
    this.#showFiles(content.files ?? [], more || (content.files?.length ? "" : "Nothing is in this folder."));
    setText(this.parts.changed, since === null ? "" : `${content.changed} changed`);
    if (!this.path) this.#setExpression(content.python ?? "");
  }

  /**
   * @param {FileEntry[]} files
   * @param {string} note
   */
  #showFiles(files, note) {
    this.#showCrumbs();
    this.#showDropZone();
    this.files.show(files);
    say(this.parts["listing-note"], note);
  }

  #showCrumbs() {
    const names = this.folder.split("/").filter(Boolean);
    const links = [{ name: this.#shown?.name ?? "", folder: "/" }, ...names.map((name, at) => ({ name, folder: `/${names.slice(0, at + 1).join("/")}` }))];
    this.parts.crumbs.replaceChildren(...links.flatMap(({ name, folder }, at) => {
      const link = element("button", "crumb", { type: "button" }, fileName({ name }));
      link.dataset.folder = folder;
      return at ? [document.createTextNode(" / "), link] : [link];
    }));
  }

  #showDropZone() {
    const drive = this.#shown;
    const where = this.folder === "/" ? (drive?.name ?? "") : fileName({ name: this.folder });
    const words = drive?.writable ? `Drop files to put them into ${where} as v${drive.version + 1}. Everyone with the key sees them.` : "";
    say(this.parts["drop-zone"], words);
  }

  /** @param {string} folder */
  #enter(folder) {
    this.folder = folder;
    this.#closeFile();
    this.#list();
  }

  /** @param {string} path */
  #select(path) {
    const drive = this.#shown;
    if (!drive) return;
    this.path = path;
    this.files.mark(path);
    this.root.dataset.file = "";
    this.file.show({ drive, path, versions: this.slider.at });
    this.#marks();
    this.#tellLook();
  }

  #closeFile() {
    const had = this.path !== null;
    this.path = null;
    this.files.mark(null);
    delete this.root.dataset.file;
    this.file.close();
    if (had) {
      this.#marks();
      this.#list();
    }
  }

  /**
   * @param {string} name of the form
   * @param {string} field
   * @param {(value: string) => Requests["mount"]} request
   */
  #form(name, field, request) {
    const input = /** @type {HTMLInputElement} */ (this.parts[field]);
    this.parts[name].addEventListener("submit", async (event) => {
      event.preventDefault();
      say(this.parts["drive-error"], "");
      try {
        const { content } = await this.kernel.request("mount", request(input.value));
        input.value = "";
        const { content: all } = await this.kernel.request("drives", {});
        this.drives = all.drives ?? [];
        this.#open(content.drive ?? "");
      } catch (error) {
        say(this.parts["drive-error"], sentenceOf(error));
      }
    });
  }

  /**
   * @param {EventTarget | null} target
   * @param {string} selector
   */
  #keyOf(target, selector) {
    return /** @type {Element} */ (target).closest(selector)?.closest("[data-key]")?.getAttribute("data-key");
  }

  /** @param {string} python */
  #setExpression(python) {
    this.expression = python;
    this.options.onexpression();
  }

  /**
   * @template {"marks"} Type
   * @param {Type} type
   * @param {Requests[Type]} fields
   * @returns {Promise<ReplyUpdate | null>}
   */
  async #ask(type, fields) {
    try {
      return (await this.kernel.request(type, fields, { quiet: true })).content;
    } catch {
      return null; // the listing says what is wrong
    }
  }
}
