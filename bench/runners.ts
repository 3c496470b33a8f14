// A process full of node runners (figures/many-runners.ts): the product's loops and links around a
// containerd in memory. In: folders, and nodes as NAME@ADDRESS, as arguments. Out: counts, when asked by a
// message. It ends with its parent. Not here: what is made of the counts.

import { setTimeout as sleep } from 'node:timers/promises';
import { startRunners, type RunnerCounts } from '../test/support/many-runners.ts';
import { costOf, type ProcessCost } from '../test/support/many-reconciler.ts';

export type ToRunners =
  | { readonly kind: 'counts' }
  | { readonly kind: 'mark'; readonly commit: string };

export interface FromRunners {
  readonly counts: RunnerCounts;
  readonly cost: ProcessCost;
}

/** After it the process ends, whatever still goes on. */
const END_MS = 3000;

const main = (): void => {
  const [cluster = '', root = '', ...words] = process.argv.slice(2);
  const nodes = words.map((word) => {
    const [name = '', address = ''] = word.split('@');
    return { name, address };
  });
  const runners = startRunners({ cluster, root, nodes });
  process.on('message', (message: ToRunners) => {
    if (message.kind === 'mark') runners.mark(message.commit);
    const answer: FromRunners = { counts: runners.counts(), cost: costOf(process.pid) };
    process.send?.(answer);
  });
  process.once('disconnect', () => {
    void Promise.race([runners.stop(), sleep(END_MS)]).finally(() => process.exit());
  });
};

main();
