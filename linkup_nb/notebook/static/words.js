// @ts-check
// Times, sizes and deliveries in words.

const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const DAY_AND_YEAR = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });

/**
 * When a row was written; the start of 1970 for a time that no date can have.
 * @param {{time: number}} row `time` in milliseconds since then
 */
export function dateOf({ time }) {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? new Date(0) : date;
}

/** @param {Date} date */
export function clockWords(date) {
  return [date.getHours(), date.getMinutes()].map((number) => String(number).padStart(2, "0")).join(":");
}

/**
 * A number that two dates share if they are of one day.
 * @param {Date} date
 */
export function dayNumber(date) {
  return (date.getFullYear() * 12 + date.getMonth()) * 31 + date.getDate();
}

/** @param {Date} date */
export function dayWords(date, now = new Date()) {
  const yesterday = new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1);
  if (dayNumber(date) === dayNumber(now)) return "Today";
  if (dayNumber(date) === dayNumber(yesterday)) return "Yesterday";
  return (date.getFullYear() === now.getFullYear() ? DAY : DAY_AND_YEAR).format(date);
}

/** @param {number} bytes */
export function sizeWords(bytes) {
  if (bytes < 1000) return bytes === 1 ? "1 byte" : `${bytes} bytes`;
  if (bytes < 999_500) return `${Math.round(bytes / 1e3)} kB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/**
 * How long ago something was.
 * @param {number} time in milliseconds since 1970
 */
export function agoWords(time, now = Date.now()) {
  const minutes = Math.max(0, Math.round((now - time) / 60_000));
  if (minutes < 60) return `${Math.max(1, minutes)} min`;
  if (minutes < 48 * 60) return `${Math.round(minutes / 60)} h`;
  return `${Math.round(minutes / 1440)} d`;
}

/**
 * "3 earlier messages from heron".
 * @param {{name?: string}[]} rows
 */
export function earlierWords(rows) {
  const names = new Set(rows.map(({ name }) => name ?? ""));
  const from = names.size === 1 ? [...names][0] : `${names.size} people`;
  return `${rows.length} earlier message${rows.length === 1 ? "" : "s"} from ${from}`;
}

/** @param {string[]} names of those who are writing */
export function typingWords(names) {
  if (!names.length) return "";
  if (names.length === 1) return `${names[0]} is writing…`;
  return names.length === 2 ? `${names[0]} and ${names[1]} are writing…` : `${names.length} people are writing…`;
}

/** @param {number} number */
export function superscript(number) {
  return [...String(number)].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(digit)]).join("");
}
