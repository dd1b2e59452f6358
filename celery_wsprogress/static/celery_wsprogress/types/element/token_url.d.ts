/**
 * Tokens that `<celery-progress token-url="…">` fetches from a server of the page.
 *
 * Runs in: a page.
 */
import type { GetToken } from "../client/tokens.js";
/**
 * Return the function that fetches a token, as `getToken`; undefined without an address.
 *
 * @param {string | null} url Relative to the page.
 * @returns {GetToken | undefined}
 */
export declare function tokenFrom(url: string | null): GetToken | undefined;
