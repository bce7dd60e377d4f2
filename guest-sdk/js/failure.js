/**
 * What was thrown, as its caller meets it, whatever it is.
 *
 * Before it: `index.js` has caught something. After it: the host. Anything can be thrown, and any part of it may be code of
 * the handler's that throws in its turn: a getter, a Proxy, `toString`. What such code should have said is left out here, and
 * the rest is told; only a panic goes on.
 */

import { stringify } from "./json.js";

/** UTF-16 units of a message; the rest is cut. All of a failure has to fit into `limits.result`, which is 16 MiB by default. */
const MESSAGE = 1 << 20;

/** Units of arguments as JSON; beyond it the message stands for them. */
const ARGUMENTS = 6 << 20;

/** Lines of a traceback, of which the middle is left out; and units of each. */
const [LINES, LINE] = [200, 4096];

/** Errors in a chain of causes, and members of an AggregateError that are told. */
const [CHAIN, MEMBERS] = [16, 100];

/** What stands for words that cannot be had. */
const NO_WORDS = "<no words>";

/** What JavaScript raises itself, as Python calls it. */
const PYTHON = { RangeError: "ValueError", SyntaxError: "ValueError", ReferenceError: "NameError", Error: "RuntimeError" };

export class Failure extends Error {
  #mark;

  constructor(className, message = "", { module = "builtins", args = [message], kwargs = {} } = {}) {
    super(message);
    Object.assign(this, { className, module, args, kwargs });
  }

  /** `instanceof`, of which no Proxy is told. */
  static is(value) {
    return typeof value === "object" && value !== null && #mark in value;
  }
}

/** What is not caught. */
export class Panic extends Error {
  #mark;

  static is(value) {
    return typeof value === "object" && value !== null && #mark in value;
  }
}

/** Words as the host takes them, which is Unicode: half a surrogate pair becomes its escape. */
export function words(value) {
  const text = String(value);
  if (text.isWellFormed()) return text;
  const half = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g;
  return text.replace(half, (unit) => `\\u${unit.charCodeAt(0).toString(16)}`);
}

/** A value as a line of the log shows it. */
export function shown(value) {
  if (typeof value === "string") return value;
  return tried(() => stringify(value)) ?? tried(() => String(value)) ?? NO_WORDS;
}

/** What a function returns; what it throws, if not a panic, is left out. */
function tried(run, otherwise) {
  try {
    return run();
  } catch (error) {
    if (Panic.is(error)) throw error;
    return otherwise;
  }
}

/** The fields of the shared record `failure`. Throws nothing but a panic. */
export function failureOf(thrown) {
  const known = Failure.is(thrown);
  const own = (read, otherwise) => (known ? tried(() => words(read()), otherwise) : otherwise);
  const message = messageOf(thrown) + membersOf(thrown);
  const told = message.length > MESSAGE ? words(message.slice(0, MESSAGE)) : message;
  const args = tried(() => (known ? list(thrown.args) : undefined)) ?? list([told]);
  const kwargs = tried(() => (known ? object(thrown.kwargs) : undefined)) ?? "{}";
  const given = tried(() => (known && Array.isArray(thrown.traceback) ? thrown.traceback.map(words) : undefined));
  return {
    class: own(() => thrown.className, classOf(thrown)),
    module: own(() => thrown.module, "builtins"),
    message: told,
    args: args.length > ARGUMENTS ? list([told.slice(0, MESSAGE >> 1)]) : args,
    kwargs: kwargs.length > ARGUMENTS ? "{}" : kwargs,
    traceback: shortened(given ?? linesOf(thrown)),
  };
}

const list = (values) => `[${Array.from(values, json).join(", ")}]`;

function object(values) {
  return `{${Object.keys(values).map((name) => `${JSON.stringify(name)}: ${json(tried(() => values[name]))}`).join(", ")}}`;
}

/** JSON text of whatever a failure holds: its words, where JSON has no other for it. */
function json(value) {
  return tried(() => stringify(value)) ?? tried(() => JSON.stringify(String(value))) ?? `"${NO_WORDS}"`;
}

function classOf(thrown) {
  if (typeof thrown !== "object" || thrown === null) return PYTHON.Error;
  const name = tried(() => thrown.name);
  if (typeof name === "string" && name !== "" && name !== "Error") return PYTHON[name] ?? words(name);
  // A class of its own, which has not set the name.
  const made = tried(() => thrown.constructor.name);
  return typeof made === "string" && !["", "Object", "Error"].includes(made) ? PYTHON[made] ?? words(made) : PYTHON.Error;
}

function messageOf(thrown) {
  const plain = typeof thrown !== "object" || thrown === null;
  const message = plain ? thrown : tried(() => thrown.message);
  if (plain || message !== undefined) {
    const isText = plain || typeof message !== "object" || message === null;
    const text = tried(() => words(isText ? message : stringify(message)));
    if (text !== undefined) return text;
  }
  // What is no error says what it is in JSON.
  const isError = tried(() => thrown instanceof Error, true);
  const text = isError ? undefined : tried(() => words(stringify(thrown)));
  return text ?? tried(() => words(thrown), NO_WORDS);
}

function line(thrown) {
  const [name, message] = [classOf(thrown), messageOf(thrown)];
  return message === "" ? name : `${name}: ${message}`;
}

/** The members of an AggregateError, in words. */
function membersOf(thrown) {
  const members = tried(() => (thrown instanceof AggregateError ? Array.from(thrown.errors) : []), []);
  if (members.length === 0) return "";
  const said = members.slice(0, MEMBERS).map(line);
  if (members.length > MEMBERS) said.push(`and ${members.length - MEMBERS} more`);
  return `: [${said.join("; ")}]`;
}

/** Where it was thrown, outermost first, after what caused it. */
function linesOf(thrown) {
  const chain = [];
  let next = thrown;
  while (next !== undefined && chain.length < CHAIN && !chain.includes(next)) {
    chain.push(next);
    const of = next;
    next = tried(() => of.cause);
  }
  const lines = [];
  for (let at = chain.length - 1; at >= 0; at -= 1) {
    lines.push(...framesOf(chain[at]));
    if (at > 0) lines.push(line(chain[at]), "The above exception was the direct cause of the following exception:");
  }
  return lines;
}

function framesOf(thrown) {
  const stack = tried(() => String(thrown.stack ?? ""), "");
  const lines = stack.split("\n").map((text) => text.trim());
  return lines.filter((text) => text && !text.includes("/node_modules/nova/")).reverse();
}

function shortened(lines) {
  const left = lines.length - LINES;
  const some = left > 0 ? [...lines.slice(0, LINES / 2), `... ${left} lines ...`, ...lines.slice(-LINES / 2)] : lines;
  return some.map((text) => words(text.slice(0, LINE)));
}
