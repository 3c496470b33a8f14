// Plans of pull requests, worked out in a thread of their own, which is kept warm. In: base, head,
// what is live. Out: PullPlan. The thread has limits on time and memory; when it dies by one of
// them the pull request's plan says so, and the next ask starts another. The main thread only
// copies what changed in the cluster, in small parts. Not here: the plan (../pull-plan).

import { setImmediate as pause } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { PullPlan } from '../../schema/pull-plan.ts';
import type { PullPlansPort } from '../ports.ts';
import { messageOf } from './git/failure.ts';
import type { Step } from './git/step.ts';
import type { Auth } from './git/remote.ts';
import type { LiveSender } from './live-parts.ts';
import { createLiveSender } from './live-parts.ts';
import type { FromPullWorker, PullWorkerData, ToPullWorker } from './pull-messages.ts';

/** Warm, 20 jobs of 10,000 take half a second, and a pull request of all of them some ten. */
const PLAN_MS = 60_000;
/** The first plan of a thread reads the whole cluster and its history first. */
const COLD_PLAN_MS = 180_000;
/** 10,000 jobs with 30,000 copies take about 1 GiB. */
const MEMORY_MIB = 2048;
/** Of new objects, as the reconciler itself has it: with less, a plan's pass for old ones. */
const YOUNG_MIB = 96;
/** Nobody opened or pushed a pull request for so long: the memory is given back. */
const IDLE_MS = 30 * 60_000;

export interface PullPlansOptions extends Omit<PullWorkerData, 'asksAuth'> {
  /** A login for http(s), asked before each fetch; null: what the URL holds, or none. */
  readonly auth: (() => Promise<Auth>) | null;
  /** What the main thread has walked of the branch, oldest first. Absent: the thread walks itself. */
  readonly walked?: () => readonly Step[];
  readonly planMs?: number | null;
  readonly memoryMib?: number;
  /** The bundled thread, where it lies elsewhere. */
  readonly entry?: URL;
}

type Ask = Parameters<PullPlansPort['plan']>[0];

export const createPullPlans = (options: PullPlansOptions): PullPlansPort => {
  let thread: Thread | null = null;
  let turn: Promise<unknown> = Promise.resolve();
  let idle: NodeJS.Timeout | null = null;
  let isClosed = false;
  const drop = async (): Promise<void> => {
    const old = thread;
    thread = null;
    if (idle !== null) clearTimeout(idle);
    await old?.end();
  };
  const planNow = async (ask: Ask): Promise<PullPlan> => {
    const { base, head } = ask;
    const failed = (message: string): PullPlan => ({ kind: 'failed', base, head, message });
    if (isClosed) return failed('the reconciler is stopping');
    if (idle !== null) clearTimeout(idle);
    thread ??= startThread(options);
    try {
      const made = await thread.plan(ask);
      idle = setTimeout(() => void drop(), IDLE_MS).unref();
      return made;
    } catch (error) {
      await drop();
      return failed(messageOf(error));
    }
  };
  return {
    // One at a time: two would need twice the memory, and the second is quick when the first is done.
    plan: (ask) => {
      const mine = turn.then(() => planNow(ask));
      turn = mine;
      return mine;
    },
    close: async () => {
      isClosed = true;
      await drop();
    },
  };
};

interface Thread {
  /** Throws when it took too long or too much. */
  readonly plan: (ask: Ask) => Promise<PullPlan>;
  readonly end: () => Promise<void>;
}

/** Set where all of the reconciler is one file (cli/reconciler-file.ts). */
declare const PURSER_ONE_FILE: true | undefined;

/** Bundled, it lies beside this very code, or is the same file. */
const ENTRY =
  typeof PURSER_ONE_FILE === 'undefined'
    ? new URL('./pull-worker.js', import.meta.url)
    : new URL(import.meta.url);

const startThread = (options: PullPlansOptions): Thread => {
  const { auth, memoryMib = MEMORY_MIB, planMs = null, entry = ENTRY, ...rest } = options;
  const { walked = () => [], ...data } = rest;
  const workerData: PullWorkerData = { ...data, asksAuth: auth !== null };
  const resourceLimits = {
    maxOldGenerationSizeMb: memoryMib,
    maxYoungGenerationSizeMb: YOUNG_MIB,
  };
  const worker = new Worker(entry, { workerData, resourceLimits, execArgv: [] });
  worker.unref();
  const post = (message: ToPullWorker): void => worker.postMessage(message);
  const sender = createLiveSender();
  let waiting: Waiting | null = null;
  let ended: string | null = null;
  let isWarm = false;
  const die = (why: string): void => {
    ended ??= why;
    waiting?.reject(new Error(ended));
    waiting = null;
  };
  worker.on('error', (error) => die(deathWords(error, memoryMib)));
  worker.on('exit', () => die('the thread that plans pull requests has ended'));
  worker.on('message', (message: FromPullWorker) => {
    if (message.kind === 'auth') return void answerAuth(auth, post);
    waiting?.resolve(message.plan);
    waiting = null;
  });
  return {
    plan: async (ask) => {
      const limitMs = planMs ?? (isWarm ? PLAN_MS : COLD_PLAN_MS);
      const limit = setTimeout(() => {
        die(`it took longer than ${limitMs / 1000} s to work out: make it smaller`);
        void worker.terminate();
      }, limitMs);
      worker.ref();
      try {
        const answer = new Promise<PullPlan>((resolve, reject) => {
          waiting = { resolve, reject };
        });
        // Who waits for it meets the failure below; until then nobody does.
        answer.catch(() => undefined);
        if (ended !== null) die(ended);
        if (!isWarm) await sendWalked(walked(), post);
        await send({ sender, post, ask });
        const plan = await answer;
        isWarm = true;
        return plan;
      } finally {
        clearTimeout(limit);
        worker.unref();
      }
    },
    end: async () => {
      await worker.terminate();
    },
  };
};

interface Waiting {
  readonly resolve: (plan: PullPlan) => void;
  readonly reject: (error: Error) => void;
}

interface Sending {
  readonly sender: LiveSender;
  readonly post: (message: ToPullWorker) => void;
  readonly ask: Ask;
}

const send = async ({ sender, post, ask }: Sending): Promise<void> => {
  const { base, head, fromFork, live, held } = ask;
  for (const part of sender.parts(live)) {
    post({ kind: 'copies', part });
    await pause();
  }
  const holds = held === undefined ? {} : { held };
  post({ kind: 'plan', base, head, fromFork, live: sender.head(live), ...holds });
};

/** Steps in one part: below a millisecond. */
const STEPS_AT_ONCE = 50;

const sendWalked = async (steps: readonly Step[], post: Sending['post']): Promise<void> => {
  const now = [...steps];
  for (let at = 0; at < now.length; at += STEPS_AT_ONCE) {
    post({ kind: 'walked', steps: now.slice(at, at + STEPS_AT_ONCE) });
    await pause();
  }
};

const answerAuth = async (auth: PullPlansOptions['auth'], post: Sending['post']): Promise<void> => {
  try {
    post({ kind: 'auth', auth: (await auth?.()) ?? { kind: 'none' } });
  } catch (error) {
    post({ kind: 'no-auth', message: messageOf(error) });
  }
};

const deathWords = (error: unknown, memoryMib: number): string =>
  error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY'
    ? `it needs more than ${memoryMib} MiB of memory to work out: make it smaller`
    : `the thread that plans pull requests failed: ${messageOf(error)}`;
