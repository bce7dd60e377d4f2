/**
 * Requests that a handler leaves to others.
 *
 * Before it: a method throws `Declined`. After it: the host, which is told, and pays no attention to the result.
 */

import info from "nova:rpc/request-info@0.1.0";

export class Declined extends Error {
  #mark;

  constructor(message = "the handler declines the request") {
    super(message);
    this.name = "Declined";
  }

  /** `instanceof`, of which no Proxy is told. */
  static is(value) {
    return typeof value === "object" && value !== null && #mark in value;
  }
}

/** Tells the host, if that is what was thrown. */
export function isDeclined(thrown) {
  const is = Declined.is(thrown);
  if (is) info.decline();
  return is;
}

/** An interface of a typed project, of which these functions may throw `Declined`; with any result that each has. */
export function declining(own, results) {
  if (typeof own !== "object" || own === null) return own;
  const all = Object.create(own);
  for (const [name, result] of Object.entries(results)) {
    if (typeof own[name] !== "function") continue;
    const value = (...args) => {
      try {
        return own[name](...args);
      } catch (thrown) {
        if (isDeclined(thrown)) return result;
        throw thrown;
      }
    };
    Object.defineProperty(all, name, { value, enumerable: true });
  }
  return all;
}
