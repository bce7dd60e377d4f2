/** What is hard to tell a caller about. */

import { Failure, log, method, panic } from "nova";

const raising = (what) => {
  throw what;
};

class Problem extends Error {}

class Named extends Error {
  name = "Custom";
}

/** Nothing of it can be read. */
const locked = new Proxy({}, new Proxy({}, { get: () => () => raising(new Error("locked")) }));

const mute = { get name() { raising(null); }, get message() { raising(null); }, toString: () => raising(Symbol("mute")) };

/** A list in a list, so many times. */
function deep(levels) {
  let value = [];
  for (let level = 0; level < levels; level += 1) value = [value];
  return value;
}

function ring() {
  const [first, second] = [new Error("ring"), new Error("second")];
  [first.cause, second.cause] = [second, first];
  throw first;
}

const circle = {};
circle.circle = circle;

const WAYS = {
  null: () => raising(null),
  undefined: () => raising(undefined),
  text: () => raising("half \uD800 text"),
  number: () => raising(7n),
  symbol: () => raising(Symbol("sign")),
  function: () => raising(() => "a function"),
  plain: () => raising({ code: 7 }),
  message: () => raising({ message: { code: 7 } }),
  bare: () => raising(Object.create(null)),
  circle: () => raising(circle),
  proxy: () => raising(locked),
  "mute": () => raising(mute),
  "own class": () => raising(new Problem("problem")),
  "own name": () => raising(new Named("named")),
  "no name": () => raising(Object.assign(new Error("no name"), { name: "" })),
  "odd name": () => raising(Object.assign(new Error("odd name"), { name: Symbol("name") })),
  half: () => raising(new TypeError("half \uDC00 pair")),
  nul: () => raising(new Error("a\0b")),
  large: () => raising(new Error("é".repeat(1 << 19))),
  huge: () => raising(new Error("x".repeat(8 << 20))),
  many: () => raising(new AggregateError([new RangeError("one"), null, locked], "several")),
  caused: () => raising(new Error("outer", { cause: new RangeError("inner", { cause: null }) })),
  ring,
  promise: async () => raising(new Error("late")),
  failure: () => raising(new Failure(Symbol("Class"), "words", { module: "half.\uD800", args: [circle, locked, 7n, undefined, () => 1, "\uD800"], kwargs: { a: locked } })),
  "no failure": () => raising(new Failure("", "words", { args: 7, kwargs: null })),
  deep: () => raising(new Failure("ValueError", "deep", { args: deep(600) })),
  "changed failure": () => raising(Object.defineProperty(new Failure("Changed", "words"), "args", { get: () => raising(locked) })),
  logged: () => {
    log.warn("half \uD800 line");
    console.log(circle, Symbol("sign"), locked, 7n);
    throw new RangeError("logged");
  },
  panic: () => panic("half \uD800 panic"),
  "odd panic": () => panic(mute),
};

method(({ how }) => WAYS[how](), { name: "fail_oddly", version: "1.3" });
