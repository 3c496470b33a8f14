// Random pull requests for laws of whole plans: files of a cluster, what runs there after a while,
// and what a change writes, by people who write more than they should.
// In: a seed's choices (fast-check). Out: the plan of the change, from files to what a check is made
// of. Not here: the laws (test/property/change-plans.test.ts).

import fc from 'fast-check';
import { createReader } from '../../reconciler/desired/read.ts';
import { observe } from '../../reconciler/live/observe.ts';
import { createMemos } from '../../reconciler/memos.ts';
import { plannedOf } from '../../reconciler/planned.ts';
import { changedTree, previewWith } from '../../reconciler/preview.ts';
import type { Planned } from '../../reconciler/render/plan-verdict.ts';
import type { Preview } from '../../schema/preview.ts';
import type { Heard } from '../../schema/live.ts';
import type { Files, SourceTree } from '../../schema/source.ts';
import { hostileText } from './markdown.ts';
import { answerHistories, digestOf, ready, story, type Change, type Story } from './tree.ts';
import { createCluster, heardBy, run } from './virtual-cluster.ts';
import { nodeNames } from './world.ts';

/** It stands where programs get their secrets from, and in no text ever. */
export const SECRET = 'hunter2Sup3rS3cretPassw0rd';

interface Job {
  readonly version: number;
  readonly isTag: boolean;
  readonly count: number;
  readonly memoryMiB: number;
  readonly order: 'stop-first' | 'start-first';
  readonly isPinned: boolean;
  readonly hasVolume: boolean;
  /** Written as a value of a label, a variable, an argument. */
  readonly said: string;
  readonly spoilt: (typeof SPOILT)[number] | null;
}

/** Lines that make a file invalid, some with a secret in the wrong place. */
const SPOILT = [
  'imagine: nothing',
  `environment: { PASSWORD: { value: ${SECRET} } }`,
  `environment: [ "PASSWORD ${SECRET}" ]`,
  `environment: { PASSWORD: "${SECRET} }`,
  `environment: { PASSWORD: &a ${SECRET}, OTHER: *b }`,
  `${SECRET}: { environment: 1`,
  'count: 7',
] as const;

/** Usually nothing: what is wrong in one place hides what the others do. */
const seldom = <Value>(value: fc.Arbitrary<Value>): fc.Arbitrary<Value | null> =>
  fc.oneof({ weight: 6, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: value });

const job: fc.Arbitrary<Job> = fc.record({
  version: fc.integer({ min: 1, max: 3 }),
  isTag: fc.boolean(),
  count: fc.integer({ min: 0, max: 5 }),
  memoryMiB: fc.constantFrom(64, 64, 900, 900, 2_000, 9_000),
  order: fc.constantFrom('stop-first', 'start-first'),
  isPinned: fc.integer({ min: 0, max: 5 }).map((roll) => roll === 0),
  hasVolume: fc.integer({ min: 0, max: 5 }).map((roll) => roll === 0),
  said: seldom(hostileText).map((text) => text ?? 'plain'),
  spoilt: seldom(fc.constantFrom(...SPOILT)),
});

const image = (tag: number): string => `reg.example/web:${tag}`;

const jobFile = (one: Job): string =>
  [
    `image: ${JSON.stringify(one.isTag ? image(one.version) : pinned(one.version))}`,
    `count: ${one.count}`,
    `ports: ${one.isPinned ? '{ http: { port: 80, host: 8080 } }' : '{ http: 80 }'}`,
    `resources: { cpu: 250m, memory: ${one.memoryMiB}MiB }`,
    `labels: { team: ${JSON.stringify(one.said)} }`,
    `command: [run, ${JSON.stringify(one.said)}]`,
    ...(one.spoilt?.startsWith('environment') === true
      ? []
      : [`environment: { SAID: ${JSON.stringify(one.said)}, KEY: "${SECRET}${one.version}" }`]),
    'env_file: configs/web.env',
    ...(one.hasVolume ? ['volumes: ["data:/data"]'] : []),
    `update: { order: ${one.order} }`,
    ...(one.spoilt === null ? [] : [one.spoilt]),
    '',
  ].join('\n');

const pinned = (tag: number): string => `${image(tag)}@${digestOf(image(tag))}`;

interface Cluster {
  readonly nodes: number;
  readonly drained: number | null;
  readonly quota: boolean;
  readonly isProtected: boolean;
  readonly jobs: readonly (Job | null)[];
  readonly env: number;
  readonly owners: string | null;
}

const NAMES = ['web', 'a-b', 'x'] as const;

const cluster: fc.Arbitrary<Cluster> = fc.record({
  nodes: fc.integer({ min: 1, max: 4 }),
  drained: seldom(fc.integer({ min: 1, max: 4 })),
  quota: fc.boolean(),
  isProtected: fc.integer({ min: 0, max: 4 }).map((roll) => roll === 0),
  jobs: fc.array(fc.option(job, { freq: 4 }), { minLength: 3, maxLength: 3 }),
  env: fc.integer({ min: 1, max: 2 }),
  owners: seldom(fc.constantFrom('* @ada @shop/team', '/jobs/shop/web.yaml b@ex.org')),
});

const filesOf = (one: Cluster): Change => ({
  'cluster.yaml': [
    'name: shop',
    'policies: { registries: [reg.example] }',
    ...(one.owners === null ? [] : [`owners: ${JSON.stringify(one.owners)}`]),
    '',
  ].join('\n'),
  'namespaces/shop.yaml': [
    `protected: ${one.isProtected}`,
    ...(one.quota ? ['quota: { cpu: "2", memory: 4GiB }'] : []),
    '',
  ].join('\n'),
  'configs/web.env': `TOKEN=${SECRET}${one.env}\n`,
  ...Object.fromEntries(
    nodeNames(one.nodes).map((name, at) => [
      `nodes/${name}.yaml`,
      `labels: { zone: ${at % 2 === 0 ? 'a' : 'b'} }\ndrain: ${one.drained === at + 1}\n`,
    ]),
  ),
  ...Object.fromEntries(
    one.jobs.flatMap((each, at) =>
      each === null ? [] : [[`jobs/shop/${NAMES[at] ?? 'web'}.yaml`, jobFile(each)]],
    ),
  ),
});

/** What the change leaves as it was is drawn too, so that most changes are small. */
const change = (before: Cluster): fc.Arbitrary<Cluster> =>
  fc
    .record({ other: cluster, jobs: fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }) })
    .chain(({ other, jobs }) =>
      fc.record({ settings: fc.integer({ min: 0, max: 3 }) }).map(({ settings }) => ({
        ...(settings === 0 ? other : before),
        jobs: before.jobs.map((one, at) => (jobs[at] === true ? (other.jobs[at] ?? null) : one)),
      })),
    );

/** A name of a file, as far as Git takes it. */
const oddName = hostileText.map((text) => text.replaceAll(/[\0/\n\r]/g, '') || 'odd');

export interface Pull {
  readonly before: Cluster;
  readonly after: Cluster;
  /** Runs for so long before the change comes. */
  readonly playedMs: number;
  /** A file of a name that no job may have. */
  readonly odd: string | null;
  readonly resolves: boolean;
}

export const pulls: fc.Arbitrary<Pull> = cluster.chain((before) =>
  fc.record({
    before: fc.constant(before),
    after: change(before),
    playedMs: fc.constantFrom(0, 4_000, 40_000),
    odd: seldom(oddName),
    resolves: fc.boolean(),
  }),
);

/** The cluster as it stands, and what a change makes of it. */
export interface Standing {
  readonly tree: SourceTree;
  readonly heard: Heard;
  readonly now: number;
  readonly commits: Story;
}

export const standingOf = ({ before, playedMs }: Pick<Pull, 'before' | 'playedMs'>): Standing => {
  const commits = story(filesOf(before));
  const first = ready(commits);
  const played = createCluster(first.desired);
  run(played, playedMs);
  const records = played.proposals.flatMap((one) => (one.kind === 'ledger' ? one.records : []));
  const { tree } = ready(commits, { ledger: [...first.ledger, ...records] });
  return { tree, heard: heardBy(played), now: played.now, commits };
};

export const changeOf = ({ before, after, odd }: Pull): Change => {
  const [old, next] = [filesOf(before), filesOf(after)];
  const gone = Object.keys(old).filter((path) => !(path in next));
  const extra = odd === null ? {} : { [`jobs/shop/${odd}.yaml`]: 'image: x\n' };
  return { ...Object.fromEntries(gone.map((path) => [path, null])), ...next, ...extra };
};

export interface Foreseen {
  readonly planned: Planned;
  readonly preview: Preview;
}

/** What a check is made of, for one change. */
export const foreseen = async (
  { tree, heard, now, commits }: Standing,
  change: Change,
  resolves: boolean,
): Promise<Foreseen> => {
  const line = story({ files: changeFrom(commits) }, change);
  const last = line.at(-1);
  if (last === undefined) throw new Error('there is a commit');
  const memos = createMemos();
  const live = observe(heard, now);
  const made = await previewWith(
    { compile: memos.compile, plan: memos.plan, now: 0 },
    {
      snapshot: { format: 1, tree, live, takenAt: '' },
      change: changedTree(tree, last.commit, last.files),
      source: {
        complete: (asked, asks) => Promise.resolve(answerHistories(line, asked, asks)),
        resolve: ({ reference }) =>
          Promise.resolve(resolves ? { kind: 'digest', digest: digestOf(reference) } : null),
      },
    },
  );
  const [before, after] = [tree.files, last.files];
  const read = createReader(memos.compile.reads);
  const paths = differing(before, after);
  const told = plannedOf({ foreseen: made, before, after, paths, read });
  const ids = { base: tree.head.oid, head: last.commit.oid };
  return { planned: { kind: 'planned', ...told, ...ids }, preview: made.preview };
};

/** The first commit's files, so that its id is the same. */
const changeFrom = (commits: Story): Change => Object.fromEntries(commits[0]?.files ?? new Map());

const differing = (before: Files, after: Files): readonly string[] =>
  [...new Set([...before.keys(), ...after.keys()])].filter(
    (path) => before.get(path)?.blob !== after.get(path)?.blob,
  );
