/**
 * Requests to other services: calls, which are answered, and casts, which are not.
 *
 *     import { Target } from "nova/rpc";
 *
 *     const scheduler = new Target("scheduler", { version: "4.5" });
 *     for (const server of scheduler.call("select_destinations", { instance_uuids: [uuid] })) {
 *       new Target("compute", { server }).cast("build", { uuid });
 *     }
 *
 * The manifest says who may be asked for what: `grants.rpc = ["scheduler.select_destinations", "compute/*"]`. The context
 * of the request that is being handled goes along. Casts are held back until the handler has succeeded, unless the
 * manifest says otherwise.
 */

import host from "./imports/client.js";
import { Failure, milliseconds, parse, payload, stringify } from "./index.js";

export class RemoteError extends Failure {}

export class MessagingTimeout extends Failure {
  constructor(message) {
    super("MessagingTimeout", message, { module: "oslo_messaging.exceptions" });
  }
}

export class MessageDeliveryFailure extends Failure {
  constructor(message) {
    super("MessageDeliveryFailure", message, { module: "oslo_messaging.exceptions" });
  }
}

function failed({ tag, val }) {
  switch (tag) {
    case "remote": {
      const { class: className, module, message, args, kwargs, traceback } = val;
      const error = new RemoteError(className, message, { module, args: parse(args), kwargs: parse(kwargs) });
      return Object.assign(error, { traceback });
    }
    case "timed-out":
      return new MessagingTimeout(val);
    case "unavailable":
      return new MessageDeliveryFailure(val);
    case "denied":
      return new Failure("PermissionError", val);
    case "invalid":
      return new Failure("ValueError", val);
    default:
      return new Failure("RuntimeError", val);
  }
}

function run(operation, request) {
  try {
    return operation(request);
  } catch (error) {
    throw failed(payload(error));
  }
}

export class Target {
  constructor(topic, { server, namespace, version, broker, timeout, monitor } = {}) {
    Object.assign(this, { topic, server, namespace, version, broker, timeout, monitor });
  }

  call(method, args = {}) {
    return parse(run(host.call, this.#request(method, args)));
  }

  cast(method, args = {}) {
    run(host.cast, this.#request(method, args));
  }

  fanout(method, args = {}) {
    run(host.fanout, this.#request(method, args));
  }

  static callMany(method, calls) {
    const results = host.callMany(calls.map(([target, args = {}]) => target.#request(method, args)));
    return results.map(({ tag, val }) =>
      tag === "ok" ? { status: "fulfilled", value: parse(val) } : { status: "rejected", reason: failed(val) },
    );
  }

  #request(method, args) {
    const { topic, server, namespace, version, broker, timeout, monitor } = this;
    return {
      target: { topic, server, namespace, version, broker },
      method,
      arguments: stringify(args),
      timeoutMs: milliseconds(timeout),
      monitorMs: milliseconds(monitor),
    };
  }
}
