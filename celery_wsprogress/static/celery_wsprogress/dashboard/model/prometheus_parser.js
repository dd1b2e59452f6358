/**
 * A parser for `/metrics` of the sidecar, for what the dashboard shows.
 *
 * Pure.
 */

const PREFIX = "celery_wsprogress_";
const DELAY = "delivery_delay_seconds_bucket";

/**
 * @typedef {Record<string, number>} Metrics Values by name and labels, without the common prefix
 *   of names.
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
 * Return the sum of a metric over its labels.
 *
 * @param {Metrics} figures
 * @param {string} name
 */
export function metricTotal(figures, name) {
  const parts = Object.entries(figures).filter(([one]) => one.split("{")[0] === name);
  return parts.reduce((sum, [, value]) => sum + value, 0);
}

/**
 * Return the growth of a counter per second; null if it was reset.
 *
 * @param {number} before
 * @param {number} after
 * @param {number} seconds
 */
export function counterRate(before, after, seconds) {
  return after < before || seconds <= 0 ? null : (after - before) / seconds;
}

/**
 * Return the quantile of the delivery delay between two readings, in seconds; null without
 * deliveries.
 *
 * @param {Metrics} before
 * @param {Metrics} after
 * @param {number} part The quantile, such as 0.95.
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
      // Linear interpolation within a bucket, as `histogram_quantile` of Prometheus does.
      const share = (all * part - counted) / (count - counted);
      return bound === Infinity ? low : low + (bound - low) * share;
    }
    [low, counted] = [bound, count];
  }
  return null;
}

/**
 * @param {Metrics} figures
 * @returns {[number, number][]} The cumulative count of each bound.
 */
function bucketsOf(figures) {
  const buckets = Object.entries(figures).filter(([name]) => name.startsWith(DELAY));
  return buckets.map(([name, count]) => {
    const bound = name.match(/le="([^"]*)"/)?.[1] ?? "";
    return [bound === "+Inf" ? Infinity : Number(bound), count];
  });
}
