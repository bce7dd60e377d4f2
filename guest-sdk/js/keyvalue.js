/**
 * State that outlives a request: keys with bytes, of this handler alone. The manifest says `grants.keyvalue = true`.
 *
 *     import * as keyvalue from "nova/keyvalue";
 *
 *     keyvalue.set("last", "host-1", { ttl: 60 });
 *     const number = keyvalue.increment("builds");
 *
 * What is set or deleted takes place when the handler has succeeded, and is seen by itself before; `increment` and `swap`
 * happen at once, whatever becomes of the handler. What the store refuses is a `RuntimeError` for the caller.
 */

import host from "./imports/keyvalue.js";
import { Failure, decoded, encoded, milliseconds, payload } from "./index.js";

const WORDS = { "no-such-store": "there is no store: it is not granted, or there is no request", "access-denied": "access denied" };

function run(operation) {
  try {
    return operation();
  } catch (error) {
    const { tag, val } = payload(error);
    throw new Failure("RuntimeError", val ?? WORDS[tag]);
  }
}

export function get(key) {
  return run(() => host.get(key)) ?? null;
}

export function getText(key) {
  const bytes = get(key);
  return bytes === null ? null : decoded(bytes);
}

export function exists(key) {
  return run(() => host.exists(key));
}

export function set(key, value, { ttl } = {}) {
  run(() => host.set(key, encoded(value), milliseconds(ttl)));
}

export function remove(key) {
  run(() => host.delete(key));
}

export function keys() {
  const found = [];
  let page = { cursor: undefined };
  do {
    const { cursor } = page;
    page = run(() => host.listKeys(cursor));
    found.push(...page.keys);
  } while (page.cursor != null);
  return found;
}

export function increment(key, delta = 1) {
  if (!Number.isSafeInteger(delta)) throw new Failure("ValueError", `${delta} is no integer up to 2^53`);
  return run(() => host.increment(key, delta));
}

export function swap(key, current, next) {
  return run(() => host.swap(key, encoded(current), encoded(next)));
}
