// The end of the log, by handler.

import { byId, el, emptiness, keyed } from "./dom.js";
import { clock, full } from "./format.js";

const LEVELS = ["trace", "debug", "info", "warn", "error"];

// Lines that are kept here, and shown. The host keeps fewer.
const [KEPT, SHOWN] = [4000, 500];

let lines = [];

const section = byId("log");
const list = section.querySelector("ol");
const view = list.parentElement;
const [of, level, follow] = [byId("log-of"), byId("log-level"), byId("log-follow")];

export function takeLines(fresh, isWhole) {
  lines = (isWhole ? fresh : lines.concat(fresh)).slice(-KEPT);
  showHandlers();
  showLines();
}

function showHandlers() {
  const names = [...new Set(lines.map((line) => line.handler))].sort();
  // What is chosen stays in the list, also when its lines have gone.
  if (of.value && !names.includes(of.value)) names.push(of.value);
  keyed(of, names, (name) => name, (name) => el("option", { value: name, text: name }), () => {});
}

function showLines() {
  const from = Number(level.value);
  const wanted = lines.filter((line) => (!of.value || line.handler === of.value) && LEVELS.indexOf(line.level) >= from);
  emptiness(section, wanted.length === 0, view);
  const isAtEnd = follow.checked;
  keyed(list, wanted.slice(-SHOWN), (line) => line.number, make, () => {});
  if (isAtEnd) view.scrollTop = view.scrollHeight;
}

const make = (line) => el("li", { class: `at-${line.level}` },
  el("time", { datetime: full(line.at_ms), title: full(line.at_ms), text: clock(line.at_ms) }),
  el("span", { class: "level", text: line.level }),
  el("span", { class: "of", text: line.handler, title: line.handler }),
  el("span", { class: "text", text: line.text }));

for (const choice of [of, level]) choice.addEventListener("change", showLines);
follow.addEventListener("change", showLines);
// Who scrolls up wants to read.
view.addEventListener("wheel", (event) => {
  if (event.deltaY < 0) follow.checked = false;
});
view.addEventListener("keydown", (event) => {
  if (["ArrowUp", "PageUp", "Home"].includes(event.key)) follow.checked = false;
});
