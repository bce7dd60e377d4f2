/** The calculator that every language has, typed, in JavaScript: the functions of `wit/calculator.wit`. */

import { Declined, context, log, panic, stringify } from "nova";
import * as trace from "nova/trace";

const MOST = 2 ** 63;
let count = 0;

export const api = {
  add(a, b) {
    const sum = a + b;
    if (sum >= MOST || sum < -MOST) throw { tag: "overflow-error", val: "integer overflow" };
    return sum;
  },
  divide(a, b) {
    if (b === 0) throw { tag: "zero-division-error", val: "division by zero" };
    return a / b;
  },
  echo(value) {
    return value;
  },
  concat(texts, separator) {
    return texts.join(separator ?? "");
  },
  blob(size) {
    return "x".repeat(size);
  },
  notFound(instanceId) {
    const message = `Instance ${instanceId} could not be found.`;
    throw { tag: "instance-not-found", val: { message, instanceId, code: 404 } };
  },
  context() {
    return { jsonText: stringify(context()) };
  },
  log(message) {
    log.info(message);
    console.log("printed", message);
  },
  panic(message) {
    panic(message);
  },
  loopForever() {
    for (;;);
  },
  allocate(mib) {
    const block = new Uint8Array(mib << 20);
    for (let at = 0; at < block.length; at += 1 << 16) block[at] = 1;
    return block.length;
  },
  calls() {
    count += 1;
    return count;
  },
  objectAction(objmethod) {
    if (objmethod !== "save") throw new Declined();
    return "saved";
  },
  mark(step) {
    trace.setAttributes({ "calc.step": step, "calc.count": 3, "calc.share": 0.5, "calc.done": true });
    trace.addEvent("step done", { "calc.count": 3, "calc.step": step });
    return trace.isRecording();
  },
};
