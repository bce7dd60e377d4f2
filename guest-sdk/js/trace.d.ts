/** What an attribute is. A bigint beyond 2^53 is text. */
export type AttributeValue = string | number | bigint | boolean;

/** Attributes by their keys; those without a value are left out. */
export type Attributes = { [key: string]: AttributeValue | null | undefined };

/** What ties the request to its trace. */
export interface SpanContext {
  /** 32 hexadecimal digits in lower case. */
  traceId: string;
  /** 16 hexadecimal digits in lower case. */
  spanId: string;
  /** W3C's flags: 1 is sampled. */
  traceFlags: number;
}

/** Adds an attribute to the span. A key that is there already has the new value. */
export function setAttribute(key: string, value: AttributeValue | null | undefined): void;

/** Adds several. */
export function setAttributes(attributes: Attributes): void;

/** Adds an event to the span, with the time of now. */
export function addEvent(name: string, attributes?: Attributes): void;

/** Whether anybody sees what is added. Where not, it need not be computed. */
export function isRecording(): boolean;

/** What ties the request to its trace; undefined where it is part of none. */
export function spanContext(): SpanContext | undefined;

/** The same as W3C's header, for what the handler asks of others by itself. */
export function traceparent(): string | undefined;
