// @ts-check
// One drive as a widget of its own: `lu.explore(drive)`. Its traits are the version that is looked at, and the file.

/** @import { Model } from "./protocol.js" */

import { mountAlone } from "./alone.js";
import { ExplorerTab } from "./explorer.js";

export default {
  /** @param {{model: Model, el: HTMLElement}} view */
  render({ model, el }) {
    /** @type {(change: {version: number, path: string | null}) => void} */
    const onlook = ({ version, path }) => {
      model.set("version", version);
      model.set("path", path ?? "");
      model.save_changes();
    };
    const { tab, close } = mountAlone(model, el, (place, kernel, blobs, options) => new ExplorerTab(place, kernel, blobs, { ...options, onlook }));
    const move = () => tab.look({ version: model.get("version"), path: model.get("path") || null });
    for (const name of ["version", "path"]) model.on(`change:${name}`, move);
    move(); // a cell may have set them before this view was here
    return () => {
      for (const name of ["version", "path"]) model.off(`change:${name}`, move);
      close();
    };
  },
};
