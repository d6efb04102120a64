// Times, sizes and deliveries in words.

const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const DAY_AND_YEAR = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });

export function dateOf({ time }) {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? new Date(0) : date;
}

export function clockWords(date) {
  return [date.getHours(), date.getMinutes()].map((number) => String(number).padStart(2, "0")).join(":");
}

export function dayNumber(date) {
  return (date.getFullYear() * 12 + date.getMonth()) * 31 + date.getDate();
}

export function dayWords(date) {
  const now = new Date();
  const yesterday = new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1);
  if (dayNumber(date) === dayNumber(now)) return "Today";
  if (dayNumber(date) === dayNumber(yesterday)) return "Yesterday";
  return (date.getFullYear() === now.getFullYear() ? DAY : DAY_AND_YEAR).format(date);
}

export function sizeWords(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  if (bytes < 1e6) return `${Math.round(bytes / 1e3)} kB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

export function deliveryWords(recipients) {
  if (recipients === null || recipients === undefined) return "";
  return recipients > 0 ? `✓ sent to ${recipients}` : "nobody was here";
}
