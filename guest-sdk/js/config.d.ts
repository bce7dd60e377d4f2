/** One value; null where the manifest has no such name. It may be a secret: never log it, and never throw it. */
export function get(name: string): string | null;

/** All values by their names. */
export function all(): { [name: string]: string };
