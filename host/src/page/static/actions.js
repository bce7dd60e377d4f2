// Changes: each is asked for once more before it is done, and says what became of it.

import * as api from "./api.js";
import { byId, el, say } from "./dom.js";
import { digest } from "./format.js";

const dialog = byId("ask");
const [heading, text, more, error, yes, no] = ["title", "text", "more", "error", "yes", "no"].map((part) => byId(`ask-${part}`));

let asked = null;

// Asks; `act()` is done where the answer is yes, and gives what to say then. The dialog stays where that fails.
function ask({ title, about, label, isDanger, parts = [], act, opener, first }) {
  say(heading, title);
  say(text, about);
  say(error, "");
  say(yes, label);
  yes.className = isDanger ? "danger" : "main";
  more.replaceChildren(...parts);
  asked = { act, opener, label };
  busy(false);
  if (!dialog.open) dialog.showModal();
  // Whoever only presses Enter changes nothing.
  (first ?? no).focus();
}

function busy(isBusy) {
  dialog.ariaBusy = String(isBusy);
  yes.disabled = isBusy;
  say(yes, isBusy ? `${asked.label} …` : asked.label);
}

// How a handler is now, by its name.
let latest = () => null;

export function look(how) {
  latest = how;
}

// What was asked for was asked of what was seen: nothing is done where another version serves, or is tried, by now.
function isAsSeen(handler) {
  const now = latest(handler.name);
  if (now?.serving?.generation !== handler.serving?.generation) {
    throw new Error("Meanwhile another version serves. Close this and look again.");
  }
  if (now?.canary?.generation !== handler.canary?.generation) {
    throw new Error("Meanwhile another version is on trial. Close this and look again.");
  }
}

let told = () => {};

// Whom to tell what was done, in words.
export function tell(listener) {
  told = listener;
}

dialog.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const now = asked;
  if (!now || yes.disabled) return;
  say(error, "");
  busy(true);
  try {
    const words = await now.act();
    if (asked !== now) return told(words);
    dialog.close();
    told(words);
  } catch (failure) {
    if (asked !== now) return told(failure.message);
    busy(false);
    say(error, failure.message);
  }
});
no.addEventListener("click", () => dialog.close());
dialog.addEventListener("close", () => {
  const { opener } = asked ?? {};
  asked = null;
  // A token is not left lying about.
  more.replaceChildren();
  if (opener?.isConnected) opener.focus();
});

const version = (one) => `generation ${one.generation} (${digest(one.digest)})`;

export function rollBack(handler, opener) {
  const [previous] = handler.previous;
  if (!previous) return;
  ask({
    title: `Roll back ${handler.name}?`,
    about: `${version(previous)} serves again, instead of ${version(handler.serving)}. Requests that run end on the version that they began on.`,
    label: "Roll back", isDanger: true, opener,
    act: async () => {
      isAsSeen(handler);
      const done = await api.rollBack(handler.name);
      const words = `${handler.name} is rolled back: generation ${done.generation} instead of ${done.instead_of}.`;
      return done.directory ? `${words} But a restart would serve another version: ${done.directory}` : words;
    },
  });
}

export function remove(handler, opener) {
  ask({
    title: `Remove ${handler.name}?`,
    about: "It is not served any more, and its files are taken out of the directory. Its callers get an error from then on.",
    label: "Remove", isDanger: true, opener,
    act: async () => {
      isAsSeen(handler);
      await api.remove(handler.name);
      return `${handler.name} is removed.`;
    },
  });
}

// A version on trial: `about(canary)` and what to say once it is done.
const trials = {
  promote: {
    label: "Promote", title: (name) => `Promote the canary of ${name}?`,
    about: (handler) => `${version(handler.canary)} serves all requests, at once, instead of ${version(handler.serving)}.`,
    done: (handler) => `${handler.name}: the canary serves all requests.`,
  },
  abort: {
    label: "Abort", isDanger: true, title: (name) => `Abort the canary of ${name}?`,
    about: (handler) => `${version(handler.serving)} serves all requests again. What the canary was asked is answered by it.`,
    done: (handler) => `${handler.name}: the canary is aborted.`,
  },
  pause: {
    label: "Pause", title: (name) => `Pause the canary of ${name}?`,
    about: (handler) => `${version(handler.canary)} keeps ${handler.canary.share} of the requests until you resume or promote it. Where it does worse, it still goes back by itself.`,
    done: (handler) => `${handler.name}: the canary is paused.`,
  },
  resume: {
    label: "Resume", title: (name) => `Resume the canary of ${name}?`,
    about: (handler) => `${version(handler.canary)} goes on by itself, step by step.`,
    done: (handler) => `${handler.name}: the canary goes on.`,
  },
};

export function trial(verb) {
  const { label, isDanger, title, about, done } = trials[verb];
  return (handler, opener) => ask({
    title: title(handler.name), about: about(handler), label, isDanger, opener,
    act: async () => {
      isAsSeen(handler);
      await api.trial(handler.name, verb);
      return done(handler);
    },
  });
}

export function swap(handler, opener) {
  upload({ name: handler.name, serving: handler.serving, seen: handler, opener });
}

export function addNew(opener) {
  upload({ name: null, serving: null, opener });
}

function upload({ name, serving, seen, opener }) {
  const file = el("input", { type: "file", accept: ".wasm,application/wasm", required: true, id: "ask-file" });
  const called = name === null ? el("input", { type: "text", id: "ask-name", required: true, maxlength: "100", autocomplete: "off", spellcheck: "false" }) : null;
  const manifest = el("input", { type: "file", accept: ".toml", id: "ask-manifest" });
  const force = el("input", { type: "checkbox" });
  file.addEventListener("change", () => {
    if (called && !called.value && file.files[0]) called.value = file.files[0].name.replace(/\.wasm$/, "");
  });
  ask({
    title: name === null ? "Add a handler" : `Swap ${name}`,
    about: serving ? `Now ${version(serving)} serves. The new component is tried first; where it is refused, nothing changes.` :
      "The component is tried first; where it is refused, nothing changes.",
    label: name === null ? "Add" : "Swap", opener, first: file,
    parts: [
      el("label", {}, "Component (.wasm) ", file),
      el("label", {}, serving ? "Manifest (.toml); without one, the old one stays " : "Manifest (.toml), if it needs one ", manifest),
      called && el("label", {}, "Name ", called),
      serving && el("label", { class: "check" }, force, " Swap also where methods go that were called recently"),
    ].filter(Boolean),
    act: async () => {
      if (seen) isAsSeen(seen);
      const handler = name ?? called.value.trim();
      const done = await api.add(handler, file.files[0], manifest.files[0], force.checked);
      switch (done.answer) {
        case "replaced": return `${handler} is replaced: generation ${done.generation} instead of ${done.instead_of}.`;
        case "unchanged": return `${handler} is served already: generation ${done.generation}.`;
        default: return `${handler} is served: generation ${done.generation}.`;
      }
    },
  });
}

export function logIn(opener, done) {
  const token = el("input", { type: "password", id: "ask-token", autocomplete: "current-password", required: true });
  ask({
    title: "Log in", about: "A token of the host's administrator says who you are and what you may change.",
    label: "Log in", opener, first: token,
    parts: [el("label", {}, "Token ", token)],
    act: async () => {
      await api.logIn(token.value.trim());
      done();
      return "You are logged in.";
    },
  });
}
