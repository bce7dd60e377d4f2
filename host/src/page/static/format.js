// Numbers, times and names for people.

// Milliseconds: 3 ms, 1.2 s, 4 min, 3 h, 2 d.
export function span(ms) {
  if (ms < 1) return "< 1 ms";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 9950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

// The same of the past, to the second: nobody reads how many milliseconds ago.
export function ago(ms) {
  return ms < 1500 ? "just now" : `${span(Math.max(1000, Math.round(ms / 1000) * 1000)).replace(".0", "")} ago`;
}

export function micros(us) {
  if (us < 1000) return `${us} µs`;
  return us < 10000 ? `${(us / 1000).toFixed(1)} ms` : span(us / 1000);
}

const whole = new Intl.NumberFormat("en");

export const count = (number) => whole.format(number);

// Requests of a minute.
export function rate(perMinute) {
  if (perMinute < 60) return `${perMinute} / min`;
  const perSecond = perMinute / 60;
  return `${perSecond < 100 ? perSecond.toFixed(1) : count(Math.round(perSecond))} / s`;
}

export const digest = (text) => (text ?? "").slice(0, 12);

// A method with its namespace, as the log has it.
export const method = (one) => (one.namespace ? `${one.namespace}.${one.method}` : one.method);

// A class of Python's without its module.
export const brief = (name) => name.slice(name.lastIndexOf(".") + 1);

export const plural = (number, one, many) => `${count(number)} ${number === 1 ? one : many}`;

export const clock = (ms) => new Date(ms).toLocaleTimeString("en-GB");

export const full = (ms) => new Date(ms).toISOString();
