// How long GitHub asks to wait, and why, out of the headers of an answer.
// In: a status, GitHub's words, headers. Out: milliseconds, a reason in words. Pure but for the
// clock of this machine where GitHub does not tell its own. Not here: the waiting (gate).

export interface HeardAnswer {
  readonly status: number;
  readonly message: string;
  readonly headers: Readonly<Record<string, string | number | undefined>>;
}

/** GitHub says: without a number wait at least a minute. */
const WAIT_UNNAMED_MS = 60_000;
/** GitHub's longest window is an hour: whatever names more (a proxy, a wrong clock) is asked again. */
export const WAIT_MAX_MS = 61 * 60_000;

/** Why GitHub asks to wait, by the status of its refusal. */
export const waitReason = (status: number): string =>
  status === 503 ? 'it is out of service' : 'its limit of requests is reached';

/** `retry-after`, else the reset of a used-up limit, else a minute; null: this is no limit. */
export const waitMs = (answer: HeardAnswer): number | null => {
  const wait = namedMs(answer);
  return wait === null ? null : Math.min(wait, WAIT_MAX_MS);
};

const namedMs = ({ status, message, headers }: HeardAnswer): number | null => {
  const after = numberIn(headers['retry-after']);
  if (after !== null) return Math.max(0, after) * 1000;
  if (status === 503) return null;
  if (numberIn(headers['x-ratelimit-remaining']) === 0) return resetIn(headers) ?? WAIT_UNNAMED_MS;
  if (status === 429 || /rate limit/i.test(message)) return WAIT_UNNAMED_MS;
  return null;
};

/** By GitHub's own clock, so that a wrong one here does not matter; a second more to be past it. */
export const resetIn = (headers: HeardAnswer['headers']): number | null => {
  const reset = numberIn(headers['x-ratelimit-reset']);
  const date = Date.parse(String(headers['date'] ?? ''));
  if (reset === null) return null;
  const now = Number.isNaN(date) ? Date.now() : date;
  return Math.max(0, reset * 1000 - now) + 1000;
};

export const numberIn = (value: string | number | undefined): number | null => {
  const number = value === undefined || value === '' ? Number.NaN : Number(value);
  return Number.isFinite(number) ? number : null;
};
