/** Every word on the page in English, one file per room. What is here is what a translation must have. */

export { compare } from "./compare.ts";
export { diagnosis } from "./diagnosis.ts";
export { errors } from "./errors.ts";
export { explain } from "./explain.ts";
export { generate } from "./generate.ts";
export { machine } from "./machine.ts";
export { map } from "./map.ts";
export { mix } from "./mix.ts";
export { offline } from "./offline.ts";
export { reconstruct } from "./reconstruct.ts";
export { share } from "./share.ts";
export { shell } from "./shell.ts";
export { tour } from "./tour.ts";
