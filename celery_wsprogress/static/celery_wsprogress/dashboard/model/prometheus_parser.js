/**
 * The sidecar's figures as it gives them to Prometheus, as far as the dashboard shows them.
 *
 * Pure.
 */

const PREFIX = "celery_wsprogress_";
const DELAY = "delivery_delay_seconds_bucket";

/**
 * @typedef {Record<string, number>} Metrics By their name, without what all names begin with.
 */

/**
 * @param {string} text
 * @returns {Metrics}
 */
export function parseMetrics(text) {
  /** @type {Metrics} */
  const found = {};
  for (const line of text.split("\n")) {
    const at = line.lastIndexOf(" ");
    if (at < 0 || line.startsWith("#")) continue;
    const name = line.slice(0, at);
    found[name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name] = Number(line.slice(at + 1));
  }
  return found;
}

/**
 * The sum of a figure that is kept by something.
 *
 * @param {Metrics} figures
 * @param {string} name
 */
export function metricTotal(figures, name) {
  const parts = Object.entries(figures).filter(([one]) => one.split("{")[0] === name);
  return parts.reduce((sum, [, value]) => sum + value, 0);
}

/**
 * How much a counter grew in a second; null where that is not known: it began anew.
 *
 * @param {number} before
 * @param {number} after
 * @param {number} seconds
 */
export function counterRate(before, after, seconds) {
  return after < before || seconds <= 0 ? null : (after - before) / seconds;
}

/**
 * The delay that a part of what was delivered between two readings did not exceed, in seconds;
 * null where nothing was delivered.
 *
 * @param {Metrics} before
 * @param {Metrics} after
 * @param {number} part As 0.95.
 */
export function delayQuantile(before, after, part) {
  const buckets = bucketsOf(after).map(([bound, count], index) => {
    const known = bucketsOf(before)[index]?.[1] ?? 0;
    return /** @type {const} */ ([bound, count - known]);
  });
  const all = buckets.at(-1)?.[1] ?? 0;
  if (all <= 0 || buckets.some(([, count]) => count < 0)) return null;
  let [low, counted] = [0, 0];
  for (const [bound, count] of buckets) {
    if (count >= all * part) {
      // Within a bucket it is not known; as Prometheus does, as if they were spread evenly.
      const share = (all * part - counted) / (count - counted);
      return bound === Infinity ? low : low + (bound - low) * share;
    }
    [low, counted] = [bound, count];
  }
  return null;
}

/**
 * @param {Metrics} figures
 * @returns {[number, number][]} Of each bound, how many were not above it.
 */
function bucketsOf(figures) {
  const buckets = Object.entries(figures).filter(([name]) => name.startsWith(DELAY));
  return buckets.map(([name, count]) => {
    const bound = name.match(/le="([^"]*)"/)?.[1] ?? "";
    return [bound === "+Inf" ? Infinity : Number(bound), count];
  });
}
