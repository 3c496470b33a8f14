// `purser logs -f`: goes along with the copies of a job. One that comes joins, one that goes leaves
// with its last lines, and what was cut is opened again.
// In: which tasks, and where their lines go. Out: nothing; returns when the job is gone or on
// Ctrl-C. Not here: how a stream travels (attach.ts), which words name what (logs.ts).

import { setTimeout as sleep } from 'node:timers/promises';
import type { CopiesAnswer, CopiesArgument } from '../schema/control.ts';
import type { StreamAsk } from '../schema/streams.ts';
import { attach } from './attach.ts';
import { connect } from './client.ts';
import type { Common } from './command.ts';
import { CommandError, NoReconcilerError } from './command-error.ts';
import type { LineWriter } from './lines.ts';

export type Copy = CopiesAnswer['copies'][number];

export interface FollowOptions {
  readonly common: Common;
  readonly signal: AbortSignal;
  /** `<namespace>/<job>`. */
  readonly job: string;
  readonly wants: (copy: Copy, task: string) => boolean;
  /** What is wanted is one allocation: without it nothing is left to follow. */
  readonly once: boolean;
  /** Lines from the end, of the copies that are there already. */
  readonly tail: number;
  readonly writer: (copy: Copy, task: string) => LineWriter;
  readonly say: (text: string) => void;
}

/** Between two tries, where a stream or the reconciler is gone. */
const AGAIN_MS = 1000;
/** A runner ends the stream of a copy that is gone by itself; one that cannot is not waited for. */
const LAST_LINES_MS = 3000;

interface Stream {
  /** Its copy is gone: it is not opened again. */
  readonly leave: () => void;
  readonly ended: Promise<void>;
}

interface Following {
  readonly options: FollowOptions;
  readonly streams: Map<string, Stream>;
  /** Shown before: what they printed until then is not shown twice. */
  readonly seen: Set<string>;
  isFirst: boolean;
}

export const follow = async (options: FollowOptions): Promise<void> => {
  const following: Following = { options, streams: new Map(), seen: new Set(), isFirst: true };
  const { signal, say } = options;
  let said: string | null = null;
  while (!signal.aborted) {
    try {
      for await (const answer of watchCopies(options)) {
        said = null;
        if (!update(following, answer)) continue;
        await Promise.all([...following.streams.values()].map(({ ended }) => ended));
        return;
      }
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      const gone = error instanceof NoReconcilerError;
      const message = gone ? 'no reconciler answers: waiting for one' : error.message;
      if (message !== said) say(message);
      said = message;
    }
    await pause(signal);
  }
};

const watchCopies = async function* watchCopies({
  common,
  signal,
  job,
}: FollowOptions): AsyncGenerator<CopiesAnswer> {
  const control = await connect(common.socket);
  try {
    const argument: CopiesArgument = { job };
    yield* control.watch<CopiesAnswer>('copies', signal, argument);
  } finally {
    control.close();
  }
};

/** Joins and leaves; true when there is nothing more to wait for. */
const update = (following: Following, answer: CopiesAnswer): boolean => {
  const { options, streams, seen, isFirst } = following;
  const wanted = new Set<string>();
  for (const copy of answer.copies) {
    for (const task of copy.tasks.filter((name) => options.wants(copy, name))) {
      const key = `${copy.allocation}.${task}`;
      wanted.add(key);
      if (streams.has(key)) continue;
      const tail = isFirst ? options.tail : seen.has(key) ? 0 : null;
      if (!isFirst) options.say(`${slotOf(copy, task)}: joins, ${facts(copy)}`);
      seen.add(key);
      streams.set(key, open(following, { copy, task, tail }));
    }
  }
  following.isFirst = false;
  if (!answer.complete) return false;
  for (const [key, { leave }] of streams) if (!wanted.has(key)) leave();
  if (options.once && wanted.size === 0) return true;
  if (!answer.exists) options.say(`${options.job} is gone`);
  else if (wanted.size === 0 && streams.size === 0) options.say('no copies: waiting for one');
  return !answer.exists;
};

const slotOf = ({ group, index }: Copy, task: string) => `${group}[${index}] ${task}`;
const VERSION_LETTERS = 8;
const facts = ({ node, specHash }: Copy) =>
  `version ${specHash.slice(0, VERSION_LETTERS)} on ${node}`;

interface Place {
  readonly copy: Copy;
  readonly task: string;
  /** null: all that is kept. */
  readonly tail: number | null;
}

const open = (following: Following, place: Place): Stream => {
  const { options, streams } = following;
  const { copy, task } = place;
  const leaving = new AbortController();
  const cut = new AbortController();
  const ended = stream(options, place, {
    leaving: AbortSignal.any([options.signal, leaving.signal]),
    cut: AbortSignal.any([options.signal, cut.signal]),
  }).finally(() => {
    streams.delete(`${copy.allocation}.${task}`);
    if (!options.signal.aborted) options.say(`${slotOf(copy, task)}: ended, ${facts(copy)}`);
  });
  return {
    ended,
    leave: () => {
      if (leaving.signal.aborted) return;
      leaving.abort();
      setTimeout(() => cut.abort(), LAST_LINES_MS).unref();
    },
  };
};

interface Signals {
  readonly leaving: AbortSignal;
  readonly cut: AbortSignal;
}

/** One task of one copy until it leaves; opened again where it is cut. Never throws. */
const stream = async (
  { common, writer, say }: FollowOptions,
  { copy, task, tail }: Place,
  { leaving, cut }: Signals,
): Promise<void> => {
  const { node, allocation } = copy;
  const ask: StreamAsk = {
    kind: 'logs',
    node,
    allocation,
    task,
    tail,
    follow: true,
    previous: false,
  };
  const lines = writer(copy, task);
  let next: StreamAsk = ask;
  let said: string | null = null;
  do {
    try {
      await attach({ common, signal: cut, input: false, write: lines.write, ask: next });
      // Its log was removed. If the copy stays it was made anew, and so is its log.
      next = { ...ask, tail: null };
      said = null;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const isKnown = error instanceof NoReconcilerError || message === said;
      if (!isKnown) say(`${slotOf(copy, task)}: ${message}`);
      said = message;
      next = { ...ask, tail: 0 };
    }
    await lines.flush();
    await pause(leaving);
  } while (!leaving.aborted);
};

const pause = (signal: AbortSignal): Promise<void> =>
  sleep(AGAIN_MS, undefined, { signal }).catch(() => undefined);
