/**
 * Sources of tokens: where they come from, and when they are renewed. Used by `connection.js`.
 *
 * Runs in: a page, a worker, or Node. A token goes into a command and nowhere else.
 */
import { Backoff } from "./backoff.js";
import type { Loss } from "./connection.js";
import type { Deferred } from "./deferred.js";
export type Credentials = {
    token?: string;
    getToken?: GetToken;
};
export type GetToken = () => string | null | undefined | Promise<string | null | undefined>;
/**
 * @typedef {{ token?: string, getToken?: GetToken }} Credentials
 *
 * @typedef {() => string | null | undefined | Promise<string | null | undefined>} GetToken
 */
/** One token or `getToken` function, shared by all clients that have it. */
export declare class TokenSource {
    #private;
    canRenew: boolean;
    /** The socket that has accepted its token. @type {object | null} */
    socket: object | null;
    /**
     * The clients, as functions to call when the token is rejected for good.
     * @type {Set<(error: Error) => void>}
     */
    handlers: Set<(error: Error) => void>;
    /** The reason why there is no token now. @type {Loss | null} */
    lost: Loss | null;
    /** Resolves when a socket has accepted the token; replaced after that. @type {Deferred} */
    ready: Deferred;
    backoff: Backoff;
    /** @param {Credentials} credentials */
    constructor({ token, getToken }: Credentials);
    /** @param {Error} error */
    reject(error: Error): void;
    /** @returns {Promise<string | null | undefined>} */
    get(): Promise<string | null | undefined>;
    /**
     * A socket has accepted the token.
     *
     * @param {object} socket
     */
    accept(socket: object): void;
    /**
     * Schedule the renewal of the token.
     *
     * @param {number} left Seconds until it expires.
     * @param {() => void} renew
     */
    renewAfter(left: number, renew: () => void): void;
    /**
     * Schedule another attempt, because `getToken` failed.
     *
     * @param {unknown} error The failure.
     * @param {() => void} call
     */
    retryAfter(error: unknown, call: () => void): void;
    /** Cancel the scheduled renewal. */
    stop(): void;
}
