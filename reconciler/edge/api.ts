// What programs ask the reconciler over HTTP: `GET /v1/services`, once, or as a stream of events.
// In: the answer and a call after every change. Out: a listener for servers. Whoever follows is
// given the newest answer at its own speed, never a queue of old ones. Not here: where it listens
// (api-server.ts), what the answer says (reconciler/live/catalogue.ts).

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServicesAnswer } from '../../schema/services.ts';

export interface ApiOptions {
  /** null: the repository was not read yet. */
  readonly services: () => ServicesAnswer | null;
  /** Calls back after every change; returns the way to stop. */
  readonly changes: (listener: () => void) => () => void;
}

export interface ApiRefusal {
  readonly status: 401 | 403;
  readonly why: string;
}

/** Why a caller may not look; null when it may. Asked again while it follows. */
export type Allows = (authorization: string | undefined) => ApiRefusal | null;

export interface Api {
  readonly serve: (request: IncomingMessage, response: ServerResponse, allows: Allows) => void;
  readonly close: () => void;
}

/** Callers that follow at once; each holds one answer at most. */
const FOLLOWERS_MAX = 1000;
/** A line that says nothing, so that proxies and callers know that the other end lives. */
const ALIVE_EVERY_MS = 15_000;
/** A follower that takes nothing for so long is gone. */
const STALLED_MS = 60_000;
/** So many times as long as an answer took no other is made, but never longer than that. */
const REST_TIMES = 3;
const REST_MAX_MS = 1000;

export const createApi = (options: ApiOptions): Api => {
  const feed = createFeed(options);
  return {
    close: feed.close,
    serve: (request, response, allows) => {
      const refused = allows(request.headers.authorization);
      if (refused !== null) return fail(response, refused.status, refused.why);
      const { pathname } = new URL(request.url ?? '/', 'http://purser');
      if (pathname !== '/v1/services') {
        return fail(response, 404, `there is nothing at ${pathname}: ask for /v1/services`);
      }
      if (request.method !== 'GET') {
        response.setHeader('allow', 'GET');
        return fail(response, 405, 'only GET is answered');
      }
      if ((request.headers.accept ?? '').includes('text/event-stream')) {
        const isAllowed = (): boolean => allows(request.headers.authorization) === null;
        return feed.follow(response, isAllowed);
      }
      const text = textOf(options);
      if (text === null) return fail(response, 503, NOT_READ);
      answer(response, 200, text);
    },
  };
};

const NOT_READ = 'the reconciler has not read its repository yet: try again in a moment';

const textOf = ({ services }: ApiOptions): string | null => {
  const now = services();
  return now === null ? null : JSON.stringify(now);
};

const fail = (response: ServerResponse, status: number, error: string): void => {
  if (status === 401) response.setHeader('www-authenticate', 'Bearer');
  answer(response, status, JSON.stringify({ error }));
};

const answer = (response: ServerResponse, status: number, text: string): void => {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(`${text}\n`);
};

interface Follower {
  readonly give: (text: string) => void;
  readonly beat: () => void;
}

/** One answer is made for all that follow, when something changed. */
const createFeed = (options: ApiOptions) => {
  const followers = new Set<Follower>();
  let last: string | null = null;
  let timer: NodeJS.Timeout | null = null;
  let restUntil = 0;
  const make = (): void => {
    timer = null;
    const began = performance.now();
    const text = textOf(options);
    const now = performance.now();
    restUntil = now + Math.min(REST_TIMES * (now - began), REST_MAX_MS);
    if (text === null || text === last) return;
    last = text;
    for (const follower of followers) follower.give(text);
  };
  const stop = options.changes(() => {
    if (followers.size === 0 || timer !== null) return;
    timer = setTimeout(make, Math.max(0, restUntil - performance.now()));
  });
  const beating = setInterval(() => {
    for (const follower of followers) follower.beat();
  }, ALIVE_EVERY_MS).unref();
  return {
    follow: (response: ServerResponse, isAllowed: () => boolean): void => {
      if (followers.size >= FOLLOWERS_MAX) {
        return fail(response, 503, `${FOLLOWERS_MAX} callers follow already: try again later`);
      }
      const follower = createFollower(response, isAllowed);
      followers.add(follower);
      response.once('close', () => followers.delete(follower));
      // What was made for others may be older than what is known.
      last = textOf(options) ?? last;
      if (last !== null) follower.give(last);
    },
    close: (): void => {
      stop();
      clearInterval(beating);
      if (timer !== null) clearTimeout(timer);
    },
  };
};

const createFollower = (response: ServerResponse, isAllowed: () => boolean): Follower => {
  /** The newest answer, which waits until the one before was taken. */
  let waiting: string | null = null;
  let fullSince: number | null = null;
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  response.flushHeaders();
  const write = (text: string): void => {
    fullSince = response.write(text) ? null : performance.now();
  };
  const isOver = (): boolean => {
    const isStalled = fullSince !== null && performance.now() - fullSince > STALLED_MS;
    if (isAllowed() && !isStalled) return false;
    response.destroy();
    return true;
  };
  response.on('drain', () => {
    fullSince = null;
    const text = waiting;
    waiting = null;
    if (text !== null) write(eventOf(text));
  });
  return {
    give: (text) => {
      if (isOver()) return;
      if (fullSince === null) write(eventOf(text));
      else waiting = text;
    },
    beat: () => {
      if (!isOver() && fullSince === null) write(': alive\n\n');
    },
  };
};

/** JSON has no line breaks of its own. */
const eventOf = (text: string): string => `event: services\ndata: ${text}\n\n`;
