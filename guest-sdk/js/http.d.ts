import { Json } from "./index.js";

/** What came back, whatever its status. */
export class Response {
  readonly status: number;
  /** Names in small letters, and values, as they came. */
  readonly headers: [string, Uint8Array][];
  /** All of the body. */
  readonly body: Uint8Array;

  /** The first value of a header; null where there is none, or it is no text. */
  header(name: string): string | null;

  /** The body as text. */
  text(): string;

  /** The body as a value; integers beyond 2^53 are a `bigint`. */
  json<Value = Json>(): Value;
}

/** What is sent with a request, and how patiently. */
export interface How {
  /** Values by their names, or pairs of both. */
  headers?: { [name: string]: string } | [string, string | Uint8Array][];
  /** Seconds that each step may take: to connect, to wait for the response, and for each piece of its body. */
  timeout?: number;
}

/** Gets a URL. */
export function get(url: string, how?: How): Response;

/** Posts to a URL. */
export function post(url: string, body: string | Uint8Array, how?: How): Response;

/**
 * Sends a request, and waits for all of the response. The URL is `https://HOST[:PORT][/PATH][?QUERY]`, or the same with
 * `http`.
 *
 * What goes wrong is a `Failure` whose `className` is `PermissionError` for what is not granted, `TimeoutError`,
 * `ConnectionError` where nobody is there, is trusted or speaks HTTP, `RuntimeError` for what is beyond a limit or not what was
 * expected, `ValueError` for requests that make no sense.
 */
export function request(method: string, url: string, how?: How & { body?: string | Uint8Array }): Response;
