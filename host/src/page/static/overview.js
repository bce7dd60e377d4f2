// The head of the page: how the service is, in one line; and the connections to the broker.

import { attribute, byId, cell, el, emptiness, keyed, say } from "./dom.js";
import { count, rate, span } from "./format.js";

// Outcomes that are a handler's everyday business: an exception that it raises, a request that it leaves to others.
export const EVERYDAY = ["failed", "refused", "declined"];

// For how long a fault counts as trouble.
const RECENT = 60000;

// The names of handlers that are in trouble: nothing serves, or a request ended by a fault a short while ago.
export function failing(state) {
  const names = new Set();
  for (const handler of state.handlers ?? []) if (!handler.serving) names.add(handler.name);
  // Not by the list of failures: what a handler raises by itself drives its faults out of there.
  for (const one of state.methods ?? []) {
    if (one.last_fault_ms !== null && state.now_ms - one.last_fault_ms < RECENT) names.add(one.handler);
  }
  return names;
}

export function title(state, isLost) {
  const name = state.server ? `nova-host ${state.server}` : "nova-host";
  const trouble = isLost ? "connection lost" : troubleOf(state);
  return trouble ? `${trouble} – ${name}` : name;
}

function troubleOf(state) {
  const { health } = state;
  if (!health) return null;
  if (!health.ready) return health.missing[0] ?? health.phase;
  if (blocked(health)) return "broker blocks";
  const troubles = failing(state).size;
  return troubles > 0 ? `${troubles} failing` : null;
}

const blocked = (health) => Object.values(health.connections).some((connection) => connection.blocked > 0);

export function showOverview(state) {
  const { health } = state;
  if (!health) return;
  const phase = byId("phase");
  say(phase, health.phase);
  say(byId("server"), state.server ?? "");
  attribute(phase, "class", `pill ${health.ready ? "good" : "bad"}`);
  // Where the phase is all that is missing, it is said already.
  const missing = health.missing.filter((reason) => reason !== health.phase);
  byId("missing").hidden = missing.length === 0;
  say(byId("missing"), missing.join(", "));
  const troubles = failing(state).size;
  const perMinute = (state.methods ?? []).reduce((sum, one) => sum + one.per_minute, 0);
  const facts = [
    ["Handlers", count(health.handlers)],
    ["Failing", count(troubles), troubles > 0],
    ["Rate", rate(perMinute)],
    ["In flight", count(health.in_flight)],
    ["Broker", broker(health), blocked(health) || lacking(health)],
    ["Up", span(health.uptime_seconds * 1000)],
    ["Version", health.version],
    ["Process", String(health.process)],
  ];
  const make = () => el("div", {}, el("dt"), el("dd"));
  keyed(byId("facts"), facts, ([name]) => name, make, (fact, [name, value, isBad]) => {
    say(fact.firstChild, name);
    say(fact.lastChild, value);
    attribute(fact, "class", isBad ? "bad" : null);
  });
}

const lacking = (health) => Object.values(health.connections).some((connection) => connection.open === 0 && connection.made > 0);

function broker(health) {
  const all = Object.values(health.connections);
  if (all.length === 0) return "none";
  if (blocked(health)) return "blocks";
  return lacking(health) ? "away" : "connected";
}

export function showBroker(state) {
  const section = byId("broker");
  const table = section.querySelector("table");
  const all = Object.entries(state.health?.connections ?? {});
  emptiness(section, all.length === 0, table);
  const make = ([name]) => el("tr", { role: "row" },
    el("th", { role: "rowheader", scope: "row", text: name }),
    cell("State", {}, el("span")),
    cell("Open", { class: "number" }, el("span")),
    cell("Made so far", { class: "number" }, el("span")));
  keyed(table.tBodies[0], all, ([name]) => name, make, (row, [, connection]) => {
    const [, state, open, made] = row.children;
    const [word, kind] = connection.blocked > 0 ? ["blocked: RabbitMQ reads nothing from it", "bad"] :
      connection.open > 0 ? ["open", "good"] : connection.made > 0 ? ["connecting", "bad"] : ["not needed yet", ""];
    say(state.firstChild, word);
    attribute(state.firstChild, "class", `pill ${kind}`);
    say(open.firstChild, count(connection.open));
    say(made.firstChild, count(connection.made));
  });
}
