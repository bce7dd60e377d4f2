/**
 * The trace that the request is part of: what a Span of @opentelemetry/api has is here as functions.
 *
 *     import * as trace from "nova/trace";
 *
 *     trace.setAttribute("acme.flavor", "m1.small");
 *     trace.addEvent("hosts found", { "acme.hosts": 17 });
 *
 * They add to the span in which the handler runs, which the host begins and ends. What exceeds the host's limits is left out,
 * and nothing here throws. Secrets and what only the caller may know do not belong into a trace.
 */

import host from "./imports/trace.js";
import { shown, words } from "./failure.js";

/** UTF-16 units of a text, and attributes of an event, that are handed over: the host keeps less. */
const [MOST, MANY] = [1 << 16, 128];

function text(value) {
  return words(typeof value === "string" ? value.slice(0, MOST) : shown(value).slice(0, MOST));
}

/** A value as the host takes it: text, where it is none of the four kinds. */
function lowered(value) {
  if (typeof value === "boolean") return { tag: "truth", val: value };
  if (typeof value === "bigint" && Number.isSafeInteger(Number(value))) return { tag: "integer", val: Number(value) };
  if (Number.isSafeInteger(value)) return { tag: "integer", val: value };
  if (typeof value === "number") return { tag: "number", val: value };
  return { tag: "text", val: text(value) };
}

export function setAttribute(key, value) {
  if (value != null) host.setAttribute(text(key), lowered(value));
}

export function setAttributes(attributes) {
  for (const [key, value] of Object.entries(attributes)) setAttribute(key, value);
}

export function addEvent(name, attributes = {}) {
  const given = Object.entries(attributes).filter(([, value]) => value != null).slice(0, MANY);
  host.addEvent(text(name), given.map(([key, value]) => ({ key: text(key), value: lowered(value) })));
}

export function isRecording() {
  return host.isRecording();
}

export function spanContext() {
  const context = host.getSpanContext();
  return context == null ? undefined : { ...context };
}

export function traceparent() {
  const context = spanContext();
  if (context === undefined) return undefined;
  return `00-${context.traceId}-${context.spanId}-${context.traceFlags.toString(16).padStart(2, "0")}`;
}
