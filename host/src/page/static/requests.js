// Requests in flight, the oldest first.

import { attribute, byId, cell, el, emptiness, keyed, say } from "./dom.js";
import { count, method, plural, span } from "./format.js";

// Beyond this age a request is shown as old.
const OLD = 10000;

const words = (text) => text.replaceAll("-", " ");

export function showRequests(state) {
  const section = byId("requests");
  const table = section.querySelector("table");
  const requests = state.requests ?? [];
  const total = state.requests_in_all ?? requests.length;
  emptiness(section, requests.length === 0, table);
  say(byId("requests-count"), total > requests.length ? `the oldest ${requests.length} of ${count(total)}` :
    total > 0 ? plural(total, "request", "requests") : "");
  // Two that look the same are told apart by their place among those.
  const seen = new Map();
  const key = (one) => {
    const name = [one.message_id, one.request_id, one.method, one.generation, one.kind].join("\n");
    seen.set(name, (seen.get(name) ?? 0) + 1);
    return `${name}\n${seen.get(name)}`;
  };
  const make = (one) => el("tr", { role: "row" },
    cell("Age", { class: "number" }, el("span")),
    cell("Method", {}, el("span", { text: method(one) }),
      el("span", { class: "quiet", text: `${one.kind}, version ${one.version ?? "1.0"}` }),
      el("span", { class: "quiet mono", text: one.request_id ?? one.message_id ?? "no request id" })),
    cell("State", { class: "state" }, el("span")),
    cell("Handler", {}, el("span"), el("span", { class: "quiet" })));
  keyed(table.tBodies[0], requests, key, make, (row, one) => {
    const [age, , where, handler] = row.children;
    say(age.firstChild, span(one.age_ms));
    attribute(age.firstChild, "class", one.age_ms > OLD ? "old" : null);
    say(where.firstChild, words(one.state));
    say(handler.firstChild, one.handler ?? "–");
    say(handler.lastChild, one.generation ? `generation ${one.generation}` : "");
  });
}
