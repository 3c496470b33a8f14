// Answers that wait for whoever asked: what nobody takes stays in memory, so it is bounded, of each
// bearer and of all, and whoever takes nothing for long is ended.
// In: answers on their way. Out: those that wait longest are ended, with a line in the log. Not here:
// what callers send (messages.ts).

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
  const open = new Set<Watched>();
  let timer: NodeJS.Timeout | null = null;
  let looks = 0;
  const end = (watched: Watched, why: string): void => {
    open.delete(watched);
    log.warn({ ...watched.call, bytes: watched.bytes, why }, 'a call was ended');
    watched.answer.end();
  };
  const look = (): void => {
    const time = now();
    looks += 1;
    for (const watched of open) {
      // What waits for a runner is little, and there are many of them.
      if (watched.call.path !== SESSION || looks % limits.UNREAD_SESSION_LOOKS === 0) {
        observe(watched, time);
      }
    }
    const waiting = [...open].filter(({ bytes }) => bytes > 0);
    for (const watched of waiting) {
      if (time - (watched.since ?? time) > limits.UNREAD_MS) end(watched, STALLED);
    }
    for (const watched of beyond(waiting.filter((one) => open.has(one)))) end(watched, TOO_MUCH);
  };
  return {
    watch: (answer, call) => {
      const bearer = call.bearer ?? hostOf(call.address);
      const watched: Watched = { answer, call, bearer, bytes: 0, since: null, sent: 0 };
      open.add(watched);
      timer ??= setInterval(look, limits.UNREAD_LOOK_MS).unref();
      answer.onClose(() => {
        open.delete(watched);
        if (open.size > 0 || timer === null) return;
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
  const oldest = waiting.toSorted((a, b) => (a.since ?? 0) - (b.since ?? 0));
  const bearers = [...new Set(oldest.map(({ bearer }) => bearer))];
  const own = bearers.flatMap((name) =>
    over(
      oldest.filter(({ bearer }) => bearer === name),
      limits.UNREAD_BYTES_PER_BEARER,
    ),
  );
  const left = oldest.filter((one) => !own.includes(one));
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
