// Hears the host: server-sent events, the whole state first and then what has changed. Begins again by itself.

import { Refused, status } from "./api.js";

// The host says something each second; silence is a loss. A connection that ends is made again at once, which is none.
const [SILENCE, PAUSE] = [6000, 3000];

// Waits before another attempt where the browser has given up.
const [SHORTEST, LONGEST] = [1000, 15000];

export class Feed {
  #source = null;
  #wait = SHORTEST;
  #timer = null;
  #heard = 0;
  #lost = null;
  #state = {};

  // `changed(state, parts)`: what is known, and which parts of it are new. `lost(since, why)`: for how long nothing was
  // heard, in milliseconds, or null once something is. `stranger()`: the host wants a log-in.
  constructor({ changed, lost, stranger }) {
    Object.assign(this, { changed, lost, stranger });
    setInterval(() => this.#look(), 1000);
  }

  open() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#heard = this.#heard || Date.now();
    this.#source = new EventSource("api/v1/events");
    this.#source.addEventListener("state", (event) => this.#take(event));
    this.#source.addEventListener("error", () => this.#failed());
  }

  close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  #take(event) {
    let parts;
    try {
      parts = JSON.parse(event.data);
    } catch {
      return;
    }
    [this.#heard, this.#wait, this.#lost] = [Date.now(), SHORTEST, null];
    if (parts.whole) this.#state = {};
    Object.assign(this.#state, parts);
    this.lost(null);
    this.changed(this.#state, parts);
  }

  async #failed() {
    const source = this.#source;
    this.#lost = "The connection to the host is lost. Trying again.";
    this.#look();
    if (source?.readyState !== EventSource.CLOSED) return;
    // An EventSource does not tell why it was refused.
    try {
      await status();
    } catch (error) {
      if (source !== this.#source) return;
      if (error instanceof Refused && (error.status === 401 || error.status === 403)) {
        this.close();
        this.lost(Date.now() - this.#heard, "You are not logged in.");
        this.stranger();
        return;
      }
    }
    if (source !== this.#source) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.open(), this.#wait);
    this.#wait = Math.min(LONGEST, this.#wait * 2);
  }

  #look() {
    if (!this.#source) return;
    const since = Date.now() - this.#heard;
    if (since > (this.#lost ? PAUSE : SILENCE)) this.lost(since, this.#lost ?? "The host says nothing. Trying again.");
    // A connection that was cut without a word: the browser does not notice by itself.
    if (since > 3 * SILENCE && this.#source.readyState === EventSource.OPEN) this.open();
  }
}
