
// The part that JSDoc cannot say; see `tests/static/additions`.

export type { EventOf, EventType } from "./types/client/events.js";
export type { Operation, ProgressEvent, Selector, State } from "./types/client/protocol.js";
