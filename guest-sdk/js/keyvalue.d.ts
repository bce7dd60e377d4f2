/** The value of a key; null where there is none, or its time is over. */
export function get(key: string): Uint8Array | null;

/** The same as text. */
export function getText(key: string): string | null;

/** Whether there is a value. */
export function exists(key: string): boolean;

/** Sets a value, for so many seconds where they are given. A key has 1 to 255 bytes. */
export function set(key: string, value: string | Uint8Array, how?: { ttl?: number }): void;

/** Takes a value away, if there is one. */
export function remove(key: string): void;

/** All keys, in the order of their bytes, without what this request has set. */
export function keys(): string[];

/** Adds to a number, and returns the sum, which is exact up to 2^53. No number is 0. */
export function increment(key: string, delta?: number): number;

/** Puts one value in place of another, if that is the value there; null is no value. Says whether it was. */
export function swap(key: string, current: string | Uint8Array | null, next: string | Uint8Array | null): boolean;
