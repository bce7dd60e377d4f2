/** The calculator that every language has, in JavaScript: what a handler can do, and do wrong. */

import { Declined, Failure, context, log, method, panic } from "nova";
import * as config from "nova/config";
import * as http from "nova/http";
import * as keyvalue from "nova/keyvalue";
import { MessagingTimeout, RemoteError, Target } from "nova/rpc";
import * as trace from "nova/trace";
import "./fresh.js";
import "./odd.js";

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
  object_action({ objmethod }) {
    if (objmethod !== "save") throw new Declined();
    return "saved";
  },
  mark({ step }) {
    trace.setAttributes({ "calc.step": step, "calc.count": 3, "calc.share": 0.5, "calc.done": true });
    trace.addEvent("step done", { "calc.count": 3, "calc.step": step });
    return trace.isRecording();
  },
});

// What a manifest grants: requests to others, configuration, state, HTTP.

const targetOf = ({ topic, ...more }) => new Target(topic, more);

serve({
  ask({ target, name, arguments: args }) {
    return targetOf(target).call(name, args);
  },
  ask_kindly({ target, name, arguments: args }) {
    try {
      return targetOf(target).call(name, args);
    } catch (error) {
      if (error instanceof RemoteError) return ["remote", error.module, error.className, error.message];
      if (error instanceof MessagingTimeout) return ["timed out", error.message];
      throw error;
    }
  },
  ask_all({ name, calls }) {
    const answers = Target.callMany(name, calls.map(([target, args]) => [targetOf(target), args]));
    return answers.map(({ value, reason }) => reason?.className ?? value);
  },
  tell({ target, name, arguments: args, everybody = false, then_fail = false }) {
    if (everybody) targetOf(target).fanout(name, args);
    else targetOf(target).cast(name, args);
    if (then_fail) throw new Failure("ValueError", "told, and failed");
  },
  setting({ name }) {
    return [config.get(name), Object.keys(config.all()).sort()];
  },
  remember({ key, value, ttl, then_fail = false }) {
    keyvalue.set(key, value, { ttl });
    if (then_fail) throw new Failure("ValueError", "remembered, and failed");
    return keyvalue.exists(key);
  },
  recall({ key }) {
    return [keyvalue.getText(key), keyvalue.exists(key), keyvalue.keys()];
  },
  fill({ number }) {
    for (let at = 0; at < number; at += 1) keyvalue.set(String(at).padStart(5, "0"), "");
  },
  forget({ key }) {
    keyvalue.remove(key);
  },
  count({ key, delta }) {
    return keyvalue.increment(key, delta);
  },
  exchange({ key, current = null, next = null }) {
    return keyvalue.swap(key, current, next);
  },
  fetch({ verb, url, headers, body, timeout }) {
    const answer = http.request(verb, url, { headers, body, timeout });
    const [type, none] = [answer.header("Content-Type"), answer.header("x-none")];
    return { status: answer.status, type, none, names: answer.headers.map(([name]) => name), text: answer.text() };
  },
  fetch_json({ url, body }) {
    const answer = body === undefined ? http.get(url) : http.post(url, body);
    return [answer.status, answer.json()];
  },
  fetch_kindly({ url }) {
    try {
      return http.get(url, { timeout: 1 }).status;
    } catch (error) {
      if (!["PermissionError", "TimeoutError", "ConnectionError"].includes(error.className)) throw error;
      return [error.className, error.message];
    }
  },
});
