// Hears the host: server-sent events, the whole state first and then what has changed. Begins again by itself.

import { Refused, status } from "./api.js";

// The host says something each second; silence is a loss. A connection that ends is made again at once, which is none.
const [SILENCE, PAUSE] = [6000, 3000];

// Waits before another attempt where the browser has given up.
const [SHORTEST, LONGEST] = [1000, 15000];

const LOST = "The connection to the host is lost. Trying again.";

// For how long a tab that nobody sees keeps its stream. A browser has six connections to a host, for all of its tabs.
const HIDDEN = 60000;

export class Feed {
  #source = null;
  #wait = SHORTEST;
  #timer = null;
  #heard = 0;
  #lost = null;
  #state = {};
  #hiding = null;
  #isAway = false;

  // `changed(state, parts)`: what is known, and which parts of it are new. `lost(since, why)`: for how long nothing was
  // heard, in milliseconds, or null once something is. `stranger(refused)`: the host does not know who
  // asks, and `refused` says what it wants.
  constructor({ changed, lost, stranger }) {
    Object.assign(this, { changed, lost, stranger });
    setInterval(() => this.#look(), 1000);
    document.addEventListener("visibilitychange", () => this.#seen());
    this.#seen();
  }

  // A tab that is hidden gives its stream back after a while, and has it again when it is seen.
  #seen() {
    clearTimeout(this.#hiding);
    if (document.hidden) {
      this.#hiding = setTimeout(() => {
        // Where there is none, somebody has yet to log in.
        this.#isAway = this.#source !== null;
        this.close();
      }, HIDDEN);
    } else if (this.#isAway) {
      [this.#heard, this.#lost] = [Date.now(), null];
      this.open();
    }
  }

  open() {
    clearTimeout(this.#timer);
    this.#isAway = false;
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
    const isRefused = source?.readyState === EventSource.CLOSED;
    // What was said of a refusal stays until it is known why this one is.
    if (!isRefused || !this.#lost) this.#lost = LOST;
    this.#look();
    if (!isRefused) return;
    // An EventSource does not tell why it was refused.
    try {
      await status();
      if (source !== this.#source) return;
      this.#lost = "The host tells no more clients now: it has as many as it takes. Close other tabs of this page. Trying again.";
      this.#look();
    } catch (error) {
      if (source !== this.#source) return;
      this.#lost = LOST;
      if (error instanceof Refused && (error.status === 401 || error.status === 403)) {
        this.close();
        this.lost(Date.now() - this.#heard, error.takesToken ? "You are not logged in." : error.message);
        this.stranger(error);
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
