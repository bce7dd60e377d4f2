/** Greets people. */

import { Failure, method } from "nova";

method(
  function greet({ name }) {
    if (!name) throw new Failure("ValueError", "nobody to greet");
    return `hello, ${name}`;
  },
  { version: "1.0" },
);
