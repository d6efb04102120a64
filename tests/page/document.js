// @ts-check
// The modules of the page describe their elements as they are loaded: enough of a document for that, and for no more.

const nothing = { content: { firstChild: {} }, innerHTML: "" };
Object.assign(globalThis, { document: { createElement: () => nothing } });
