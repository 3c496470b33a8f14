// The thread in which pull requests are planned: what strangers write may cost time and memory
// here, and the loop goes on. In: messages of the main thread. Out: plans. Not here: the plan
// (pull-plan), limits and starting anew (edge/pull-plans).

import { readlinkSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import type { Step } from './edge/git/step.ts';
import { createPullReader, type PullReader } from './edge/git/pulls.ts';
import type { Auth } from './edge/git/remote.ts';
import { createKeep } from './edge/keep.ts';
import { createLiveReceiver } from './edge/live-parts.ts';
import type { FromPullWorker, PullWorkerData, ToPullWorker } from './edge/pull-messages.ts';
import { createRegistry } from './edge/registry.ts';
import { createPullPlanner } from './pull-plan.ts';
import { NOTHING_KEPT, type Kept } from '../schema/kept.ts';

const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** A repository that cannot be opened is told with the plan. */
const takeWalked = (reader: PullReader, steps: readonly Step[]): void => {
  try {
    reader.adopt(steps);
  } catch {
    // The line is walked here, then.
  }
};

/** As of `nice`, above the process's own: the loop goes before its pull requests. */
const LESS_URGENT = 10;
const LEAST_URGENT = 19;

/** Of this thread alone, which Linux knows by an id of its own. */
const yieldToLoop = (): void => {
  try {
    const thread = Number(/\d+$/.exec(readlinkSync('/proc/thread-self'))?.[0]);
    setPriority(thread, Math.min(LEAST_URGENT, getPriority(thread) + LESS_URGENT));
  } catch {
    // Not there, or not allowed: it works without, only the loop waits now and then.
  }
};

const main = (data: PullWorkerData): void => {
  yieldToLoop();
  const { source, registryCredentials: credentials, insecureRegistries: insecure } = data;
  const say = (message: FromPullWorker): void => parentPort?.postMessage(message);
  const waiting: { resolve: (auth: Auth) => void; reject: (error: Error) => void }[] = [];
  const auth = (): Promise<Auth> =>
    new Promise((resolve, reject) => {
      waiting.push({ resolve, reject });
      say({ kind: 'auth' });
    });
  const kept =
    data.keep === null ? NOTHING_KEPT : createKeep({ ...data.keep, log: silent }).recall();
  let texts: Kept['texts'] | null = kept.texts;
  const known = (blob: string): string | undefined => texts?.get(blob);
  const login = data.asksAuth ? { auth } : {};
  const reader = createPullReader({ ...source, known, log: silent, ...login });
  const plan = createPullPlanner({
    reader,
    documents: kept.documents,
    registry: createRegistry({ credentials, insecure }),
    anonymous: createRegistry({ credentials: null, insecure }),
    now: () => performance.now(),
  });
  const receiver = createLiveReceiver();
  parentPort?.on('message', (message: ToPullWorker) => {
    switch (message.kind) {
      case 'copies':
        return receiver.take(message.part);
      case 'walked':
        return takeWalked(reader, message.steps);
      case 'plan': {
        const { kind: _, live: part, ...asked } = message;
        void plan({ ...asked, live: receiver.live(part) }).then((made) => {
          texts = null;
          say({ kind: 'planned', plan: made });
        });
        return;
      }
      case 'auth':
        return waiting.shift()?.resolve(message.auth);
      case 'no-auth':
        return waiting.shift()?.reject(new Error(message.message));
    }
  });
};

main(workerData as PullWorkerData);
