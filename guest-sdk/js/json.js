/**
 * JSON with integers of any size: those that a number cannot hold travel through JavaScript's own JSON as marked strings.
 */

const MARK = "\uE000bigint:";
const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const MARKED = new RegExp(`"${MARK}(-?\\d+)"`, "g");

export function parse(text) {
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  const marked = text.replace(TOKENS, (token) =>
    /^-?\d{16,}$/.test(token) && !Number.isSafeInteger(Number(token)) ? `"${MARK}${token}"` : token,
  );
  return JSON.parse(marked, (_, value) =>
    typeof value === "string" && value.startsWith(MARK) ? BigInt(value.slice(MARK.length)) : value,
  );
}

export function stringify(value) {
  let marks = false;
  const mark = (_, part) => (typeof part === "bigint" ? ((marks = true), MARK + part) : part);
  const text = JSON.stringify(value === undefined ? null : value, mark) ?? "null";
  return marks ? text.replace(MARKED, "$1") : text;
}
