/** What says under which name, namespace and version a function is served. */
export interface Offer {
  /** The function's own name, unless given. */
  name?: string;
  /** Left out, the null namespace. */
  namespace?: string;
  /** Left out, 1.0. */
  version?: string;
}

/** Any JSON; integers beyond 2^53 are a `bigint`. */
export type Json = null | boolean | number | bigint | string | Json[] | { [name: string]: Json };

/** Serves a function as a method. It is given the keyword arguments as one object. */
export function method<A>(run: (args: A) => unknown, offer?: Offer): void;

/** An exception of any class; the caller meets `className` of `module`. */
export class Failure extends Error {
  readonly className: string;
  readonly module: string;
  readonly args: Json[];
  readonly kwargs: { [name: string]: Json };
  constructor(className: string, message?: string, more?: { module?: string; args?: Json[]; kwargs?: { [name: string]: Json } });
}

/**
 * Leaves the request to others: what becomes of it is what would become of it without this handler. A handler that catches it
 * has not declined.
 */
export class Declined extends Error {
  constructor(message?: string);
}

/** Ends the request as `HandlerTrapped`, with these words. */
export function panic(message: string): never;

/** The service's log, line by line. `console` writes there as well. */
export const log: Record<"trace" | "debug" | "info" | "warn" | "error", (message: string) => void>;

/** The caller's request context, or one entry of it. It often holds a live token: never log it. */
export function context(name?: string): Json;

/** What is known about the request beside its arguments and its context, in a dynamic handler. */
export function request(): {
  method: string;
  namespace: string | null;
  version: string;
  replyWanted: boolean;
  timeLeftMs: number;
};

/** JSON text, in which integers of any size are kept. */
export function stringify(value: unknown): string;

/** The value of JSON text; integers beyond 2^53 are a `bigint`. */
export function parse(text: string): Json;
