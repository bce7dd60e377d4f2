// The handlers: what serves, how it does, what was refused and why; and what can be changed.

import { showCanary } from "./canary.js";
import { attribute, byId, cell, el, emptiness, keyed, say } from "./dom.js";
import { ago, brief, count, digest, method, micros, plural, rate } from "./format.js";
import { failing } from "./overview.js";

// Whose methods are folded out.
const open = new Set();

// `actions`: swap(handler), rollBack(handler), remove(handler) and those of a canary, each asked with the handler's state as it is then.
export function showHandlers(state, actions) {
  const section = byId("handlers");
  const table = section.querySelector("table");
  const handlers = state.handlers ?? [];
  emptiness(section, handlers.length === 0, table);
  const troubled = failing(state);
  const make = (handler) => body(handler.name, actions, () => showHandlers(state, actions));
  keyed(table, handlers, (handler) => handler.name, make, (part, handler) => {
    part.handler = handler;
    mend(part, handler, state, troubled.has(handler.name));
  });
}

// All rows of one handler.
function body(name, actions, again) {
  const part = el("tbody", { role: "rowgroup" });
  const button = (text, about, act) => el("button", {
    type: "button", class: "change", text, "aria-label": `${about} ${name}`, "data-about": about,
    onclick: (event) => act(part.handler, event.currentTarget),
  });
  const methods = el("button", {
    type: "button", class: "plain", "aria-expanded": "false",
    onclick: () => {
      open.has(name) ? open.delete(name) : open.add(name);
      part.again();
    },
  });
  const row = el("tr", { role: "row" },
    el("th", { role: "rowheader", scope: "row" }, el("span", { text: name }), el("span", { class: "quiet" }), methods),
    cell("Version", { class: "version" }, el("span"), el("span", { class: "quiet" }), el("span", { class: "quiet" })),
    cell("Rate", { class: "number" }, el("span")),
    cell("p99", { class: "number" }, el("span"), el("span", { class: "quiet" })),
    cell("In flight", { class: "number" }, el("span"), el("span", { class: "quiet" })),
    cell("Failures", {}, el("ul", { class: "chips" })),
    cell("Limits reached", {}, el("ul", { class: "chips" })),
    cell("Change", { class: "last" }, el("div", { class: "actions" },
      button("Swap…", "Swap", actions.swap),
      button("Roll back…", "Roll back", actions.rollBack),
      button("Remove…", "Remove", actions.remove))));
  part.append(row);
  part.actions = actions;
  part.again = again;
  return part;
}

function mend(part, handler, state, isTroubled) {
  const { serving, refused } = handler;
  const methods = (state.methods ?? []).filter((one) => one.handler === handler.name);
  part.again = () => mend(part, part.handler, state, isTroubled);
  const [name, version, frequency, slowest, flying, failures, limits, change] = part.rows[0].children;
  const offered = serving?.endpoints ?? [];
  say(name.children[1], offered.map((one) => `${one.namespace ?? "no namespace"} ${one.version}`).join(", "));
  const number = offered.reduce((sum, one) => sum + one.methods.length, 0);
  const toggle = name.children[2];
  say(toggle, plural(number, "method", "methods"));
  attribute(toggle, "aria-label", `${plural(number, "method", "methods")} of ${handler.name}`);
  toggle.hidden = number === 0;
  attribute(toggle, "aria-expanded", open.has(handler.name));
  attribute(name.firstChild, "class", isTroubled ? "bad-name" : null);

  say(version.children[0], serving ? `generation ${serving.generation}` : "nothing serves");
  attribute(version.children[0], "class", serving ? null : "chip bad");
  say(version.children[1], serving ? digest(serving.digest) : "");
  attribute(version.children[1], "title", serving ? `sha256:${serving.digest}` : null);
  attribute(version.children[1], "class", "quiet mono");
  say(version.children[2], serving ? `loaded ${ago(state.now_ms - serving.loaded * 1000)}` : "");

  say(frequency.firstChild, rate(methods.reduce((sum, one) => sum + one.per_minute, 0)));
  const worst = methods.filter((one) => one.requests > 0).reduce((one, other) => (one && one.p99_us >= other.p99_us ? one : other), null);
  say(slowest.children[0], worst ? micros(worst.p99_us) : "–");
  say(slowest.children[1], worst && number > 1 ? worst.method : "");
  const leaving = handler.ending.reduce((sum, one) => sum + one.in_flight, 0);
  say(flying.children[0], count(serving?.in_flight ?? 0));
  say(flying.children[1], leaving > 0 ? `and ${count(leaving)} of before` : "");
  chips(failures.firstChild, classes(methods));
  chips(limits.firstChild, Object.entries(state.limits?.[handler.name] ?? {}), "warn");

  const previous = handler.previous[0];
  const [, back] = change.firstChild.children;
  back.because = previous ? null : "There is no earlier version.";
  under(part, "refused", refused && refusal(handler, state));
  under(part, "canary", handler.canary && showCanary(handler, state, part.actions, () => part.handler));
  under(part, "methods", open.has(handler.name) && number > 0 ? (inner) => details(inner, handler, methods) : null);
}

const refusal = (handler, state) => (inner) => {
  const note = inner.firstChild ?? inner.appendChild(el("p", { class: "note" }));
  const { refused, serving } = handler;
  attribute(note, "class", serving ? "note" : "note bad");
  const which = refused.digest ? digest(refused.digest) : "an unreadable file";
  say(note, `Refused ${ago(state.now_ms - refused.at * 1000)}: ${which}: ${refused.reason}`);
};

// What stands below a handler's own row, in this order.
const ORDER = ["refused", "canary", "methods"];

// A row of its own below the handler's, or none.
function under(part, kind, fill) {
  let row = [...part.rows].find((one) => one.dataset.kind === kind);
  if (!fill) return row?.remove();
  if (!row) {
    row = el("tr", { role: "row", class: "under", "data-kind": kind }, el("td", { role: "cell", colspan: "8" }));
    const before = [...part.rows].findLast((one) => ORDER.indexOf(one.dataset.kind) < ORDER.indexOf(kind));
    before.after(row);
  }
  fill(row.firstChild);
}

// Failures of all methods by class, the most frequent first.
function classes(methods) {
  const sums = new Map();
  for (const one of methods.flatMap((of) => of.failures)) sums.set(one.class, (sums.get(one.class) ?? 0) + one.count);
  return [...sums].sort(([, one], [, other]) => other - one);
}

// What the host says of a handler that could not answer; other classes are what handlers raise by themselves.
const FAULTS = "nova_host.errors.";

function chips(list, all, kind) {
  const shown = all.length > 0 ? all : [["", 0]];
  const make = ([name]) => el("li", { class: !name ? "none" : `chip ${kind ?? (name.startsWith(FAULTS) ? "bad" : "")}`, title: name || null });
  const words = ([name, number]) => (name ? `${brief(name)} ${count(number)}` : "none");
  keyed(list, shown, ([name]) => name, make, (chip, one) => say(chip, words(one)));
}

function details(inner, handler, methods) {
  let table = inner.querySelector("table");
  if (!table) {
    const head = (text, number) => el("th", { role: "columnheader", scope: "col", class: number ? "number" : null, text });
    table = el("table", { role: "table" },
      el("caption", { class: "unseen", text: `Methods of ${handler.name}` }),
      el("thead", { role: "rowgroup" }, el("tr", { role: "row" },
        head("Method"), head("Version"), head("Rate", true), head("p50", true), head("p99", true), head("Failures"))),
      el("tbody", { role: "rowgroup" }));
    inner.append(el("div", { class: "methods", tabindex: "0", role: "group", "aria-label": `Methods of ${handler.name}` }, table));
  }
  // Each version that differs in its first number has numbers of its own.
  const same = (one, major) => JSON.stringify([one.namespace, one.method, major]);
  const known = new Map(methods.map((one) => [same(one, one.major), one]));
  const offered = handler.serving.endpoints.flatMap((endpoint) => endpoint.methods.map((name) =>
    ({ namespace: endpoint.namespace, version: endpoint.version, method: name })));
  const make = (one) => el("tr", { role: "row" },
    el("th", { role: "rowheader", scope: "row", text: method(one) }), el("td", { role: "cell", text: one.version }),
    ...[0, 1, 2].map(() => el("td", { role: "cell", class: "number" })),
    el("td", { role: "cell" }, el("ul", { class: "chips" })));
  keyed(table.tBodies[0], offered, (one) => same(one, one.version), make, (row, one) => {
    const stats = known.get(same(one, parseInt(one.version, 10)));
    const isMeasured = stats && stats.requests > 0;
    const [, , frequency, middle, slow, failures] = row.children;
    say(frequency, rate(stats?.per_minute ?? 0));
    say(middle, isMeasured ? micros(stats.p50_us) : "–");
    say(slow, isMeasured ? micros(stats.p99_us) : "–");
    chips(failures.firstChild, classes(stats ? [stats] : []));
  });
}
