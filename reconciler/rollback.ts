// What a job would go back to when a person says so, settled or not (rules 6.3).
// In: the tree, the job, how to read its history. Out: a RevertTarget. For a version that has
// settled, the same question is asked as if it had not: then the newest settled version before it
// is the answer. Not here: the commit.

import { asks, compile } from './desired/compile.ts';
import type { RevertTarget } from '../schema/desired.ts';
import type { Asks, SourceTree } from '../schema/source.ts';
import { ASK_ROUNDS } from './config.ts';
import { asksPast } from './cycle.ts';

export interface RollbackAsk {
  readonly tree: SourceTree;
  /** `<namespace>/<job>`. */
  readonly job: string;
  readonly complete: (tree: SourceTree, asks: Asks) => Promise<SourceTree>;
}

export const rollbackTarget = async (ask: RollbackAsk): Promise<RevertTarget> => {
  const at = compile(ask.tree).jobs.find(({ id }) => id === ask.job);
  if (at === undefined) return { kind: 'impossible', why: `there is no job ${ask.job} at HEAD` };
  const { specHash } = at.spec;
  let tree: SourceTree = {
    ...ask.tree,
    histories: new Map(),
    ledger: ask.tree.ledger.filter(
      (record) =>
        record.kind !== 'settled' || record.job !== ask.job || record.specHash !== specHash,
    ),
  };
  for (let round = 0; round < ASK_ROUNDS; round += 1) {
    const wanted = asks(tree);
    if (!asksPast(wanted)) break;
    tree = await ask.complete(tree, wanted);
  }
  const job = compile(tree).jobs.find(({ id }) => id === ask.job);
  return job?.revert ?? { kind: 'impossible', why: `there is no job ${ask.job} at HEAD` };
};
