/**
 * Exponential backoff with full jitter, for reconnecting and for asking for tokens.
 *
 * Pure, except for the source of randomness, which is passed in.
 */
/** Upper bound of the first delay, in seconds. */
export declare const MIN_DELAY = 0.5;
/** Upper bound of any delay, in seconds. */
export declare const MAX_DELAY = 20;
/**
 * Growing random delays, so that clients that lost a server together do not return together.
 *
 * There is no limit to the number of attempts.
 */
export declare class Backoff {
    #private;
    /** @param {() => number} [chance] Returns a number from 0 to 1. */
    constructor(chance?: () => number);
    /**
     * Return the seconds to wait now, and double the bound of the next delay.
     *
     * @returns {number}
     */
    next(): number;
    /** Start over with the first delay. */
    reset(): void;
}
