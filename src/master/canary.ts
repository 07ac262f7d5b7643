/**
 * Whether the first lane that a new program serves does well. Pure judgement over what has been
 * counted there since the program took it, against what can be expected:
 *
 *   now       the canary lane since then
 *   before    the same lane under the old program, as long as it has been counted
 *   beside    all other lanes in the same time: a server that fails does so everywhere
 *
 * It is to catch a program that is broken, not one that is a little worse: a false alarm costs an
 * upgrade, but a missed one is seen by the operator, who can still roll back for a while.
 */

/** Counts of a lane, or of several together, over some time. */
export interface CanarySample {
  readonly requests: number;
  readonly errors: number; // answered by the proxy with an error, or sessions closed by it
  readonly latencyUs: number; // the 99th percentile, 0 = nothing was counted
}

export interface Verdict {
  readonly isWell: boolean;
  readonly why: string;
}

/** So many errors may come by chance. */
const ERRORS_MIN = 20;
/** Of all requests, beyond twice what is usual. */
const ERROR_SHARE_MORE = 0.01;
/** Fewer say nothing about a 99th percentile. */
const REQUESTS_MIN = 1000;
const LATENCY_FACTOR = 4;
const LATENCY_MORE_US = 20_000;

/** `beside` null: there is no other lane. */
export function judge(
  now: CanarySample, before: CanarySample, beside: CanarySample | null,
): Verdict {
  const usual = Math.max(errorShare(before), beside === null ? 0 : errorShare(beside));
  const share = errorShare(now);
  if (now.errors >= ERRORS_MIN && share > 2 * usual + ERROR_SHARE_MORE) {
    return bad(`${now.errors} errors in ${now.requests} requests, ${percent(share)} where ` +
      `${percent(usual)} are usual`);
  }
  const usualUs = Math.max(before.latencyUs, beside?.latencyUs ?? 0);
  const mostUs = LATENCY_FACTOR * usualUs + LATENCY_MORE_US;
  const isComparable = now.requests >= REQUESTS_MIN && before.requests >= REQUESTS_MIN;
  if (isComparable && now.latencyUs > mostUs) {
    return bad(`99 % of the requests took up to ${milliseconds(now.latencyUs)} where ` +
      `${milliseconds(usualUs)} are usual`);
  }
  return { isWell: true, why: `${now.requests} requests, ${now.errors} errors, 99 % within ` +
    milliseconds(now.latencyUs) };
}

function bad(why: string): Verdict {
  return { isWell: false, why };
}

/** Errors may be more than requests: a session that is closed need not have asked for anything. */
function errorShare({ requests, errors }: CanarySample): number {
  return errors === 0 ? 0 : errors / Math.max(requests, errors);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function milliseconds(us: number): string {
  return `${(us / 1000).toFixed(1)} ms`;
}
