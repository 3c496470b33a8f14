// Answers that wait for whoever asked: what nobody takes stays in memory, so it is bounded, of each
// bearer and of all, and whoever takes nothing for long is ended.
// In: answers on their way. Out: those that wait longest are ended, with a line in the log. Not here:
// what callers send (messages.ts).

import { listsOf } from '../../../schema/lists.ts';
import type { Ms } from '../../../schema/spec.ts';
import type { LogPort } from '../../ports.ts';
import { hostOf } from './address.ts';
import * as limits from './limits.ts';
import type { Call } from './messages.ts';

export interface UnreadOptions {
  readonly log: LogPort;
  readonly now: () => Ms;
}

/** What is on its way to a caller: a stream of HTTP/2, a response of HTTP. */
export interface Answer {
  /** Bytes that were not taken yet. */
  readonly waiting: () => number;
  /** Bytes that its connection has sent. */
  readonly sent: () => number;
  readonly end: () => void;
  /** Calls back when it is over. */
  readonly onClose: (listener: () => void) => void;
}

export interface Unread {
  readonly watch: (answer: Answer, call: Call) => void;
}

interface Watched {
  readonly answer: Answer;
  readonly call: Call;
  readonly bearer: string;
  bytes: number;
  /** Since when less than a trickle was taken; null: nothing waits. */
  since: Ms | null;
  /** What its connection had sent then. */
  sent: number;
}

const SESSION = '/purser.link.v1.LinkService/Session';

export const createUnread = ({ log, now }: UnreadOptions): Unread => {
  const sessions = new Set<Watched>();
  const others = new Set<Watched>();
  /** Those of which something waited at their last look: of thousands of sessions next to none. */
  const waiting = new Set<Watched>();
  let timer: NodeJS.Timeout | null = null;
  let looks = 0;
  const forget = (watched: Watched): void => {
    for (const some of [sessions, others, waiting]) some.delete(watched);
  };
  const end = (watched: Watched, why: string): void => {
    forget(watched);
    log.warn({ ...watched.call, bytes: watched.bytes, why }, 'a call was ended');
    watched.answer.end();
  };
  const lookAt = (watched: Watched, time: Ms): void => {
    observe(watched, time);
    if (watched.bytes > 0) waiting.add(watched);
    else waiting.delete(watched);
  };
  const look = (): void => {
    const time = now();
    looks += 1;
    for (const watched of others) lookAt(watched, time);
    // What waits for a runner is little, and there are many of them.
    if (looks % limits.UNREAD_SESSION_LOOKS === 0) {
      for (const watched of sessions) lookAt(watched, time);
    }
    for (const watched of waiting) {
      if (time - (watched.since ?? time) > limits.UNREAD_MS) end(watched, STALLED);
    }
    for (const watched of beyond([...waiting])) end(watched, TOO_MUCH);
  };
  return {
    watch: (answer, call) => {
      const bearer = call.bearer ?? hostOf(call.address);
      const watched: Watched = { answer, call, bearer, bytes: 0, since: null, sent: 0 };
      (call.path === SESSION ? sessions : others).add(watched);
      timer ??= setInterval(look, limits.UNREAD_LOOK_MS).unref();
      answer.onClose(() => {
        forget(watched);
        if (sessions.size + others.size > 0 || timer === null) return;
        clearInterval(timer);
        timer = null;
      });
    },
  };
};

const STALLED = 'its answer is not taken';
const TOO_MUCH = 'too many answers are not taken';

const observe = (watched: Watched, time: Ms): void => {
  const { answer, bytes: before, since } = watched;
  const bytes = answer.waiting();
  watched.bytes = bytes;
  if (bytes === 0) {
    watched.since = null;
    return;
  }
  const sent = answer.sent();
  const isTaken = bytes < before || sent - watched.sent > limits.UNREAD_TRICKLE_BYTES;
  if (since === null || isTaken) Object.assign(watched, { since: time, sent });
};

/** Those to end, of each bearer and of all: the longest wait first, and one of each may stay. */
const beyond = (waiting: readonly Watched[]): readonly Watched[] => {
  const total = waiting.reduce((sum, { bytes }) => sum + bytes, 0);
  if (total <= limits.UNREAD_BYTES_PER_BEARER) return [];
  const oldest = waiting.toSorted((a, b) => (a.since ?? 0) - (b.since ?? 0));
  const own = new Set(
    [...listsOf(oldest, ({ bearer }) => bearer).values()].flatMap((some) =>
      over(some, limits.UNREAD_BYTES_PER_BEARER),
    ),
  );
  const left = oldest.filter((one) => !own.has(one));
  return [...own, ...over(left, limits.UNREAD_BYTES)];
};

const over = (oldestFirst: readonly Watched[], most: number): readonly Watched[] => {
  let sum = oldestFirst.reduce((all, { bytes }) => all + bytes, 0);
  return oldestFirst.slice(0, -1).filter(({ bytes }) => {
    if (sum <= most) return false;
    sum -= bytes;
    return true;
  });
};
