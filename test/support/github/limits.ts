// GitHub's limits on requests, and the faults that tests ask for.
// In: requests as they come. Out: 403 and 429 with GitHub's bodies and headers, counts.
// Not here: limits of contents (routes-checks.ts).

import type { Caller, Headers, Hub } from './state.ts';
import { HubError } from './state.ts';

export interface Limits {
  /** Requests an hour of one installation or person. */
  readonly hourly: number;
  /** Content writes a minute and an hour, all together: assumed to count check runs too. */
  readonly writesAMinute: number;
  readonly writesAnHour: number;
  readonly concurrent: number;
}

export const DEFAULT_LIMITS: Limits = {
  hourly: 5000,
  writesAMinute: 80,
  writesAnHour: 500,
  concurrent: 100,
};

/** What goes wrong from now on, `times` times (default: until it is taken back). */
export interface Fault {
  /** Which requests; default: all of the REST API and GraphQL. */
  readonly method?: string;
  readonly path?: RegExp;
  readonly times?: number;
  readonly kind:
    | { readonly status: number; readonly body?: string; readonly headers?: Headers }
    /** Answered rightly, but only after this time. */
    | { readonly slowMs: number }
    /** Done, but the answer is lost: the connection ends without one. */
    | { readonly lost: true }
    /** The connection ends before anything is done. */
    | { readonly reset: true }
    /** An answer of so many bytes; Infinity: it never ends. */
    | { readonly bytes: number }
    | { readonly secondary: { readonly retryAfterS: number | null } }
    | { readonly primary: { readonly resetInS: number } };
}

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

export interface LimitsState {
  /** Who → start of the hour and requests in it. */
  readonly used: Map<string, { startMs: number; count: number }>;
  readonly faults: { readonly fault: Fault; left: number }[];
  running: number;
}

export const newLimits = (): LimitsState => ({ used: new Map(), faults: [], running: 0 });

const nameOf = (caller: Caller): string => {
  switch (caller.kind) {
    case 'nobody':
      return 'nobody';
    case 'app':
      return `app ${caller.app.id}`;
    case 'installation':
      return `installation ${caller.installation.id}`;
    case 'user':
      return `user ${caller.account.id}`;
    default:
      return caller satisfies never;
  }
};

const windowOf = (state: LimitsState, caller: Caller, nowMs: number) => {
  const name = nameOf(caller);
  const old = state.used.get(name);
  if (old !== undefined && nowMs < old.startMs + HOUR_MS) return old;
  const fresh = { startMs: nowMs, count: 0 };
  state.used.set(name, fresh);
  return fresh;
};

/** The fields that GitHub sends with every answer. */
export const rateHeaders = (
  state: LimitsState,
  { hourly }: Limits,
  { caller, nowMs }: { readonly caller: Caller; readonly nowMs: number },
): Headers => {
  const { count, startMs } = windowOf(state, caller, nowMs);
  return {
    'x-ratelimit-limit': String(hourly),
    'x-ratelimit-remaining': String(Math.max(0, hourly - count)),
    'x-ratelimit-used': String(Math.min(count, hourly)),
    'x-ratelimit-reset': String(Math.ceil((startMs + HOUR_MS) / 1000)),
    'x-ratelimit-resource': 'core',
  };
};

/** Counts a request; throws 403 when the hour is used up. */
export const countRequest = (
  state: LimitsState,
  limits: Limits,
  { caller, nowMs }: { readonly caller: Caller; readonly nowMs: number },
): void => {
  const window = windowOf(state, caller, nowMs);
  if (window.count < limits.hourly) {
    window.count += 1;
    return;
  }
  throw primary(caller, rateHeaders(state, limits, { caller, nowMs }));
};

/** A 304 costs nothing. */
export const uncount = (state: LimitsState, caller: Caller, nowMs: number): void => {
  windowOf(state, caller, nowMs).count -= 1;
};

const primary = (caller: Caller, headers: Headers): HubError =>
  new HubError(
    403,
    {
      message: `API rate limit exceeded for ${nameOf(caller)}.`,
      documentation_url: 'https://docs.github.com/rest/overview/rate-limits-for-the-rest-api',
      status: '403',
    },
    headers,
  );

const secondary = (retryAfterS: number | null): HubError =>
  new HubError(
    403,
    {
      message:
        'You have exceeded a secondary rate limit. Please wait a few minutes before you try again. If you reach out to GitHub Support for help, please include the request ID.',
      documentation_url:
        'https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits',
      status: '403',
    },
    retryAfterS === null ? {} : { 'retry-after': String(retryAfterS) },
  );

/** Counts a content write; throws GitHub's secondary limit above its bounds. */
export const countWrite = (
  hub: Hub,
  limits: Limits,
  write: { readonly method: string; readonly path: string },
): void => {
  const atMs = hub.now();
  const since = (spanMs: number): number =>
    hub.writes.filter((each) => each.atMs > atMs - spanMs).length;
  if (since(MINUTE_MS) >= limits.writesAMinute) throw secondary(60);
  if (since(HOUR_MS) >= limits.writesAnHour) throw secondary(600);
  hub.writes.push({ ...write, atMs });
};

export const tooMany = (state: LimitsState, limits: Limits): HubError | null =>
  state.running > limits.concurrent ? secondary(60) : null;

export interface Trouble {
  readonly waitMs: number;
  readonly refusal: HubError | null;
  readonly cut: 'before' | 'after' | null;
  /** In place of the answer; 0: none. */
  readonly bytes: number;
}

/** What the faults that tests asked for do to this request. */
export const troubleFor = (
  state: LimitsState,
  request: { readonly method: string; readonly path: string },
  nowMs: number,
): Trouble => {
  const found = state.faults.find(
    ({ fault, left }) =>
      left > 0 &&
      (fault.method === undefined || fault.method === request.method) &&
      (fault.path === undefined || fault.path.test(request.path)),
  );
  if (found === undefined) return { waitMs: 0, refusal: null, cut: null, bytes: 0 };
  found.left -= 1;
  const { kind } = found.fault;
  if ('slowMs' in kind) return { waitMs: kind.slowMs, refusal: null, cut: null, bytes: 0 };
  if ('bytes' in kind) return { waitMs: 0, refusal: null, cut: null, bytes: kind.bytes };
  if ('lost' in kind) return { waitMs: 0, refusal: null, cut: 'after', bytes: 0 };
  if ('reset' in kind) return { waitMs: 0, refusal: null, cut: 'before', bytes: 0 };
  if ('status' in kind) {
    const message = kind.body ?? 'Server Error';
    const refusal = new HubError(kind.status, { message }, kind.headers ?? {});
    return { waitMs: 0, refusal, cut: null, bytes: 0 };
  }
  if ('secondary' in kind) {
    return { waitMs: 0, refusal: secondary(kind.secondary.retryAfterS), cut: null, bytes: 0 };
  }
  const reset = String(Math.ceil(nowMs / 1000) + kind.primary.resetInS);
  const headers = {
    'x-ratelimit-limit': '5000',
    'x-ratelimit-remaining': '0',
    'x-ratelimit-reset': reset,
  };
  return { waitMs: 0, refusal: primary({ kind: 'nobody' }, headers), cut: null, bytes: 0 };
};
