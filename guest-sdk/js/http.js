/**
 * HTTP requests, to hosts that the manifest grants: `grants.http = ["https://api.example.org"]`.
 *
 *     import * as http from "nova/http";
 *
 *     const answer = http.get("https://glance.example.org/v2/images", { headers: { "x-auth-token": token }, timeout: 10 });
 *     if (answer.status !== 200) throw new Error(`glance says ${answer.status}`);
 *     const { images } = answer.json();
 *
 * A request happens at once, whatever becomes of the handler afterwards, and nothing is added to it: no credential, no
 * cookie. A redirect is a response like any other, and so is one whose status is an error.
 */

import handler from "./imports/outgoing.js";
import types from "./imports/types.js";
import { Failure, decoded, encoded, milliseconds, parse, payload } from "./index.js";

/** Bytes that are read at once. */
const READ = 65536;

/** Bytes that are written at once: WASI's bound. */
const WRITE = 4096;

export class Response {
  constructor(status, headers, body) {
    Object.assign(this, { status, headers, body });
  }

  header(name) {
    const wanted = name.toLowerCase();
    const found = this.headers.find(([other]) => other.toLowerCase() === wanted);
    try {
      return found === undefined ? null : decoded(found[1]);
    } catch {
      return null;
    }
  }

  text() {
    try {
      return decoded(this.body);
    } catch {
      throw new Failure("RuntimeError", "the body is not text");
    }
  }

  json() {
    const text = this.text();
    try {
      return parse(text);
    } catch {
      // What JavaScript says may show the body, which may be a secret.
      throw new Failure("RuntimeError", "the body is not what was expected: it is no JSON");
    }
  }
}

export function get(url, how) {
  return request("GET", url, how);
}

export function post(url, body, how) {
  return request("POST", url, { ...how, body });
}

export function request(method, url, { headers = [], body, timeout } = {}) {
  const pairs = Array.isArray(headers) ? headers : Object.entries(headers);
  const [sent, timeoutMs] = [encoded(body) ?? new Uint8Array(), milliseconds(timeout)];
  const outgoing = prepare(method, url, pairs.map(([name, value]) => [name, encoded(value)]));
  try {
    return send(outgoing, optionsOf(timeoutMs), sent);
  } catch (error) {
    throw failed(payload(error));
  }
}

const invalid = (what) => new Failure("ValueError", `${what} cannot be sent`);

function attempt(what, operation) {
  try {
    return operation();
  } catch {
    throw invalid(what);
  }
}

function prepare(method, url, headers) {
  const [, scheme, authority, path] = /^([^:/?#]*):\/\/([^/?#]*)([^#]*)/.exec(url) ?? [];
  if (scheme === undefined) throw invalid("the URL");
  const tag = { http: "HTTP", https: "HTTPS" }[scheme];
  if (tag === undefined) throw invalid("the URL's scheme");
  const outgoing = new types.OutgoingRequest(attempt("the headers", () => types.Fields.fromList(headers)));
  giving(outgoing, () => {
    attempt("the method", () => outgoing.setMethod({ tag: "other", val: method }));
    attempt("the URL's scheme", () => outgoing.setScheme({ tag }));
    attempt("the URL's host", () => outgoing.setAuthority(authority));
    attempt("the URL's path", () => outgoing.setPathWithQuery(path || undefined));
  });
  return outgoing;
}

function optionsOf(timeoutMs) {
  const options = new types.RequestOptions();
  if (timeoutMs !== undefined) {
    const nanoseconds = Math.min(timeoutMs * 1e6, Number.MAX_SAFE_INTEGER);
    options.setConnectTimeout(nanoseconds);
    options.setFirstByteTimeout(nanoseconds);
    options.setBetweenBytesTimeout(nanoseconds);
  }
  return options;
}

/** Lets go of a handle of the host's afterwards: nobody knows when it would be collected. */
function using(handle, run) {
  try {
    return run(handle);
  } finally {
    handle[Symbol.dispose]();
  }
}

/** The same where it fails: otherwise somebody else has it. */
function giving(handle, run) {
  try {
    return run();
  } catch (error) {
    handle[Symbol.dispose]();
    throw error;
  }
}

function send(outgoing, options, body) {
  const draft = outgoing.body();
  const future = giving(draft, () => handler.handle(outgoing, options));
  return using(future, () => {
    giving(draft, () => write(draft, body));
    types.OutgoingBody.finish(draft, undefined);
    using(future.subscribe(), (ready) => ready.block());
    const result = future.get().val;
    if (result.tag === "err") throw failed(result.val);
    return using(result.val, receive);
  });
}

function write(draft, body) {
  if (body.length === 0) return;
  using(draft.write(), (stream) => {
    for (let at = 0; at < body.length; at += WRITE) stream.blockingWriteAndFlush(body.slice(at, at + WRITE));
  });
}

function receive(response) {
  const headers = using(response.headers(), (fields) => fields.entries());
  const body = using(response.consume(), (incoming) => using(incoming.stream(), read));
  return new Response(response.status(), headers, body);
}

function read(stream) {
  const pieces = [];
  let length = 0;
  for (;;) {
    try {
      const piece = stream.blockingRead(READ);
      pieces.push(piece);
      length += piece.length;
    } catch (error) {
      if (payload(error).tag === "closed") break;
      throw error;
    }
  }
  const all = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

const CLASSES = {
  "dns-timeout": "TimeoutError",
  "connection-timeout": "TimeoutError",
  "connection-read-timeout": "TimeoutError",
  "connection-write-timeout": "TimeoutError",
  "http-response-timeout": "TimeoutError",
  "http-request-method-invalid": "ValueError",
  "http-request-uri-invalid": "ValueError",
  "http-request-uri-too-long": "ValueError",
  "http-request-header-section-size": "ValueError",
  "http-request-trailer-section-size": "ValueError",
};

function failed({ tag, val }) {
  const word = tag.toLowerCase();
  switch (word) {
    case "last-operation-failed": {
      const code = using(val, (error) => types.httpErrorCode(error) ?? { tag: "internal-error" });
      return failed(code);
    }
    case "http-request-denied":
      return new Failure("PermissionError", "it is not granted (grants.http in the manifest)");
    case "destination-ip-prohibited":
      return new Failure("PermissionError", "the name leads to an address that is not everybody's");
    case "http-request-body-size":
    case "http-response-body-size":
      return new Failure("RuntimeError", `more than the handler may send or get (limits.http_bytes): ${word}`);
    case "internal-error":
      return val == null ? new Failure("ConnectionError", word) : new Failure("RuntimeError", val);
    default:
      return new Failure(CLASSES[word] ?? "ConnectionError", word);
  }
}
