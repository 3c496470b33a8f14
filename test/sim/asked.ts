// A person asks what an edit would do, before anybody commits it: the way of `purser plan` against a
// running cluster.
// In: a world, an edit. Out: how many copies it would start, and whether the cluster is as it was.
// The snapshot crosses the socket as text; the registry is asked for what is a plain tag.
// Not here: reading a working directory (cli/change-tree), words (reconciler/render).

import type { View } from '../../reconciler/cycle.ts';
import { changedTree, preview } from '../../reconciler/preview.ts';
import { summarize } from '../../reconciler/render/summary.ts';
import { sha256 } from '../../schema/hash.ts';
import { fromJson, toJson, type Snapshot } from '../../schema/snapshot.ts';
import type { CommitInfo, SourceTree } from '../../schema/source.ts';
import { answerHistories, textFile } from '../support/tree.ts';
import { jobFile, pushImage, type JobDraft } from './drafts.ts';
import { createProcess } from './process.ts';
import type { World } from './world.ts';

export interface Question {
  readonly job: string;
  readonly change: Partial<JobDraft>;
}

export interface Asked {
  /** Copies that the edit would start, in all waves. */
  readonly starts: number;
  /** What was looked at: the tree with the edit. */
  readonly tree: SourceTree;
  /** Whether no order, no record and no commit came since. */
  readonly isUntouched: () => boolean;
}

export const askForPlan = async (world: World, { job, change }: Question): Promise<Asked> => {
  const { time, human, registry } = world;
  const process = createProcess(time, 'purser plan');
  const before = traceOf(world);
  const view = world.view();
  const draft = human.intent().jobs.get(job);
  if (view === null || draft === undefined) throw new Error(`There is no ${job} to ask about.`);
  const edited = { ...draft, ...change };
  const snapshot = snapshotOf(view);
  const file = textFile(jobFile(edited, pushImage(registry, edited)));
  const head = onTopOf(snapshot.tree.head, file.blob);
  const files = new Map(snapshot.tree.files).set(edited.path, file);
  const tree = changedTree(snapshot.tree, head, files);
  const past = human.repo.commits.map(({ info, files: then }) => ({ commit: info, files: then }));
  const resolve = registry.port(process).resolve;
  const source = {
    complete: (asked: SourceTree, asks: Parameters<typeof answerHistories>[2]) =>
      process.call('histories', HISTORIES_MS, () =>
        answerHistories([...past, { commit: head, files }], asked, asks),
      ),
    resolve,
  };
  const { jobs } = summarize(await preview({ snapshot, change: tree, source }));
  const starts = jobs.reduce((sum, one) => sum + one.starts, 0);
  return { starts, tree, isUntouched: () => traceOf(world) === before };
};

const HISTORIES_MS = 50;

/** As it comes over the control socket. */
const snapshotOf = ({ tree, live }: View): Snapshot => {
  const { differences: _differences, ...plain } = tree;
  const taken = { format: 1, tree: plain, live, takenAt: '2026-01-01T00:00:00Z' };
  return fromJson(toJson(taken)) as Snapshot;
};

const onTopOf = (parent: CommitInfo, blob: string): CommitInfo => ({
  ...parent,
  oid: sha256(`${parent.oid} ${blob}`).slice(0, 40),
  parent: parent.oid,
  message: 'uncommitted edits',
  trailers: [],
});

/** What the cluster was told so far. */
const traceOf = ({ human, nodes }: World): string =>
  [
    `${human.repo.commits.length} commits, ${human.repo.ledger.length} records`,
    ...[...nodes].map(([name, { disk }]) => `${name} at ${disk.orders?.generation}`),
  ].join(', ');
