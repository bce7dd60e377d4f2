/** The calculator that every language has, in JavaScript: what a handler can do, and do wrong. */

import { Failure, context, log, method, panic } from "nova";

const MOST = 2n ** 63n;
const serve = (functions) => {
  for (const [name, run] of Object.entries(functions)) method(run, { name, version: "1.3" });
};

/** The keyword arguments of a call, of which all must be there. */
function need(args, ...names) {
  for (const name of names) {
    if (args[name] === undefined) throw new Failure("TypeError", `missing 1 required positional argument: '${name}'`);
  }
  for (const name of Object.keys(args)) {
    if (!names.includes(name)) throw new Failure("TypeError", `got an unexpected keyword argument '${name}'`);
  }
}

let count = 0;

serve({
  add(args) {
    need(args, "a", "b");
    const sum = BigInt(args.a) + BigInt(args.b);
    if (sum >= MOST || sum < -MOST) throw new Failure("OverflowError", "integer overflow");
    return sum;
  },
  divide({ a, b }) {
    if (b === 0) throw new Failure("ZeroDivisionError", "division by zero");
    return a / b;
  },
  echo({ value }) {
    return value;
  },
  concat({ texts, separator = "" }) {
    return texts.join(separator);
  },
  blob({ size }) {
    return "x".repeat(size);
  },
  not_found({ instance_id }) {
    throw new Failure("InstanceNotFound", `Instance ${instance_id} could not be found.`, {
      module: "nova.exception",
      kwargs: { instance_id, code: 404 },
    });
  },
  context() {
    return context();
  },
  log({ message }) {
    log.info(message);
    console.log("printed", message);
  },
  panic({ message }) {
    panic(message);
  },
  loop_forever() {
    for (;;);
  },
  allocate({ mib }) {
    const block = new Uint8Array(mib << 20);
    for (let at = 0; at < block.length; at += 1 << 16) block[at] = 1;
    return block.length;
  },
  calls() {
    count += 1;
    return count;
  },
});
