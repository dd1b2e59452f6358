/**
 * Tokens that `<celery-progress token-url="…">` fetches from a server of the page.
 *
 * Runs in: a page.
 */

import { warn } from "./warnings.js";

/** @import { GetToken } from "../client/tokens.js" */

/** One function for each address, so that all bars that have it share a token. @type {Map<string, GetToken>} */
const functions = new Map();

/**
 * Return the function that fetches a token, as `getToken`; undefined without an address.
 *
 * @param {string | null} url Relative to the page.
 * @returns {GetToken | undefined}
 */
export function tokenFrom(url) {
  if (!url) return undefined;
  const address = new URL(url, document.baseURI).href;
  const known = functions.get(address) ?? (() => fetchToken(address));
  functions.set(address, known);
  return known;
}

/**
 * @param {string} address Answers with a token, or with JSON that has it as `token`.
 * @returns {Promise<string | undefined>} None where the server gives none to this user: the sidecar
 *   then says whether one is needed.
 */
async function fetchToken(address) {
  const answer = await fetch(address, { cache: "no-store" });
  const { ok, status } = answer;
  const told = `${address} answered ${status}`;
  if (!ok && status !== 401 && status !== 403) throw new Error(told);
  const text = (await answer.text()).trim();
  // Who is not logged in any more is often led to a page for that.
  if (ok && text[0] !== "<") return text[0] === "{" ? JSON.parse(text).token : text;
  warn(`${told}: no token`);
  return undefined;
}
