
// The part that JSDoc cannot say; see `tests/static/additions`.

import type { EventOf, EventType, ProgressEvent } from "./types/client/events.js";

/** The `detail` of an event of the operation that the element dispatches. */
export type CeleryEventDetail<Type extends EventType> = {
    event: EventOf<Type>;
    operation: Operation;
    /** Whether the event is from before the element began to watch. */
    replayed: boolean;
};

/** The events that the element dispatches; they bubble. */
export interface CeleryEventMap {
    "celery-status": CustomEvent<CeleryEventDetail<"status">>;
    "celery-progress": CustomEvent<CeleryEventDetail<"progress">>;
    "celery-log": CustomEvent<CeleryEventDetail<"log">>;
    "celery-chunk": CustomEvent<CeleryEventDetail<"chunk">>;
    "celery-result": CustomEvent<CeleryEventDetail<"result">>;
    "celery-completed": CustomEvent<CeleryEventDetail<"completed">>;
    "celery-error": CustomEvent<CeleryEventDetail<"error">>;
    "celery-change": CustomEvent<{ event: ProgressEvent | null; operation: Operation; replayed: boolean }>;
    "celery-refused": CustomEvent<{ error: Error }>;
    "celery-step": CustomEvent<{ id: string }>;
    "celery-cancel": CustomEvent<{ operation: Operation }>;
}

declare global {
    interface HTMLElementTagNameMap {
        "celery-progress": CeleryProgress;
    }
    interface GlobalEventHandlersEventMap extends CeleryEventMap {}
}
