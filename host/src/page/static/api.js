// Asks the admin API. Whoever changes anything says so with a header that no other site can send.

const TIMEOUT = 10000;

export class Refused extends Error {
  constructor(status, message, takesToken = false) {
    super(message);
    this.status = status;
    // Whether a token would help.
    this.takesToken = takesToken;
  }
}

async function ask(method, path, { body, type, token, timeout = TIMEOUT } = {}) {
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["X-Nova-Host"] = "1";
  if (type) headers["Content-Type"] = type;
  if (token) headers.Authorization = `Bearer ${token}`;
  let answer;
  try {
    answer = await fetch(`api/v1/${path}`, {
      method, headers, body, credentials: "same-origin", cache: "no-store", signal: AbortSignal.timeout(timeout),
    });
  } catch (error) {
    const late = error.name === "TimeoutError";
    throw new Refused(0, late ? "The host has not answered in time. It may have done it: look before you try again." :
      "The host could not be reached.");
  }
  const text = await answer.text();
  let told = null;
  try {
    told = text ? JSON.parse(text) : null;
  } catch {
    // What is not JSON is no answer of this API's: its status must do.
  }
  if (answer.ok) return told;
  throw new Refused(answer.status, told?.detail ?? told?.title ?? `The host says ${answer.status} ${answer.statusText}.`,
    answer.headers.has("WWW-Authenticate"));
}

const name = encodeURIComponent;

export const status = () => ask("GET", "status");

// The host gives a cookie for the token, which no script can read; the token itself is not kept.
export const logIn = (token) => ask("POST", "session", { token });

export const logOut = () => ask("DELETE", "session");

export const rollBack = (handler) => ask("POST", `handlers/${name(handler)}/rollback`);

export const remove = (handler) => ask("DELETE", `handlers/${name(handler)}`);

// What becomes of a version on trial: promote, abort, pause or resume it.
export const trial = (handler, verb) => ask("POST", `handlers/${name(handler)}/${verb}`);

// A component is compiled and tried before the answer: that takes minutes where it is large. A manifest, where there is one,
// stands before it.
export const add = (handler, component, manifest, force) => {
  const before = manifest ? `&manifest=${manifest.size}` : "";
  const body = manifest ? new Blob([manifest, component]) : component;
  return ask("POST", `handlers?name=${name(handler)}&force=${force}${before}`, { body, type: "application/wasm", timeout: 600000 });
};
