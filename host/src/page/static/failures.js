// What failed lately, the latest first; folded out, with all that is known and the guest's frames.

import { byId, el, emptiness, keyed, say } from "./dom.js";
import { ago, brief, full, method, micros, plural } from "./format.js";
import { EVERYDAY } from "./overview.js";

export function showFailures(state) {
  const section = byId("failures");
  const list = section.querySelector("ol");
  const failures = state.failures ?? [];
  emptiness(section, failures.length === 0, list);
  say(byId("failures-count"), failures.length > 0 ? plural(failures.length, "failure", "failures") : "");
  const seen = new Map();
  const key = (one) => {
    const name = [one.at_ms, one.message_id, one.request_id, one.handler, one.method, one.took_us].join("\n");
    seen.set(name, (seen.get(name) ?? 0) + 1);
    return `${name}\n${seen.get(name)}`;
  };
  keyed(list, failures, key, make, (item, one) => {
    say(item.querySelector("time"), ago(state.now_ms - one.at_ms));
  });
}

function make(one) {
  const frames = one.frames.length === 0 ? null :
    el("div", {}, el("h3", { class: "unseen", text: "Frames, the outermost first" }),
      el("ol", { class: "frames" }, ...one.frames.map((frame) => el("li", { text: frame }))));
  return el("li", {}, el("details", {},
    el("summary", {},
      el("time", { class: "quiet when", datetime: full(one.at_ms), title: full(one.at_ms) }),
      el("span", { class: "method", text: method(one) }),
      el("span", { class: EVERYDAY.includes(one.outcome) ? "class" : "class bad", text: brief(one.class) }),
      el("span", { class: "message quiet", text: one.message })),
    el("div", { class: "failure" },
      el("p", { class: "message", text: one.message }),
      pairs([
        ["Class", one.class], ["Outcome", one.outcome.replaceAll("_", " ")], ["At", full(one.at_ms)], ["Took", micros(one.took_us)],
        ["Handler", one.handler], ["Generation", one.generation], ["Digest", one.digest],
        ["Limit", one.limit && `limits.${one.limit}`], ["Kind", one.kind], ["Version", one.version],
        ["Request", one.request_id], ["Message", one.message_id], ["Trace", one.trace_id],
      ]),
      frames)));
}

function pairs(all) {
  const known = all.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return el("dl", { class: "pairs" }, ...known.flatMap(([name, value]) => [el("dt", { text: name }), el("dd", { text: value })]));
}
