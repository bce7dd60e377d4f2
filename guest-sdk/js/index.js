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
import { Declined, isDeclined } from "./declined.js";
import { Failure, Panic, failureOf, shown, words } from "./failure.js";
import { parse, stringify } from "./json.js";

export { Declined, Failure, parse, stringify };

/** Endpoints by namespace and version, in the order in which they were first named. */
const endpoints = new Map();

export function method(run, { name = run.name, namespace = null, version = "1.0" } = {}) {
  const key = JSON.stringify([namespace, version]);
  if (!endpoints.has(key)) endpoints.set(key, { namespace, version, methods: new Map() });
  endpoints.get(key).methods.set(name, run);
}

export function panic(message) {
  const said = words(message);
  hostLog.panicking(said);
  throw new Panic(said);
}

export const log = Object.fromEntries(
  ["trace", "debug", "info", "warn", "error"].map((level) => [level, (text) => hostLog.write(level, words(text))]),
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
      const result = run(parse(given.arguments));
      // Nobody would wait for it, nor learn why it is rejected.
      if (typeof result?.then === "function") throw new Failure("TypeError", "the method returned a promise: it must not be async");
      return stringify(result);
    } catch (error) {
      if (Panic.is(error)) throw error;
      if (isDeclined(error)) return "null";
      throw failureOf(error);
    } finally {
      current = null;
    }
  },
};

// What QuickJS has not, or has in a way that misleads.

const line = (parts) => parts.map(shown).join(" ");
globalThis.console = {
  debug: (...parts) => log.debug(line(parts)),
  log: (...parts) => log.info(line(parts)),
  info: (...parts) => log.info(line(parts)),
  warn: (...parts) => log.warn(line(parts)),
  error: (...parts) => log.error(line(parts)),
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
