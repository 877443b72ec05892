/** What the page keeps in the browser, by name: page, worker and service worker must agree. */

/** Begins the name of the cache of a build of the page, which its own name ends. */
export const APP = "maetok-app-1-";

/** What shows a model before it is downloaded: its manifest and its thumbnails. */
export const MODELS = "maetok-models-1";

/** Begins the name of the lock that a page of a build holds for as long as it lives. */
export const LOCK = "maetok-page-";

/** What a page tells its service worker. */
export type Told =
  /** Which build are you? Answered with its name. */
  | { kind: "build" }
  /** A page is here: keep it, should that have been deleted. Answered with whether it is kept. */
  | { kind: "keep-page" }
  /** The engine is in use here: keep it too. Answered with whether it is kept. */
  | { kind: "keep-engine" }
  /** A page has come up: what no page needs any more can go. */
  | { kind: "tidy" };
