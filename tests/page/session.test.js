// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { Session, situationOf } from "../../linkup_nb/notebook/static/session.js";

/** @import { SessionContext } from "../../linkup_nb/notebook/static/protocol.js" */

const KERNEL = { id: "one", status: "idle", connectionStatus: "connected" };

/** @param {Partial<typeof KERNEL> | null} kernel */
const showing = (kernel) => ({ session: kernel && { kernel: { ...KERNEL, ...kernel } } });

for (const [words, kernel, situation] of /** @type {[string, Partial<typeof KERNEL> | null, string][]} */ ([
  ["an idle kernel", {}, "live"],
  ["a busy kernel", { status: "busy" }, "live"],
  ["no kernel", null, "stopped"],
  ["a dead kernel", { status: "dead" }, "stopped"],
  ["a kernel that is being restarted", { status: "restarting" }, "restarted"],
  ["one that restarts by itself", { status: "autorestarting" }, "restarted"],
  ["another kernel", { id: "two" }, "restarted"],
  ["a lost connection", { connectionStatus: "connecting" }, "offline"],
  ["a connection that was given up", { connectionStatus: "disconnected" }, "offline"],
])) {
  test(`${words}: ${situation}`, () => assert.equal(situationOf(showing(kernel), "one"), situation));
}

/** A JupyterLab that shows a kernel, and what a session made of it. */
function watched() {
  /** @type {Set<() => void>} */
  const slots = new Set();
  const signal = { connect: slots.add.bind(slots), disconnect: slots.delete.bind(slots) };
  /** @type {SessionContext} */
  const context = { ...showing({}), statusChanged: signal, connectionStatusChanged: signal, kernelChanged: signal };
  /** @type {string[]} */
  const seen = [];
  const comm = { cut: false };
  const session = new Session(context, () => comm.cut, (situation) => seen.push(situation));
  /** @param {Partial<typeof KERNEL> | null} kernel */
  const change = (kernel) => {
    context.session = showing(kernel).session;
    for (const slot of slots) slot();
  };
  return { session, seen, change, comm, slots };
}

test("a page that is offline and comes back is live again", () => {
  const { seen, change } = watched();
  change({ connectionStatus: "connecting" });
  change({ connectionStatus: "connecting", status: "unknown" });
  change({});
  assert.deepEqual(seen, ["offline", "live"]);
});

test("what was restarted stays so, however well its successor does", () => {
  const { seen, change, session } = watched();
  change({ status: "autorestarting" });
  change({ status: "unknown", connectionStatus: "connecting" });
  change({});
  assert.deepEqual(seen, ["restarted"]);
  assert.equal(session.over, true);
});

test("a widget whose comm is cut while its kernel lives was restarted", () => {
  const { session, seen, comm } = watched();
  comm.cut = true;
  session.look();
  assert.deepEqual(seen, ["restarted"]);
});

test("a page that shows no session is judged by the comm alone", () => {
  /** @type {string[]} */
  const seen = [];
  let cut = false;
  const session = new Session(undefined, () => cut, (situation) => seen.push(situation));
  session.look();
  assert.deepEqual(seen, []);
  cut = true;
  session.look();
  assert.deepEqual(seen, ["restarted"]);
});

test("a closed session hears of nothing", () => {
  const { session, slots } = watched();
  session.close();
  assert.equal(slots.size, 0);
});
