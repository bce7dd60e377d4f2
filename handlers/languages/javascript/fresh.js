/** What differs between two instances, and what is alike in all of them: their memory is made when the component is built. */

import { method } from "nova";

const atBuild = Date.now();

method(() => ({ "Math.random": Math.random(), "Date.now": Date.now() > atBuild, module: atBuild }), { name: "fresh", version: "1.3" });
