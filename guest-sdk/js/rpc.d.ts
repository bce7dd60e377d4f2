import { Failure, Json } from "./index.js";

/** What the other side raised. Not caught, the handler's own caller meets it as it is. */
export class RemoteError extends Failure {
  /** Where it happened, outermost first. */
  readonly traceback: string[];
}

/** No reply came in time. The request may have been handled. */
export class MessagingTimeout extends Failure {
  constructor(message: string);
}

/** Nobody serves the target, or the broker cannot be reached. */
export class MessageDeliveryFailure extends Failure {
  constructor(message: string);
}

/** The keyword arguments of a request: what `stringify` makes an object of. */
export type Arguments = { [name: string]: unknown };

/**
 * Who is asked, and how patiently.
 *
 * What goes wrong is one of the classes above; or a `Failure` whose `className` is `PermissionError` for what is not
 * granted, `RuntimeError` for what is beyond a limit, `ValueError` for requests that make no sense.
 */
export class Target {
  constructor(
    topic: string,
    more?: {
      /** One server of the topic; left out, any. */
      server?: string;
      /** Left out, the null namespace. */
      namespace?: string;
      /** The version that is needed; left out, 1.0. */
      version?: string;
      /** A broker by its name in the service's configuration; left out, the service's own. */
      broker?: string;
      /** Seconds that a call may take; left out, a minute. */
      timeout?: number;
      /** Seconds that a call's server may be silent; left out, no heartbeats are asked for. */
      monitor?: number;
    },
  );

  /** Calls, and returns the result. */
  call<Result = Json>(method: string, args?: Arguments): Result;

  /** Casts: nobody waits for a result. While casts are held, it throws only what is wrong with the request. */
  cast(method: string, args?: Arguments): void;

  /** Casts to every server of the topic. */
  fanout(method: string, args?: Arguments): void;

  /** Calls each target with its arguments, all at once, and waits for all: as `Promise.allSettled` would say it. */
  static callMany<Result = Json>(method: string, calls: [Target, Arguments?][]): PromiseSettledResult<Result>[];
}
