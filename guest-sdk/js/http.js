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
  const outgoing = prepare(method, url, pairs.map(([name, value]) => [name, encoded(value)]));
  const options = optionsOf(milliseconds(timeout));
  try {
    return send(outgoing, options, encoded(body) ?? new Uint8Array());
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
  attempt("the method", () => outgoing.setMethod({ tag: "other", val: method }));
  attempt("the URL's scheme", () => outgoing.setScheme({ tag }));
  attempt("the URL's host", () => outgoing.setAuthority(authority));
  attempt("the URL's path", () => outgoing.setPathWithQuery(path || undefined));
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

function send(outgoing, options, body) {
  const draft = outgoing.body();
  const future = handler.handle(outgoing, options);
  if (body.length > 0) {
    const stream = draft.write();
    for (let at = 0; at < body.length; at += WRITE) stream.blockingWriteAndFlush(body.slice(at, at + WRITE));
    stream[Symbol.dispose]();
  }
  types.OutgoingBody.finish(draft, undefined);
  future.subscribe().block();
  const result = future.get().val;
  if (result.tag === "err") throw failed(result.val);
  const response = result.val;
  return new Response(response.status(), response.headers().entries(), read(response.consume().stream()));
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
      const code = types.httpErrorCode(val);
      return code == null ? new Failure("ConnectionError", val.toDebugString()) : failed(code);
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
