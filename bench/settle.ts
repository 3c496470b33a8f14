// Says in the ledger that every job's version settled, as after some hours, each at the commit that
// brought it in, as the product's own records do. A process of its own (support/settled.ts): it reads
// the whole cluster, and what forks afterwards, as whoever starts a git does, would pay for that
// memory each time. In: a repository, as an argument. Out: HEAD, as a message.

import { ASK_ROUNDS } from '../reconciler/config.ts';
import { asks, compile } from '../reconciler/desired/compile.ts';
import { createMemo } from '../reconciler/desired/memo.ts';
import { createGitSource } from '../reconciler/edge/git/source.ts';
import type { LedgerRecord } from '../schema/ledger.ts';
import type { Settled } from './support/settled.ts';

const main = async (): Promise<void> => {
  const [repository = ''] = process.argv.slice(2);
  const tell = (message: Settled): void => void process.send?.(message);
  const problem = (_: object, text: string): void => tell({ kind: 'problem', text });
  const source = createGitSource({
    repository,
    branch: 'main',
    directory: '',
    cluster: 'bench',
    log: { info: () => {}, warn: problem, error: problem },
    cacheDir: repository,
  });
  const memo = createMemo();
  let tree = await source.read();
  for (let round = 0; round < ASK_ROUNDS; round += 1) {
    tree = await source.complete(tree, asks(tree, memo));
  }
  const { oid } = tree.head;
  const records = compile(tree, memo).jobs.map(({ id, spec, deployment, commit }): LedgerRecord => {
    const { oid: introduced, ...words } = commit;
    const { specHash } = spec;
    const version = { job: id, specHash, deployment, commit: introduced };
    return { kind: 'settled', ...version, ...words, digests: [] };
  });
  await source.record([...records, { kind: 'synced', commit: oid }]);
  source.close();
  tell({ kind: 'settled', commit: oid });
  process.disconnect();
};

await main();
