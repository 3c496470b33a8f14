// Rules 1.1 and 2.3 over random lines of versions that come, go, come back and are thrown away:
// what a reconciler works out on its way, with what the ledger says, is what a walk over the whole
// line says that knows nothing of either.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { asks, compile } from '../../reconciler/desired/compile.ts';
import { createMemo, type CompileMemo } from '../../reconciler/desired/memo.ts';
import type { DesiredJob } from '../../schema/desired.ts';
import type { LedgerRecord } from '../../schema/ledger.ts';
import type { SourceTree } from '../../schema/source.ts';
import {
  answerHistories,
  digestOf,
  failedMark,
  settledMark,
  story,
  touchedBetween,
  treeOf,
  type Change,
  type Snapshot,
  type Story,
} from '../support/tree.ts';

/** What one commit says; the version is worked out from it by hand (`versionsOn`). */
interface Said {
  readonly job: 'a' | 'b' | 'mounts' | 'broken' | 'gone';
  readonly count: number;
  readonly config: string;
  readonly cpu: number;
}

interface Turn {
  /** Commits that are pushed at once. */
  readonly pushes: readonly Partial<Said>[];
  /** Before that, so many commits are thrown away. */
  readonly throws: number;
  /** What became of the version that a reconciler then saw. */
  readonly ends: 'settled' | 'failed' | 'nothing';
  readonly syncs: boolean;
  /** Another reconciler looks, which knows nothing but the repository. */
  readonly restarts: boolean;
}

const said: fc.Arbitrary<Partial<Said>> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ job: fc.constantFrom('a', 'b', 'mounts') }) },
  { weight: 2, arbitrary: fc.record({ job: fc.constantFrom('broken', 'gone') }) },
  { weight: 1, arbitrary: fc.record({ count: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 2, arbitrary: fc.record({ config: fc.constantFrom('x', 'y') }) },
  { weight: 1, arbitrary: fc.record({ cpu: fc.integer({ min: 1, max: 2 }) }) },
) as fc.Arbitrary<Partial<Said>>;

const turns: fc.Arbitrary<readonly Turn[]> = fc.array(
  fc.record({
    pushes: fc.array(said, { minLength: 1, maxLength: 3 }),
    throws: fc.oneof(
      { weight: 4, arbitrary: fc.constant(0) },
      { weight: 1, arbitrary: fc.integer({ min: 1, max: 3 }) },
    ),
    ends: fc.constantFrom('settled', 'settled', 'failed', 'nothing'),
    syncs: fc.boolean(),
    restarts: fc.boolean(),
  }),
  { minLength: 2, maxLength: 7 },
);

const WEB = 'jobs/shop/web.yaml';
const FIRST: Said = { job: 'a', count: 1, config: 'x', cpu: 1 };

const filesOf = ({ job, count, config, cpu }: Said): Change => ({
  'cluster.yaml':
    'name: home\npolicies: {registries: [r.example]}\n' +
    `defaults: {resources: {cpu: ${cpu * 100}m}}\n`,
  'configs/x': config,
  // An emptied tree is another story (rules 1.3).
  'jobs/shop/other.yaml': `image: r.example/other:1@${digestOf('other')}\n`,
  [WEB]:
    job === 'gone'
      ? null
      : job === 'broken'
        ? 'image: [\n'
        : `image: r.example/web:1@${digestOf(job)}\ncount: ${count}\n` +
          (job === 'mounts' ? 'files: {/etc/x: configs/x}\n' : ''),
});

/** null: there is no job. What is broken keeps what stood there before (rules 1.3). */
const versionsOn = (line: readonly Said[]): readonly (string | null)[] => {
  const versions: (string | null)[] = [];
  for (const { job, config, cpu } of line) {
    const before = versions.at(-1) ?? null;
    if (job === 'gone') versions.push(null);
    else if (job === 'broken') versions.push(before);
    else versions.push(`${job} ${cpu} ${job === 'mounts' ? config : ''}`);
  }
  return versions;
};

/** Place of the newest commit at which HEAD's version differs from its parent's. */
const introducedOn = (line: readonly Said[]): number => {
  const versions = versionsOn(line);
  return versions.findLastIndex((version, at) => version !== versions[at - 1]);
};

interface World {
  line: readonly Said[];
  ledger: readonly LedgerRecord[];
  /** The line up to the last synced commit; null: none was. */
  synced: readonly Said[] | null;
  memo: CompileMemo;
}

/** A commit's id says what lies below it: lines that begin alike share their commits. */
const storyOf = (line: readonly Said[]): Story => {
  const known = stories.get(line);
  if (known !== undefined) return known;
  const made = story(...line.map((one) => ({ files: filesOf(one), message: JSON.stringify(one) })));
  stories.set(line, made);
  return made;
};

const stories = new WeakMap<readonly Said[], Story>();

const meetOf = (a: Story, b: Story): number =>
  a.findLastIndex(({ commit }, at) => b[at]?.commit.oid === commit.oid);

const treeIn = ({ line, ledger, synced }: World): SourceTree => {
  const commits = storyOf(line);
  const then = synced === null ? null : storyOf(synced);
  const last: Snapshot | undefined = then?.at(-1);
  const tree = treeOf(commits, { ledger });
  if (then === null || last === undefined) return { ...tree, touched: 'unknown' };
  const meet = meetOf(commits, then);
  const isHead = last.commit.oid === tree.head.oid;
  return {
    ...tree,
    touched: touchedBetween(commits, meet, then.slice(meet + 1)),
    lastSynced: isHead ? null : { commit: last.commit.oid, files: last.files },
  };
};

/** As the loop does; no digest is ever lacking here. */
const completed = (world: World, start: SourceTree, memo: CompileMemo): SourceTree => {
  let tree = start;
  for (let round = 0; round < 3; round += 1) {
    tree = answerHistories(storyOf(world.line), tree, asks(tree, memo));
  }
  return tree;
};

const jobIn = (tree: SourceTree, memo: CompileMemo): DesiredJob | null =>
  compile(tree, memo).jobs.find(
    ({ id, standing }) => id === 'shop/web' && standing.kind !== 'removed',
  ) ?? null;

const identity = (job: DesiredJob | null) =>
  job && [job.deployment, job.commit.oid, job.isRollback, job.sameAs];

/** What a reconciler sees now, checked against the walk; what it owes is written. */
const looked = (world: World): DesiredJob | null => {
  const tree = completed(world, treeIn(world), world.memo);
  const job = jobIn(tree, world.memo);
  expect(identity(jobIn(tree, createMemo()))).toEqual(identity(job));
  const expected = versionsOn(world.line).at(-1) ?? null;
  // Until its removal was synced, a job that is gone and comes back broken is kept (rules 1.3).
  const isKept = world.line.at(-1)?.job === 'broken' && world.synced !== null;
  if (expected === null && isKept) return null;
  if (expected === null) expect(job).toBeNull();
  else expect(job?.commit.oid).toBe(storyOf(world.line)[introducedOn(world.line)]?.commit.oid);
  world.ledger = [...world.ledger, ...compile(tree, world.memo).owed];
  return job;
};

const marksFor = (job: DesiredJob | null, ends: Turn['ends']): readonly LedgerRecord[] => {
  if (job === null || job.standing.kind !== 'head') return [];
  const isDue = !job.settled || job.isUnmarked === true;
  if (ends === 'settled') return isDue ? [settledMark(job)] : [];
  return ends === 'failed' && !job.settled ? [failedMark(job)] : [];
};

const played = (all: readonly Turn[]): void => {
  const world: World = { line: [FIRST], ledger: [], synced: null, memo: createMemo() };
  for (const { pushes, throws, ends, syncs, restarts } of all) {
    world.line = world.line.slice(0, Math.max(1, world.line.length - throws));
    for (const push of pushes) {
      world.line = [...world.line, { ...(world.line.at(-1) ?? FIRST), ...push }];
    }
    if (restarts) world.memo = createMemo();
    const job = looked(world);
    expect(identity(looked(world))).toEqual(identity(job));
    world.ledger = [...world.ledger, ...marksFor(job, ends)];
    const marked = looked(world);
    expect(identity(marked)?.slice(0, 2)).toEqual(identity(job)?.slice(0, 2));
    if (syncs) world.synced = world.line;
    expect(identity(looked(world))).toEqual(identity(marked));
    if (ends === 'settled' && marked?.standing.kind === 'head') {
      expect(world.ledger).toContainEqual(expect.objectContaining({ ...markOf(marked) }));
    }
  }
};

const markOf = ({ deployment, commit, spec }: DesiredJob) => ({
  kind: 'settled',
  specHash: spec.specHash,
  deployment,
  commit: commit.oid,
});

it('is the newest commit at which the version differs, whatever came before and in between', () => {
  fc.assert(fc.property(turns, played), { seed: 3, numRuns: 60 });
});
