// How long one pass of the reconciler takes from a SourceTree to orders: compile, observe, plan,
// check, orders.
// In: jobs, copies of each, nodes, rounds (10,000 1 100 2,000). Out: numbers on standard output:
// the first pass on an empty cluster, then passes in which nothing, one job file, or one node's
// report is new. Not here: reading Git (git-read.ts), sending.

import { compile, asks } from '../reconciler/desired/compile.ts';
import { createMemos, type Memos } from '../reconciler/memos.ts';
import { observe } from '../reconciler/live/observe.ts';
import { check } from '../reconciler/plan/check.ts';
import { orders } from '../reconciler/plan/orders.ts';
import { planWith } from '../reconciler/plan/plan.ts';
import { sha256 } from '../schema/hash.ts';
import { compareText } from '../schema/ids.ts';
import type { LedgerRecord } from '../schema/ledger.ts';
import type { Heard, HeardNode } from '../schema/live.ts';
import type { AllocationReport, NodeOrders } from '../schema/orders.ts';
import type { DesiredState } from '../schema/desired.ts';
import type { Plan } from '../schema/plan.ts';
import type { CommitInfo, History, SourceFile, SourceTree } from '../schema/source.ts';
import { running } from './support/model-nodes.ts';

const [JOBS = 10_000, COPIES = 1, NODES = 100, ROUNDS = 2000] = process.argv.slice(2).map(Number);
const GIB = 1_073_741_824;
const CLUSTER = 'name: bench\npolicies: { registries: [registry.example] }\n';

interface Timed {
  readonly desired: DesiredState;
  readonly plan: Plan;
  readonly sets: readonly NodeOrders[];
  /** Milliseconds of wall time: ask and compile, observe, plan, check, orders. */
  readonly parts: readonly number[];
  /** Milliseconds of processor time, which other programs on the machine do not lengthen. */
  readonly cpuMs: number;
}

type Timing = Pick<Timed, 'parts' | 'cpuMs'>;

const timing = ({ parts, cpuMs }: Timed): Timing => ({ parts, cpuMs });

const PARTS = ['compile', 'observe', 'plan', 'check', 'orders'];

const main = (): void => {
  const memos = createMemos();
  const tree = firstTree();
  let now = 1_000_000;
  const empty = heardFrom(new Map(), now);
  const cold = pass(tree, empty, { now, memos });
  if (cold.plan.steps.length !== JOBS * COPIES) {
    throw new Error(JSON.stringify([cold.desired.problems[0], cold.plan.blocked[0]]));
  }
  show('first pass, nothing runs', [cold]);
  const settled = { ...tree, ledger: ledgerOf(cold.desired) };
  let heard = heardFrom(runningAfter(cold.sets), now);
  const restart = createMemos();
  show('first pass, all runs', [pass(settled, heard, { now, memos: restart })]);

  const quiet: Timing[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    now += 7;
    quiet.push(timing(pass(settled, heard, { now, memos: restart })));
  }
  show('nothing new', quiet);

  const changed: Timing[] = [];
  let last = settled;
  for (let round = 0; round < ROUNDS; round += 1) {
    now += 7;
    last = changedTree(last, settled, round);
    const done = pass(last, heard, { now, memos: restart });
    if (done.plan.steps.length === 0) {
      throw new Error(`a changed job gave no step: ${JSON.stringify(done.plan.blocked)}`);
    }
    changed.push(timing(done));
  }
  show('one job file changed', changed);

  const moved: Timing[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    now += 7;
    last = movedTree(last, settled, round);
    moved.push(timing(pass(last, heard, { now, memos: restart })));
  }
  show('one job file added or removed', moved);

  const reported: Timing[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    now += 7;
    heard = reportedAgain(heard, round % NODES, now);
    reported.push(timing(pass(settled, heard, { now, memos: restart })));
  }
  show('one node reports', reported);
};

interface Around {
  readonly now: number;
  readonly memos: Memos;
}

const pass = (read: SourceTree, heard: Heard, { now, memos }: Around): Timed => {
  const cpu = process.cpuUsage();
  const times = [performance.now()];
  const lap = () => times.push(performance.now());
  const wanted = asks(read, memos.compile);
  const tree = wanted.histories.length === 0 ? read : completed(read, wanted.histories);
  if (tree !== read) asks(tree, memos.compile);
  const desired = compile(tree, memos.compile);
  lap();
  const live = observe(heard, now, memos.observe);
  lap();
  const made = planWith(memos.plan)(desired, live, now);
  lap();
  const violations = check(made, live, desired);
  lap();
  const context = { cluster: desired.cluster.name, commit: desired.commit.oid };
  const sets = orders(made, live, context);
  lap();
  const { user, system } = process.cpuUsage(cpu);
  if (violations.length > 0) throw new Error(JSON.stringify(violations[0]));
  const parts = times.slice(1).map((time, i) => time - (times[i] ?? 0));
  return { desired, plan: made, sets, parts, cpuMs: (user + system) / 1000 };
};

const show = (title: string, timed: readonly Timing[]): void => {
  const rounds = timed.map(({ parts }) => parts);
  const cpu = timed.map(({ cpuMs }) => cpuMs);
  const totals = rounds.map((parts) => parts.reduce((sum, part) => sum + part, 0));
  const parts = PARTS.map(
    (name, i) =>
      `${name} ${at(
        rounds.map((round) => round[i] ?? 0),
        0.5,
      )}`,
  );
  const whole = `median ${at(totals, 0.5)}, p99 ${at(totals, 0.99)}, most ${at(totals, 1)}`;
  const processor = `processor ${at(cpu, 0.5)}, p99 ${at(cpu, 0.99)}`;
  console.log(`${title}: ${whole} ms; ${processor} ms (medians: ${parts.join(', ')})`);
};

const at = (values: readonly number[], part: number): string => {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[Math.floor(part * (sorted.length - 1))] ?? 0).toFixed(2);
};

const pathOf = (job: number): string =>
  `jobs/ns${String(job % 100).padStart(3, '0')}/job${String(job).padStart(5, '0')}.yaml`;

const textFile = (text: string): SourceFile => ({
  kind: 'text',
  blob: sha256(text).slice(0, 40),
  text,
});

const jobFile = (job: number, version: string): SourceFile =>
  textFile(
    `image: registry.example/app${job}:1@sha256:${sha256(version)}\ncount: ${COPIES}\n` +
      'ports: { http: 8080 }\nhealthcheck: { http: /healthz, port: http }\n' +
      'resources: { cpu: 10m, memory: 16MiB }\n',
  );

const nodeName = (node: number): string => `node${String(node).padStart(3, '0')}`;

const commitOf = (at: number): CommitInfo => ({
  oid: sha256(`commit ${at}`).slice(0, 40),
  parent: at === 0 ? null : sha256(`commit ${at - 1}`).slice(0, 40),
  author: { name: 'Bench', email: 'bench@example.org' },
  authoredAt: 1_700_000_000 + at,
  message: `c${at}\n`,
  trailers: [],
});

const firstTree = (): SourceTree => {
  const rows: (readonly [string, SourceFile])[] = [['cluster.yaml', textFile(CLUSTER)]];
  for (let node = 0; node < NODES; node += 1) {
    rows.push([`nodes/${nodeName(node)}.yaml`, textFile('{}\n')]);
  }
  for (let job = 0; job < JOBS; job += 1) rows.push([pathOf(job), jobFile(job, 'v0')]);
  return {
    branch: 'main',
    directory: '',
    head: commitOf(0),
    local: true,
    files: new Map(rows.toSorted(([a], [b]) => compareText(a, b))),
    ledger: [],
    histories: new Map(),
    lastSynced: null,
    lookups: new Map(),
  };
};

/** The next commit changes one job; the one changed before is as it was. */
const changedTree = (last: SourceTree, settled: SourceTree, round: number): SourceTree => {
  const job = (round * 7919) % JOBS;
  const path = pathOf(job);
  const files = new Map(settled.files);
  files.set(path, jobFile(job, `v${round + 1}`));
  const head = commitOf(round + 1);
  const tree = { ...last, head, files, ledger: settled.ledger, histories: new Map() };
  return differing(tree, last, settled);
};

/** Every other commit adds a job, and the one after it takes it away. */
const movedTree = (last: SourceTree, settled: SourceTree, round: number): SourceTree => {
  const files = new Map(settled.files);
  const path = pathOf((round * 7919) % JOBS).replace('.yaml', 'x.yaml');
  if (round % 2 === 0) files.set(path, jobFile(round, 'v0'));
  const head = commitOf(ROUNDS + round + 1);
  return differing({ ...last, head, files, histories: new Map() }, last, settled);
};

/** As a reader of Git says it: `settled` is the tree that was synced last. */
const differing = (tree: SourceTree, before: SourceTree, settled: SourceTree): SourceTree => ({
  ...tree,
  lastSynced: { commit: settled.head.oid, files: settled.files },
  differences: [before.files, settled.files].map((from) => {
    const all = new Set([...from.keys(), ...tree.files.keys()]);
    const paths = [...all].filter((path) => from.get(path) !== tree.files.get(path));
    return { from, to: tree.files, paths: new Set(paths) };
  }),
});

/** What Git would answer: the file as it stands, and as the first commit had it. */
const completed = (tree: SourceTree, wanted: readonly { readonly path: string }[]): SourceTree => {
  const histories = new Map<string, History>();
  for (const { path } of wanted) {
    const file = tree.files.get(path);
    if (file === undefined) continue;
    const first = jobFile(Number(path.slice(-10, -5)), 'v0');
    const entries = [
      ...(file.blob === first.blob ? [] : [{ commit: tree.head, files: new Map([[path, file]]) }]),
      { commit: commitOf(0), files: new Map([[path, first]]) },
    ];
    histories.set(path, { path, entries, complete: true });
  }
  return { ...tree, histories };
};

const ledgerOf = (desired: DesiredState): readonly LedgerRecord[] => [
  { kind: 'cluster', cluster: 'bench', branch: 'main', directory: '' },
  ...desired.jobs.map((job): LedgerRecord => ({
    kind: 'settled',
    job: job.id,
    specHash: job.spec.specHash,
    deployment: job.deployment,
    commit: job.commit.oid,
    digests: [],
  })),
  { kind: 'synced', commit: desired.commit.oid },
];

/** Each node obeyed: every copy runs, is healthy and settled. */
const runningAfter = (
  sets: readonly NodeOrders[],
): ReadonlyMap<string, readonly AllocationReport[]> =>
  new Map(
    sets.map(({ node, items }) => [
      node,
      items.flatMap((item) =>
        item.kind === 'run' ? [running({ ...item.body, settled: true })] : [],
      ),
    ]),
  );

const heardFrom = (
  copies: ReadonlyMap<string, readonly AllocationReport[]>,
  now: number,
): Heard => ({
  startedAt: 0,
  nodes: Array.from({ length: NODES }, (_, i): HeardNode => {
    const node = nodeName(i);
    const allocations = copies.get(node) ?? [];
    const items = allocations.map(({ allocation, body }) => ({
      kind: 'run' as const,
      allocation,
      body,
      after: [],
    }));
    return {
      node,
      report: {
        node,
        cluster: 'bench',
        acceptedGeneration: 1,
        acceptedCommit: '',
        acceptedHash: '',
        accepted: allocations.map(({ allocation }) => allocation),
        capacity: { cpuMilli: 64_000, memoryBytes: 256 * GIB },
        attributes: [['node.arch', 'amd64']],
        address: '10.0.0.1',
        allocations,
        foreign: 0,
        conditions: [],
        portsTaken: [],
      },
      receivedAt: now,
      connected: true,
      sent: { node, cluster: 'bench', generation: 1, commit: '', items },
    };
  }),
});

const reportedAgain = (heard: Heard, which: number, now: number): Heard => ({
  ...heard,
  nodes: heard.nodes.map((node, i) => {
    if (i !== which) return node;
    const allocations = node.report.allocations.map((one) => ({
      ...one,
      acceptedForMs: one.acceptedForMs + 700,
      healthyForMs: (one.healthyForMs ?? 0) + 700,
    }));
    return { ...node, report: { ...node.report, allocations }, receivedAt: now };
  }),
});

main();
