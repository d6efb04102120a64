// @ts-check
// What can follow what is being typed: a command at the start, somebody's name behind an @, a symbol between colons.

/** @import { CommandEntry } from "./protocol.js" */
/** @typedef {{label: string, help: string, from: number, text: string}} Completion what is put in place of all from there */

const MOST = 8; // names and symbols
const SYMBOL_NAMES = /** @type {Record<string, string>} */ ({
  thumbsup: "👍", thumbsdown: "👎", heart: "❤️", joy: "😂", smile: "😄", tada: "🎉", open_mouth: "😮", cry: "😢", pray: "🙏", eyes: "👀",
  check: "✅", cross: "❌", fire: "🔥", rocket: "🚀", thinking: "🤔", hundred: "💯", clap: "👏", microscope: "🔬", wave: "👋", bug: "🐛",
});

/**
 * @param {string} text all of it
 * @param {string} before what stands before the cursor
 * @param {CommandEntry[]} commands
 * @param {string[]} people
 * @returns {Completion[]}
 */
export function completionsOf(text, before, commands, people) {
  if (/^~\S*$/.test(text)) {
    return commands
      .filter(({ name }) => name.startsWith(text.toLowerCase()))
      .map(({ name, usage, help }) => ({ label: usage || name, help, from: 0, text: usage?.includes(" ") ? `${name} ` : name }));
  }
  const mention = /(?:^|\s)@([^\s@]*)$/u.exec(before);
  if (mention) {
    const wanted = mention[1].toLowerCase();
    const from = before.length - mention[1].length - 1;
    return [...new Set(people)]
      .filter((name) => name.toLowerCase().startsWith(wanted))
      .slice(0, MOST)
      .map((name) => ({ label: `@${name}`, help: "", from, text: `@${name} ` }));
  }
  const symbol = /(?:^|\s):([a-z_]{2,})$/u.exec(before);
  if (!symbol) return [];
  return Object.entries(SYMBOL_NAMES)
    .filter(([name]) => name.startsWith(symbol[1]))
    .slice(0, MOST)
    .map(([name, sign]) => ({ label: sign, help: `:${name}:`, from: before.length - symbol[1].length - 1, text: sign }));
}
