// @ts-check
// The Swarm tab as a widget of its own: `lu.swarm_view(node)`.

/** @import { Model } from "./protocol.js" */

import { mountAlone } from "./alone.js";
import { SwarmTab } from "./swarm.js";

export default {
  /** @param {{model: Model, el: HTMLElement}} view */
  render({ model, el }) {
    return mountAlone(model, el, (place, kernel, _, options) => new SwarmTab(place, kernel, options)).close;
  },
};
