// Puts the page together: what is heard goes to whoever shows it.

import * as actions from "./actions.js";
import { logOut } from "./api.js";
import { attribute, byId, say } from "./dom.js";
import { showFailures } from "./failures.js";
import { Feed } from "./feed.js";
import { ago } from "./format.js";
import { showHandlers } from "./handlers.js";
import { takeLines } from "./log.js";
import { showBroker, showOverview, title } from "./overview.js";
import { showRequests } from "./requests.js";

let [state, isLost] = [{}, false];

// Why somebody may not change anything; null where they may.
function forbidden() {
  if (isLost) return "The connection to the host is lost.";
  if (state.you?.role === "operate") return null;
  return "You may look and not change: that takes the role operate.";
}

// A button that may not be pressed stays where it is, and says why.
function allow() {
  const because = forbidden();
  byId("may-not").hidden = !because || isLost;
  say(byId("may-not"), because ?? "");
  for (const button of document.querySelectorAll("button.change, #add")) {
    const reason = because ?? button.because ?? null;
    attribute(button, "aria-disabled", reason ? "true" : null);
    attribute(button, "title", reason);
    attribute(button, "aria-description", reason);
  }
}

const guarded = (act) => (handler, opener) => {
  if (opener.getAttribute("aria-disabled") === "true") announce(opener.title);
  else act(handler, opener);
};

const trials = ["promote", "pause", "resume", "abort"].map((verb) => [verb, guarded(actions.trial(verb))]);
const changes = {
  swap: guarded(actions.swap), rollBack: guarded(actions.rollBack), remove: guarded(actions.remove),
  ...Object.fromEntries(trials),
};

// Says something for a while, to those who look and to those who listen.
let hush;

function announce(words) {
  say(byId("says"), words);
  clearTimeout(hush);
  hush = setTimeout(() => say(byId("says"), ""), 20000);
}

// Handlers whose version has changed are said, for those who do not look.
function news(before, after) {
  const generations = new Map((before ?? []).map((handler) => [handler.name, handler]));
  for (const handler of after ?? []) {
    const old = generations.get(handler.name);
    if (old && handler.serving && old.serving?.generation !== handler.serving.generation) {
      announce(`${handler.name}: generation ${handler.serving.generation} serves.`);
    }
    const canary = handler.canary;
    if (old && canary && (old.canary?.generation !== canary.generation || old.canary?.stage !== canary.stage)) {
      announce(`${handler.name}: canary ${canary.stage.replace("-", " ")}${canary.why ? `: ${canary.why}` : ""}`);
    }
    if (old && handler.refused && old.refused?.at !== handler.refused.at) {
      announce(`${handler.name}: a version was refused: ${handler.refused.reason}`);
    }
  }
}

// The same of whether the service is ready.
function turn(before, after) {
  if (!before || !after || before.ready === after.ready) return;
  announce(after.ready ? "The service takes requests again." : `The service is not ready: ${after.missing.join(", ")}.`);
}

let handlersBefore = null;
let healthBefore = null;

const feed = new Feed({
  changed(now, parts) {
    state = now;
    if (parts.handlers && handlersBefore) news(handlersBefore, parts.handlers);
    turn(healthBefore, now.health);
    [handlersBefore, healthBefore] = [now.handlers ?? handlersBefore, now.health];
    showOverview(state);
    showHandlers(state, changes);
    showRequests(state);
    showFailures(state);
    showBroker(state);
    if (parts.log || parts.whole) takeLines(parts.log ?? [], parts.whole);
    const { you } = state;
    say(byId("who"), you ? `${you.name ?? "not logged in"}: ${you.role}` : "");
    byId("log-in").hidden = !you?.can_log_in;
    byId("log-out").hidden = !you?.has_session;
    document.title = title(state, false);
    allow();
  },
  lost(since, why) {
    const banner = byId("lost");
    isLost = since !== null;
    banner.hidden = !isLost;
    if (!isLost) return say(byId("lost-why"), "");
    // The age changes each second, and is not read out each time.
    say(byId("lost-why"), why);
    say(byId("lost-since"), state.health ? `What you see is from ${ago(since)}.` : "");
    document.title = title(state, true);
    allow();
  },
  stranger(refused) {
    if (!refused.takesToken) return say(byId("phase"), "not let in");
    say(byId("phase"), "log in to see more");
    byId("log-in").hidden = false;
    logIn();
  },
});

function logIn() {
  actions.logIn(byId("log-in"), () => feed.open());
}

actions.look((name) => state.handlers?.find((handler) => handler.name === name));
actions.tell((words) => announce(words));
byId("add").addEventListener("click", (event) => guarded((_, opener) => actions.addNew(opener))(null, event.currentTarget));
byId("log-in").addEventListener("click", logIn);
byId("log-out").addEventListener("click", async () => {
  try {
    await logOut();
    // Nothing of what was seen stays.
    location.reload();
  } catch (error) {
    announce(error.message);
  }
});
allow();
feed.open();
