// Scenes of pull requests and commits, from files and a played cluster, as a forge is told of them.
// In: nothing. Out: name → a check, of real plans and rehearsals. Not here: what the texts should say (golden files).

import { createReader } from '../../reconciler/desired/read.ts';
import { createMemos } from '../../reconciler/memos.ts';
import { changedTree, previewWith } from '../../reconciler/preview.ts';
import { plannedOf } from '../../reconciler/planned.ts';
import { planCheck } from '../../reconciler/render/plan-check.ts';
import type { PlanContext } from '../../reconciler/render/plan-verdict.ts';
import { endedCheck, syncCheck } from '../../reconciler/render/sync-check.ts';
import { visibilityOf, type Visibility } from '../../reconciler/render/visibility.ts';
import { observe } from '../../reconciler/live/observe.ts';
import { plan } from '../../reconciler/plan/plan.ts';
import type { DesiredState } from '../../schema/desired.ts';
import type { CheckBody } from '../../schema/forge.ts';
import type { LedgerRecord } from '../../schema/ledger.ts';
import type { PullPlan } from '../../schema/pull-plan.ts';
import type { LookupAnswer } from '../../schema/source.ts';
import {
  digestOf,
  answerHistories,
  jobOf,
  ready,
  settledMark,
  story,
  type Change,
} from './tree.ts';
import { createCluster, heardBy, run, type Behaviour, type Cluster } from './virtual-cluster.ts';
import { aCommit, aCopy, aJob, aNode, desiredOf, liveOf, nodeNames } from './world.ts';

export const WEB = 'jobs/shop/web.yaml';
const STORE = 'jobs/shop/store.yaml';

const image = (name: string, tag: string): string => `reg.example/${name}:${tag}`;
export const pinned = (name: string, tag: string): string =>
  `${image(name, tag)}@${digestOf(image(name, tag))}`;

export const web = (tag: string, count: number, more = ''): string =>
  `image: ${pinned('web', tag)}\ncount: ${count}\nresources: {cpu: 250m, memory: 1500MiB}\n${more}`;

const BASE: Change = {
  'cluster.yaml': 'name: shop\npolicies:\n  registries: [reg.example]\n',
  'namespaces/shop.yaml': 'quota: {cpu: "8", memory: 6GiB}\n',
  'nodes/n001.yaml': 'labels: {zone: a}\n',
  'nodes/n002.yaml': 'labels: {zone: a}\n',
  'nodes/n003.yaml': 'labels: {zone: b}\n',
  [WEB]: web('1', 3),
  [STORE]: `image: ${pinned('store', '1')}\ncount: 1\n`,
};

interface PullScene {
  readonly change: Change;
  readonly resolves?: boolean;
  /** The registry says that there is no such image. */
  readonly missing?: boolean;
  readonly base?: Change;
  readonly ledger?: readonly LedgerRecord[];
}

const MISSING: LookupAnswer = {
  kind: 'failed',
  why: 'not-found',
  message: 'reg.example has no `web:9`',
  sinceMs: 0,
};

const answerOf = ({ resolves, missing }: PullScene, reference: string): LookupAnswer | null => {
  if (missing === true) return MISSING;
  return resolves === false ? null : { kind: 'digest', digest: digestOf(reference) };
};

/** `shop/web` runs with three copies and `shop/store` with one; then the change. */
export const planOf = async (scene: PullScene): Promise<PullPlan> => {
  const files = { ...BASE, ...scene.base };
  const first = ready(story(files));
  const jobs = ['shop/web', 'shop/store'].map((id) => jobOf(first.desired, id));
  const copies = jobs.flatMap((job) =>
    Array.from({ length: job.spec.job === 'web' ? 3 : 1 }, (_, index) =>
      aCopy(
        { ...job, settled: true },
        { node: nodeNames(3)[index] ?? 'n001', index, group: job.spec.job },
      ),
    ),
  );
  const ledger: readonly LedgerRecord[] = [
    ...first.ledger,
    ...jobs.map(settledMark),
    { kind: 'synced', commit: first.desired.commit.oid },
    ...(scene.ledger ?? []),
  ];
  const head = ready(story(files), { ledger, lastSynced: 0 });
  const commits = story(files, scene.change);
  const last = commits.at(-1);
  if (last === undefined) throw new Error('there is a commit');
  const memos = createMemos();
  const foreseen = await previewWith(
    { compile: memos.compile, plan: memos.plan, now: 0 },
    {
      snapshot: {
        format: 1,
        tree: head.tree,
        live: liveOf(copies),
        takenAt: '2026-01-01T00:00:00Z',
      },
      change: changedTree(head.tree, last.commit, last.files),
      source: {
        complete: (tree, asked) => Promise.resolve(answerHistories(commits, tree, asked)),
        resolve: ({ reference }) => Promise.resolve(answerOf(scene, reference)),
      },
    },
  );
  const [before, after] = [head.tree.files, last.files];
  const read = createReader(memos.compile.reads);
  return {
    kind: 'planned',
    ...plannedOf({ foreseen, before, after, paths: Object.keys(scene.change), read }),
    base: head.desired.commit.oid,
    head: last.commit.oid,
    snapshot: '3f2a9c01d4e8',
  };
};

export const CONTEXT: PlanContext = {
  cluster: 'shop',
  directory: 'clusters/shop',
  approved: new Set(),
};

/** What people may write to be more than text. */
export const HOSTILE = [
  '@everyone',
  '#123',
  '<img src=x onerror=alert(1)>',
  '](https://evil.example)',
  '`|**bold**',
  '</details>',
].join(' ');

const many = (count: number): Change =>
  Object.fromEntries(
    Array.from({ length: count }, (_, index) => [
      `jobs/bulk/job-${String(index).padStart(4, '0')}.yaml`,
      `image: ${pinned('bulk', '1')}\ncount: 1\nresources: {cpu: 1m, memory: 4MiB}\n`,
    ]),
  );

/** Name → the check of a pull request. */
export const pullChecks = async (): Promise<ReadonlyMap<string, CheckBody>> =>
  new Map((await pullScenes()).map(([name, made, context]) => [name, planCheck(made, context)]));

/** Names, plans, and what their checks are told of the cluster. */
export const pullScenes = async (): Promise<
  readonly (readonly [string, PullPlan, PlanContext])[]
> => {
  const rollout = await planOf({
    change: { [WEB]: web('2', 3, 'environment: {LOG_LEVEL: debug, API_KEY: second}\n') },
    base: { [WEB]: web('1', 3, 'environment: {LOG_LEVEL: info, API_KEY: first}\n') },
  });
  const removal = { change: { [STORE]: null, [WEB]: web('1', 1) } };
  const fewer = await planOf(removal);
  const slots = fewer.kind === 'planned' ? fewer.effects.slots : [];
  const approval: LedgerRecord = {
    kind: 'approval',
    id: 'a1',
    by: 'Grace <grace@example.org>',
    at: '1970-01-01T00:00:00Z',
    commit: aCommit('pull').oid,
    slots,
    nodes: [],
    used: false,
  };
  const cluster = { cluster: { ...desiredOf([]).cluster, planVisibility: 'counts' as const } };
  const visibility = visibilityOf({ ...desiredOf([]), ...cluster });
  const ids = { base: aCommit('base').oid, head: aCommit('pull').oid };
  return [
    ['rollout', rollout, CONTEXT],
    [
      'hostile-value',
      await planOf({
        change: { [WEB]: web('1', 3, `command: [${JSON.stringify(HOSTILE)}]\n`) },
      }),
      CONTEXT,
    ],
    ['rollout-counts', rollout, { ...CONTEXT, visibility }],
    [
      'does-not-fit',
      await planOf({
        change: {
          [WEB]: web('1', 3).replace('1500MiB', '3900MiB'),
          'jobs/shop/index.yaml': `image: ${pinned('index', '1')}\ncount: 3\nresources: {cpu: 100m, memory: 2GiB}\n`,
        },
        base: { 'namespaces/shop.yaml': 'quota: {cpu: "8"}\n' },
      }),
      CONTEXT,
    ],
    ['removal', fewer, CONTEXT],
    [
      'owners',
      rollout,
      {
        ...CONTEXT,
        open: [
          { path: 'cluster.yaml', blob: 'b1', owners: ['@shop/platform', 'ada@example.org'] },
          { path: WEB, blob: 'b2', owners: ['@shop/web'] },
        ],
      },
    ],
    [
      'removal-approved',
      await planOf({ ...removal, ledger: [approval] }),
      { ...CONTEXT, approved: new Set(slots) },
    ],
    ['problems', await planOf({ change: { [WEB]: 'image: nowhere/web:1\ncuont: 3\n' } }), CONTEXT],
    [
      'plain-tag',
      await planOf({
        change: { [WEB]: web('1', 3).replace(pinned('web', '1'), image('web', '2')) },
        resolves: false,
      }),
      CONTEXT,
    ],
    [
      'image-missing',
      await planOf({
        change: { [WEB]: web('1', 3).replace(pinned('web', '1'), image('web', '9')) },
        missing: true,
      }),
      CONTEXT,
    ],
    ['drain', await planOf({ change: { 'nodes/n001.yaml': 'drain: true\n' } }), CONTEXT],
    ['many-jobs', await planOf({ change: many(1_000) }), CONTEXT],
    ['untouched', { kind: 'untouched', ...ids }, CONTEXT],
    ['conflict', { kind: 'conflict', ...ids, files: [WEB, `jobs/shop/${HOSTILE}.yaml`] }, CONTEXT],
    [
      'failed',
      { kind: 'failed', ...ids, message: `Its files are 50 MB, more than 16 MB. ${HOSTILE}` },
      CONTEXT,
    ],
  ];
};

const NAMES = nodeNames(5);

/** Ten copies of a settled version; then a newer one, three at once, that behaves so. */
const clusterOf = (behaviour: Behaviour, canary = 0): Cluster => {
  const words = {
    groups: [{ name: 'main', count: 10 }],
    update: {
      maxParallel: { kind: 'count', copies: 3 } as const,
      canary,
      healthyDeadlineMs: 20_000,
    },
  };
  const other = aJob({ name: 'store', groups: [{ name: 'main', count: 2 }] });
  const cluster = createCluster(
    desiredOf([aJob({ ...words, version: 'v1' }), other], { nodes: NAMES.map((n) => aNode(n)) }),
  );
  run(cluster, 60_000);
  const old = new Set(cluster.desired.jobs.flatMap(({ spec }) => spec.groups.map((g) => g.hash)));
  cluster.behave = ({ spec }) => (old.has(spec.hash) ? { kind: 'healthy' } : behaviour);
  const next = aJob({ ...words, from: { version: 'v1' }, version: 'v2' }, { evidence: 'logs' });
  cluster.desired = {
    ...cluster.desired,
    commit: next.commit,
    namespaces: [{ name: 'shop', protected: false, quota: null, evidence: 'logs' }],
    jobs: cluster.desired.jobs.map((job) => (job.id === next.id ? next : job)),
  };
  return cluster;
};

export const checkOf = (cluster: Cluster): CheckBody => {
  const { desired, now } = cluster;
  const live = observe(heardBy(cluster), now);
  return syncCheck({ desired, live, plan: plan(desired, live, now) });
};

const after = (behaviour: Behaviour, ms: number, canary = 0): CheckBody => {
  const cluster = clusterOf(behaviour, canary);
  run(cluster, ms);
  return checkOf(cluster);
};

const EVIDENCE = {
  reason: '2 copies died (max_failures)',
  allocations: [
    {
      allocation: '0123456789abcdef-0-1',
      node: 'n001',
      task: 'main',
      message: `exited with code 1 ${HOSTILE}`,
      afterMs: 3_200,
      log: [
        '```',
        `\u001b[31mpanic\u001b[0m: ${HOSTILE}`,
        '\u202egnirts',
        'login with password=hunter2',
      ],
    },
    {
      allocation: '0123456789abcdef-1-1',
      node: 'n002',
      task: 'main',
      message: 'check `ready` failed: connection refused',
    },
  ],
};

/** A version that failed, and how much is told of it. */
export const failing = (shown: Pick<DesiredState['cluster'], 'planVisibility'> = {}): Cluster => {
  const cluster = clusterOf({ kind: 'healthy' });
  const jobs = cluster.desired.jobs.map((job) =>
    job.id === 'shop/web' ? { ...job, failed: { evidence: EVIDENCE } } : job,
  );
  const words = { ...cluster.desired.cluster, ...shown };
  cluster.desired = { ...cluster.desired, cluster: words, jobs };
  return cluster;
};

/** All is done but a file that nobody who owns it has approved; '' : it is not known who has. */
const waitingFor = (by: string, isDegraded = false): CheckBody => {
  const cluster = clusterOf({ kind: 'healthy' });
  run(cluster, 300_000);
  const { oid } = cluster.desired.commit;
  const file = { path: STORE, blob: 'b2', accepted: 'b1', commit: oid, since: oid };
  const heldFiles = [{ ...file, owners: ['@shop/team'], by }];
  cluster.desired = { ...cluster.desired, heldFiles };
  if (!isDegraded) return checkOf(cluster);
  const { desired, now } = cluster;
  const live = observe(heardBy(cluster), now);
  const made = plan(desired, live, now);
  const ill = { status: 'degraded', reason: 'a copy died: exited with code 1' } as const;
  const deployments = made.deployments.map((one) => ({ ...one, ...ill }));
  return syncCheck({ desired, live, plan: { ...made, deployments } });
};

/** Name → the check of a commit of the branch. */
export const syncChecks = (): ReadonlyMap<string, CheckBody> => {
  const head = { ...aCommit('next'), subject: `Fix it ${HOSTILE}` };
  const visibility = visibilityOf({
    ...desiredOf([]),
    namespaces: [{ name: 'shop', protected: false, quota: null, evidence: 'logs' }],
  });
  const context = { cluster: 'shop', head, visibility };
  const jobs = [{ job: 'shop/web', evidence: EVIDENCE, revertedBy: aCommit('revert').oid }];
  const stopped = clusterOf({ kind: 'healthy' });
  stopped.desired = {
    ...stopped.desired,
    standing: { kind: 'stopped', why: 'the branch was rewritten' },
  };
  return new Map([
    ['sync-begins', after({ kind: 'healthy' }, 0)],
    ['sync-rolling', after({ kind: 'healthy' }, 18_000)],
    ['sync-done', after({ kind: 'healthy' }, 300_000)],
    ['sync-crashing', after({ kind: 'crashes', afterMs: 2_000 }, 4_000)],
    ['sync-canary', after({ kind: 'healthy' }, 60_000, 2)],
    ['sync-failed', checkOf(failing())],
    ['sync-stopped', checkOf(stopped)],
    ['sync-owners', waitingFor('mallory')],
    ['sync-owners-degraded', waitingFor('mallory', true)],
    ['sync-owners-asked', waitingFor('')],
    ['ended-synced', endedCheck({ kind: 'synced' }, context)],
    ['ended-superseded', endedCheck({ kind: 'superseded' }, context)],
    ['ended-failed', endedCheck({ kind: 'failed', jobs }, context)],
    ['ended-failed-without-logs', endedCheck({ kind: 'failed', jobs }, { cluster: 'shop', head })],
  ]);
};

/** `open`: `namespace`, and the namespace's file says `full`. */
export type Level = 'full' | 'namespace' | 'open' | 'counts';

const levelled = (level: Level, desired: DesiredState): DesiredState => {
  const namespace = { name: 'shop', protected: false, quota: null, evidence: 'logs' } as const;
  const planVisibility = level === 'open' ? 'namespace' : level;
  return {
    ...desired,
    cluster: { ...desired.cluster, ...(planVisibility === 'full' ? {} : { planVisibility }) },
    namespaces: [level === 'open' ? { ...namespace, planVisibility: 'full' } : namespace],
  };
};

export const visibilityAt = (level: Level): Visibility =>
  visibilityOf(levelled(level, desiredOf([])));

/** The check of a commit whose version comes up, or does not. */
export const syncAt = (level: Level, behaviour: Behaviour, ms: number): CheckBody => {
  const cluster = clusterOf(behaviour);
  run(cluster, ms);
  cluster.desired = levelled(level, cluster.desired);
  return checkOf(cluster);
};

/** A check as one page of Markdown: what a forge shows in its own layout. */
export const pageOf = (check: CheckBody): string =>
  [
    `# ${check.title}`,
    `\`${check.status}\`${check.conclusion === null ? '' : ` \`${check.conclusion}\``}`,
    ...check.buttons.map(({ label, description }) => `[ **${label}** ] ${description}`),
    check.summary,
    ...(check.text === '' ? [] : ['---', check.text]),
    ...check.annotations.map(
      ({ path, startLine, level, title, message }) =>
        `    ${level} ${path}:${startLine} ${title}\n    ${message}`,
    ),
  ].join('\n\n');
