/**
 * What the manifest gives the handler, in its section `config`, as text.
 *
 *     import * as config from "nova/config";
 *
 *     const attempts = Number(config.get("max_attempts") ?? 3);
 */

import host from "./imports/config.js";

export function get(name) {
  return host.get(name) ?? null;
}

export function all() {
  return Object.fromEntries(host.getAll());
}
