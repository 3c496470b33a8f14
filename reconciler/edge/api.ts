// What programs ask the reconciler over HTTP: `GET /v1/services`, once, or as a stream of events.
// In: the answer and a call after every change. Out: a listener for servers. Whoever follows is
// given the newest answer at its own speed, never a queue of old ones. Not here: where it listens
// (api-server.ts), what the answer says (reconciler/live/catalogue.ts).

import type { IncomingMessage, ServerResponse } from 'node:http';
import { ServerError } from 'nice-grpc';
import type { ServicesAnswer } from '../../schema/services.ts';
import type { Ms } from '../../schema/spec.ts';
import type { LogPort } from '../ports.ts';
import { FOLLOWERS, FOLLOWERS_PER_TOKEN } from './door/limits.ts';
import { sparing } from './door/sparing.ts';
import { createTurns } from './door/turns.ts';
import { type Answer, createUnread } from './door/unread.ts';

export interface ApiOptions {
  /** null: the repository was not read yet. */
  readonly services: () => ServicesAnswer | null;
  /** Why others are to be asked, in words; null: they are not. Who follows is let go then. */
  readonly elsewhere: () => string | null;
  /** Calls back after every change; returns the way to stop. */
  readonly changes: (listener: () => void) => () => void;
  readonly log: LogPort;
  readonly now: () => Ms;
}

/** Who asks, by what it shows: somebody, or nobody that may look. */
export type Caller =
  | { readonly bearer: string }
  | { readonly status: 401 | 403; readonly why: string };

/** Asked again while a caller follows. */
export type Allows = (authorization: string | undefined) => Caller;

/** Who may open the socket. */
export const OWNER = { bearer: 'the owner' } as const satisfies Caller;

export interface Api {
  readonly serve: (request: IncomingMessage, response: ServerResponse, allows: Allows) => void;
  readonly close: () => void;
}

/** A line that says nothing, so that proxies and callers know that the other end lives. */
const ALIVE_EVERY_MS = 15_000;
/** So many times as long as an answer took no other is made, but never longer than that. */
const REST_TIMES = 3;
const REST_MAX_MS = 1000;

export const createApi = (given: ApiOptions): Api => {
  const options = { ...given, log: sparing(given.log, given.now) };
  const feed = createFeed(options);
  const unread = createUnread(options);
  const turns = createTurns();
  return {
    close: feed.close,
    serve: (request, response, allows) => {
      const caller = allows(request.headers.authorization);
      if ('why' in caller) return fail(response, caller.status, caller.why);
      const { bearer } = caller;
      const path = pathOf(request.url);
      const address = `${request.socket.remoteAddress ?? ''}:${request.socket.remotePort ?? 0}`;
      unread.watch(answerOf(request, response), { bearer, path, address });
      if (path !== '/v1/services') {
        return fail(response, 404, `there is nothing at ${path}: ask for /v1/services`);
      }
      if (request.method !== 'GET') {
        response.setHeader('allow', 'GET');
        return fail(response, 405, 'only GET is answered');
      }
      const elsewhere = options.elsewhere();
      if (elsewhere !== null) return fail(response, 503, elsewhere);
      if ((request.headers.accept ?? '').includes('text/event-stream')) {
        const isAllowed = (): boolean => 'bearer' in allows(request.headers.authorization);
        return feed.follow(response, { bearer, isAllowed });
      }
      turns
        .take(bearer, async () => textOf(options))
        .then((text) => {
          if (text === null) fail(response, 503, NOT_READ);
          else answer(response, 200, text);
        })
        .catch((error: unknown) => {
          const isBusy = error instanceof ServerError;
          if (!isBusy) options.log.error({ error: String(error) }, 'the API could not answer');
          fail(response, isBusy ? 429 : 500, isBusy ? error.details : 'see the reconciler’s log');
        });
    },
  };
};

/** Without what stands behind `?`; what is no path is none of ours. */
const pathOf = (url = '/'): string => url.replace(/[?#].*$/s, '');

/** It ends with its connection, and with it what was asked behind it. */
const answerOf = ({ socket }: IncomingMessage, response: ServerResponse): Answer => ({
  waiting: () => (socket.destroyed ? 0 : response.writableLength),
  sent: () => socket.bytesWritten,
  end: () => socket.destroy(),
  onClose: (listener) => void response.once('close', listener),
});

const NOT_READ = 'the reconciler has not read its repository yet: try again in a moment';

const textOf = ({ services }: ApiOptions): string | null => {
  const now = services();
  return now === null ? null : JSON.stringify(now);
};

const fail = (response: ServerResponse, status: number, error: string): void => {
  if (status === 401) response.setHeader('www-authenticate', 'Bearer');
  // Whoever asks for what there is not begins anew, and is counted at the door.
  response.setHeader('connection', 'close');
  answer(response, status, JSON.stringify({ error }));
};

const answer = (response: ServerResponse, status: number, text: string): void => {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(`${text}\n`);
};

interface Follower {
  readonly bearer: string;
  readonly give: (text: string) => void;
  readonly beat: () => void;
  readonly end: () => void;
}

interface Following {
  readonly bearer: string;
  readonly isAllowed: () => boolean;
}

/** One answer is made for all that follow, when something changed. */
const createFeed = (options: ApiOptions) => {
  const followers = new Set<Follower>();
  let last: string | null = null;
  let timer: NodeJS.Timeout | null = null;
  let restUntil = 0;
  const make = (): void => {
    timer = null;
    // What they were told is as old as this: they find somebody who knows.
    if (options.elsewhere() !== null) {
      for (const follower of followers) follower.end();
      return;
    }
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
    follow: (response: ServerResponse, { bearer, isAllowed }: Following): void => {
      if (followers.size >= FOLLOWERS) {
        return fail(response, 503, `${FOLLOWERS} callers follow already: try again later`);
      }
      const its = [...followers].filter((other) => other.bearer === bearer).length;
      if (bearer !== OWNER.bearer && its >= FOLLOWERS_PER_TOKEN) {
        const why = `${FOLLOWERS_PER_TOKEN} callers follow with this token already`;
        options.log.warn({ bearer, why }, 'a caller was refused');
        return fail(response, 429, `${why}: make a token for each program`);
      }
      const follower = { bearer, ...createFollower(response, isAllowed) };
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

const createFollower = (
  response: ServerResponse,
  isAllowed: () => boolean,
): Omit<Follower, 'bearer'> => {
  /** The newest answer, which waits until the one before was taken. */
  let waiting: string | null = null;
  let isFull = false;
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  response.flushHeaders();
  const write = (text: string): void => {
    isFull = !response.write(text);
  };
  const isOver = (): boolean => {
    if (isAllowed()) return false;
    response.destroy();
    return true;
  };
  response.on('drain', () => {
    isFull = false;
    const text = waiting;
    waiting = null;
    if (text !== null) write(eventOf(text));
  });
  return {
    give: (text) => {
      if (isOver()) return;
      if (isFull) waiting = text;
      else write(eventOf(text));
    },
    beat: () => {
      if (!isOver() && !isFull) write(': alive\n\n');
    },
    end: () => void response.end(),
  };
};

/** JSON has no line breaks of its own. */
const eventOf = (text: string): string => `event: services\ndata: ${text}\n\n`;
