// A version on trial, below its handler: how it does beside the one that serves, and what can be done about it.

import { attribute, el, say } from "./dom.js";
import { ago, count, digest } from "./format.js";

const VERBS = ["promote", "pause", "resume", "abort"];

const label = (verb) => verb[0].toUpperCase() + verb.slice(1);

// `actions`: promote, pause, resume and abort, each asked with the handler's state as it is then.
export const showCanary = (handler, state, actions, latest) => (inner) => {
  if (!inner.firstChild) {
    inner.append(el("p", { class: "note" }), el("p", { class: "quiet" }), el("div", { class: "actions" },
      ...VERBS.map((verb) => el("button", {
        type: "button", class: "change", text: `${label(verb)}…`, "aria-label": `${label(verb)} the canary of ${handler.name}`, "data-verb": verb,
        onclick: (event) => actions[verb](latest(), event.currentTarget),
      }))));
  }
  const [note, counts, buttons] = inner.children;
  const { canary } = handler;
  const isOn = canary.stage === "running" || canary.stage === "paused";
  const why = canary.why ? `: ${canary.why}` : "";
  const since = ago(state.now_ms - canary.since * 1000);
  attribute(note, "class", canary.stage === "rolled-back" || canary.stage === "paused" ? "note" : null);
  const which = `generation ${canary.generation} (${digest(canary.digest)})`;
  say(note, isOn ?
    `Canary ${canary.stage}: ${which} gets ${canary.share} of the requests, step ${canary.step} of ${canary.steps.length}, begun ${since}${why}` :
    `Canary ${canary.stage.replace("-", " ")} ${since}: ${which}${why}`);
  say(counts, `${tried(canary.new)} on trial; ${tried(canary.old)} beside it on generation ${canary.beside}.`);
  buttons.hidden = !isOn;
  for (const button of buttons.children) {
    const { verb } = button.dataset;
    button.hidden = verb === (canary.stage === "paused" ? "pause" : "resume");
  }
};

const tried = (one) => `${count(one.requests)} requests, ${count(one.failures)} failed`;
