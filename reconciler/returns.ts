// Commits by which a job came back to a version that had settled before (rules 2.5): what people
// look for after a revert.
// In: the tree, the job, how to read its history. Out: each such commit with the one that had
// brought the version in. Read off Git and the ledger when somebody asks: no pass needs it (rules 12.4).
// Not here: going back (rollback), words (cli).

import { asks, compile } from './desired/compile.ts';
import type { ReturnAnswer } from '../schema/control.ts';
import type { DesiredJob } from '../schema/desired.ts';
import type { LedgerRecord } from '../schema/ledger.ts';
import { kindOf } from '../schema/paths.ts';
import type { Asks, SourceTree } from '../schema/source.ts';
import { commitRef } from './desired/cluster.ts';
import { ASK_ROUNDS } from './config.ts';
import { asksPast } from './cycle.ts';

export interface ReturnsAsk {
  readonly tree: SourceTree;
  /** `<namespace>/<job>`. */
  readonly job: string;
  readonly complete: (tree: SourceTree, asks: Asks) => Promise<SourceTree>;
}

/** Newest first; those among the newest 50 changes of the job (rules 12.4). */
export const returnsOf = async (ask: ReturnsAsk): Promise<readonly ReturnAnswer[]> => {
  const { job } = ask;
  const tree = aloneIn(ask.tree, job);
  const path = `jobs/${job}.yaml`;
  const history = (await withHistory(ask, tree)).histories.get(path);
  const entries = history?.entries.toReversed() ?? [];
  // The record of a version may name the newest commit that it settled with: only one from before
  // these changes says where the version comes from.
  const oids = new Set(entries.map(({ commit }) => commit.oid));
  const older = tree.ledger.filter((one) => one.kind !== 'settled' || !oids.has(one.commit));
  const brought = new Map<string, string>();
  const returns: ReturnAnswer[] = [];
  let before: string | null = null;
  for (const { commit, files } of entries) {
    const then = { ...tree, head: commit, files, histories: new Map(), lastSynced: null };
    const found = jobIn(then, job);
    // Not valid: what was there before it counts on (rules 1.3).
    if (found === undefined && files.has(path)) continue;
    const specHash = found?.settled === true ? found.spec.specHash : null;
    if (specHash !== null && specHash !== before) {
      const first = brought.get(specHash) ?? settledWith(older, specHash);
      if (first !== null) returns.push({ job, commit: commitRef(commit), specHash, sameAs: first });
      brought.set(specHash, first ?? commit.oid);
    }
    before = specHash;
  }
  return returns.toReversed();
};

const jobIn = (tree: SourceTree, job: string): DesiredJob | undefined =>
  compile(tree).jobs.find(({ id }) => id === job);

/** Without all other jobs: looking at ten thousand takes seconds. */
const aloneIn = ({ differences: _differences, ...tree }: SourceTree, job: string): SourceTree => ({
  ...tree,
  files: new Map(
    [...tree.files].filter(([path]) => kindOf(path) !== 'job' || path === `jobs/${job}.yaml`),
  ),
  ledger: tree.ledger.filter((record) => !('job' in record) || record.job === job),
  histories: new Map(),
  changes: new Map(),
  lastSynced: null,
});

/** Only of a version that has not settled is the history asked for, with the files that form it. */
const withHistory = async (ask: ReturnsAsk, alone: SourceTree): Promise<SourceTree> => {
  let tree: SourceTree = {
    ...alone,
    ledger: alone.ledger.filter(({ kind }) => kind !== 'settled'),
  };
  for (let round = 0; round < ASK_ROUNDS; round += 1) {
    const wanted = asks(tree);
    if (!asksPast(wanted)) break;
    tree = await ask.complete(tree, wanted);
  }
  return tree;
};

const settledWith = (ledger: readonly LedgerRecord[], specHash: string): string | null => {
  const record = ledger.find((one) => one.kind === 'settled' && one.specHash === specHash);
  return record?.kind === 'settled' ? record.commit : null;
};
