/**
 * Handlers for Nova Host in JavaScript.
 *
 *     import { method } from "nova";
 *
 *     method(function divide({ a, b = 1 }) { return a / b; }, { version: "1.3" });
 *
 * A function is given the keyword arguments as one object. What it throws is an exception for the caller. `console` and
 * `log` write to the service's log. Typed handlers use everything here but `method`.
 *
 * `nova/rpc`, `nova/config`, `nova/keyvalue` and `nova/http` are modules of their own: what a manifest gives and grants.
 */

import hostLog from "nova:rpc/log@0.1.0";
import info from "nova:rpc/request-info@0.1.0";

/** Endpoints by namespace and version, in the order in which they were first named. */
const endpoints = new Map();

export function method(run, { name = run.name, namespace = null, version = "1.0" } = {}) {
  const key = JSON.stringify([namespace, version]);
  if (!endpoints.has(key)) endpoints.set(key, { namespace, version, methods: new Map() });
  endpoints.get(key).methods.set(name, run);
}

export class Failure extends Error {
  constructor(className, message = "", { module = "builtins", args = [message], kwargs = {} } = {}) {
    super(message);
    Object.assign(this, { className, module, args, kwargs });
  }
}

/** What is not caught. */
class Panic extends Error {}

export function panic(message) {
  hostLog.panicking(String(message));
  throw new Panic(message);
}

export const log = Object.fromEntries(
  ["trace", "debug", "info", "warn", "error"].map((level) => [level, (text) => hostLog.write(level, String(text))]),
);

export function context(name) {
  if (name === undefined) return parse(info.context());
  const entry = info.contextEntry(name);
  return entry == null ? null : parse(entry);
}

let current = null;

export function request() {
  const { method, namespace, version } = current;
  const timeLeftMs = Number(info.timeLeftMs());
  return { method, namespace: namespace ?? null, version, replyWanted: info.replyWanted(), timeLeftMs };
}

// Integers of any size: those that a number cannot hold travel through JavaScript's JSON as marked strings.

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

// For the modules beside this one.

/** A time as the host takes it. */
export function milliseconds(seconds) {
  if (seconds == null) return undefined;
  if (!(seconds >= 0 && seconds < 2 ** 40)) throw new Failure("ValueError", `${seconds} is no number of seconds`);
  return Math.round(seconds * 1000);
}

/** An error of an import, by its case. What is none of them is thrown on. */
export function payload(error) {
  if (error?.payload?.tag === undefined) throw error;
  return error.payload;
}

// QuickJS has no TextEncoder and no TextDecoder.

export function encoded(value) {
  if (typeof value !== "string") return value ?? undefined;
  return Uint8Array.from(unescape(encodeURIComponent(value.toWellFormed())), (letter) => letter.charCodeAt(0));
}

export function decoded(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 4096) text += String.fromCharCode(...bytes.subarray(at, at + 4096));
  return decodeURIComponent(escape(text));
}

/** What JavaScript raises itself, as Python calls it. */
const PYTHON = { RangeError: "ValueError", SyntaxError: "ValueError", ReferenceError: "NameError", Error: "RuntimeError" };

function failureOf(error) {
  const known = error instanceof Failure;
  const name = error?.name ?? "Error";
  const className = known ? error.className : (PYTHON[name] ?? name);
  const message = String(error?.message ?? error);
  const lines = String(error?.stack ?? "").split("\n").map((line) => line.trim());
  const frames = lines.filter((line) => line && !line.includes("/node_modules/nova/")).reverse();
  return {
    class: className,
    module: known ? error.module : "builtins",
    message,
    args: stringify(known ? error.args : [message]),
    kwargs: stringify(known ? error.kwargs : {}),
    traceback: known && Array.isArray(error.traceback) ? error.traceback : frames,
  };
}

/** The export of the component. */
export const handler = {
  describe() {
    return [...endpoints.values()].map(({ namespace, version, methods }) => ({
      namespace,
      version,
      methods: [...methods.keys()],
    }));
  },
  handle(given) {
    current = given;
    try {
      const run = [...endpoints.values()][given.endpoint].methods.get(given.method);
      return stringify(run(parse(given.arguments)));
    } catch (error) {
      if (error instanceof Panic) throw error;
      throw failureOf(error);
    } finally {
      current = null;
    }
  },
};

// What QuickJS has not, or has in a way that misleads.

const words = (parts) => parts.map((part) => (typeof part === "string" ? part : stringify(part))).join(" ");
globalThis.console = {
  debug: (...parts) => log.debug(words(parts)),
  log: (...parts) => log.info(words(parts)),
  info: (...parts) => log.info(words(parts)),
  warn: (...parts) => log.warn(words(parts)),
  error: (...parts) => log.error(words(parts)),
};

/** QuickJS is seeded when the component is built, and would repeat itself in every instance. Not for secrets. */
let state = 0n;
function seed() {
  if (state === 0n) state = BigInt(Date.now()) * 0x9e3779b97f4a7c15n ^ hash(info.context());
}
function hash(text) {
  let sum = 0xcbf29ce484222325n;
  for (let at = 0; at < text.length; at += 1) sum = BigInt.asUintN(64, (sum ^ BigInt(text.charCodeAt(at))) * 0x100000001b3n);
  return sum;
}
Math.random = () => {
  seed();
  state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n);
  let mixed = state;
  mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 30n)) * 0xbf58476d1ce4e5b9n);
  mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn);
  return Number((mixed ^ (mixed >> 31n)) >> 11n) / 2 ** 53;
};
