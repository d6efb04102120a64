// @ts-check
// Time that a test moves.

/** @param {import("node:test").TestContext} context */
export function mockTimeouts(context) {
  const names = ["setTimeout"];
  try {
    context.mock.timers.enable(/** @type {{apis: "setTimeout"[]}} */ ({ apis: names }));
  } catch {
    // As Node.js 18 has it.
    context.mock.timers.enable(/** @type {{apis: "setTimeout"[]}} */ (/** @type {unknown} */ (names)));
  }
}
