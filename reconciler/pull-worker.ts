// The thread in which pull requests are planned: what strangers write may cost time and memory
// here, and the loop goes on. In: messages of the main thread. Out: plans. Not here: the plan
// (pull-plan), limits and starting anew (edge/pull-plans).

import { parentPort, workerData } from 'node:worker_threads';
import { createPullReader } from './edge/git/pulls.ts';
import type { Auth } from './edge/git/remote.ts';
import { createLiveReceiver } from './edge/live-parts.ts';
import type { FromPullWorker, PullWorkerData, ToPullWorker } from './edge/pull-messages.ts';
import { createRegistry } from './edge/registry.ts';
import { createPullPlanner } from './pull-plan.ts';

const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };

const main = (data: PullWorkerData): void => {
  const { source, registryCredentials: credentials, insecureRegistries: insecure } = data;
  const say = (message: FromPullWorker): void => parentPort?.postMessage(message);
  const waiting: { resolve: (auth: Auth) => void; reject: (error: Error) => void }[] = [];
  const auth = (): Promise<Auth> =>
    new Promise((resolve, reject) => {
      waiting.push({ resolve, reject });
      say({ kind: 'auth' });
    });
  const plan = createPullPlanner({
    reader: createPullReader({ ...source, log: silent, ...(data.asksAuth ? { auth } : {}) }),
    registry: createRegistry({ credentials, insecure }),
    anonymous: createRegistry({ credentials: null, insecure }),
    now: () => performance.now(),
  });
  const receiver = createLiveReceiver();
  parentPort?.on('message', (message: ToPullWorker) => {
    switch (message.kind) {
      case 'copies':
        return receiver.take(message.part);
      case 'plan': {
        const { kind: _, live: part, ...asked } = message;
        void plan({ ...asked, live: receiver.live(part) }).then((made) => {
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
