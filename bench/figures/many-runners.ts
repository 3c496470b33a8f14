// Many runners against one reconciler: how long until all are heard, at first and after the
// reconciler was killed; what steady reports cost; how long until all have the orders of a commit that
// touches each of them. The reconciler is the real program; the runners are the product's loops and
// links over TLS, a certificate each, hundreds in a process; containerd is in memory. What is measured
// of the storms holds the runners' own work too: all share the machine. `--count` is their number.

import { setTimeout as sleep } from 'node:timers/promises';
import { admitNodes } from '../../test/support/many-nodes.ts';
import { makeNetns } from '../../test/support/netns.ts';
import { type ManyReconciler, startManyReconciler } from '../../test/support/many-reconciler.ts';
import { withEnds, type Ends } from '../support/ends.ts';
import {
  type Figure,
  type FigureOptions,
  median,
  ms,
  quantile,
  type Row,
} from '../support/figure.ts';
import { type BenchRepository, createRepository, epochMs } from '../support/repository.ts';
import { type RunnerProcesses, startRunnerProcesses } from '../support/runner-processes.ts';

const RUNNERS = 1000;
const CLUSTER = 'bench';
const COPIES_OF_JOB = 10;
const STEADY_MS = 20_000;
const REST_MS = 12_000;
const LIMIT_MS = 400_000;
/** Goals for 1,000 runners that share this machine's two cores with the reconciler. */
const STORM_MS = 20_000;
const CHANGE_MS = 10_000;
const STEADY_PERCENT = 15;
const REPORT_MS = 250;
const DIGEST = `sha256:${'a'.repeat(64)}`;

const jobText = (version: number): string =>
  `image: bench.local/app:1@${DIGEST}\ncount: ${COPIES_OF_JOB}\n` +
  `environment: { VERSION: "${version}" }\n` +
  'update: { max_parallel: 100%, min_healthy_time: 0s }\n' +
  'resources: { cpu: 600m, memory: 64MiB }\n';

const filesOf = (runners: number, version: number): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Array.from({ length: Math.floor(runners / COPIES_OF_JOB) }, (_, job) => [
      `jobs/team-${job % 10}/job-${String(job).padStart(4, '0')}.yaml`,
      jobText(version),
    ]),
  );

export const manyRunners: Figure = {
  name: 'many-runners',
  what: '1,000 runners over TLS: join storm, steady reports, a commit that touches all',
  run: ({ count, say }) => withEnds((ends) => run(ends, { runners: count ?? RUNNERS, say })),
};

interface Ask extends Pick<FigureOptions, 'say'> {
  readonly runners: number;
}

interface Scene extends Ask {
  readonly repository: BenchRepository;
  readonly reconciler: ManyReconciler;
  readonly processes: RunnerProcesses;
  /** All jobs together; each node has room for one. */
  readonly copies: number;
}

const run = async (ends: Ends, ask: Ask): Promise<readonly Row[]> => {
  const { scene, joinMs } = await join(ends, ask);
  await sleep(REST_MS);
  const rows = [rowOf(ask, { what: 'join at once → all heard', took: joinMs, goal: STORM_MS })];
  rows.push(...(await steady(scene)));
  rows.push(await change(scene));
  // More of them are too many handshakes at once for two cores that are the nodes' as well.
  if (ask.runners <= RUNNERS) rows.push(await restart(scene));
  return rows;
};

/**
 * Without a preferred source, whoever dials one of these addresses comes from it: each node has an
 * address of its own, as the reconciler counts strangers by where they come from.
 */
const NODES_NET = '127.77.0.0/16';
const addressOf = (at: number): string => `127.77.${Math.floor(at / 250)}.${1 + (at % 250)}`;

/** Everything is there, then all runners dial at once. */
const join = async (ends: Ends, { runners, say }: Ask) => {
  const root = ends.folder();
  const names = Array.from({ length: runners }, (_, at) => `n${String(at).padStart(5, '0')}`);
  const repository = createRepository(root);
  const listed = Object.fromEntries(names.map((name) => [`nodes/${name}.yaml`, `node: ${name}\n`]));
  const cluster = { 'cluster.yaml': CLUSTER_TEXT };
  repository.move(repository.prepare({ ...cluster, ...listed, ...filesOf(runners, 1) }));
  await admitNodes({ root, cluster: CLUSTER, names });
  say(`${runners} identities and files are there`);
  const { name: netns, run: inside, remove } = await makeNetns('many');
  ends.add(remove);
  await inside('ip', 'route', 'add', 'local', NODES_NET, 'dev', 'lo');
  const program = { root, cluster: CLUSTER, repository: repository.folder, netns };
  const reconciler = await startManyReconciler(program);
  ends.add(reconciler.kill);
  const nodes = names.map((name, at) => ({ name, address: `tls:${addressOf(at)}:7420` }));
  const processes = startRunnerProcesses({ cluster: CLUSTER, root, nodes, netns });
  ends.add(processes.close);
  const beganAt = epochMs();
  const joined = await processes.until(({ heard }) => heard === runners, LIMIT_MS);
  const joinMs = joined.lastHeardAt - beganAt;
  say(`all heard after ${ms(joinMs)}, ${joined.cuts} links cut, ${costText(reconciler)}`);
  const copies = Math.floor(runners / COPIES_OF_JOB) * COPIES_OF_JOB;
  await processes.until(({ running }) => running === copies, LIMIT_MS);
  say(`${copies} copies run after ${ms(epochMs() - beganAt)}, ${costText(reconciler)}`);
  return { scene: { runners, say, repository, reconciler, processes, copies }, joinMs };
};

const steady = async ({ runners, say, reconciler, processes }: Scene): Promise<readonly Row[]> => {
  await processes.mark();
  const [before, others] = [reconciler.cost(), await processes.counts()];
  await sleep(STEADY_MS);
  const [after, now] = [reconciler.cost(), await processes.counts()];
  const percent = ((after.cpuMs - before.cpuMs) / STEADY_MS) * 100;
  const each = ((now.cpuMs - others.cpuMs) / STEADY_MS / runners) * 100;
  const p99 = quantile(now.tookMs, 0.99);
  const goal = (STEADY_PERCENT * runners) / RUNNERS;
  say(`${now.tookMs.length} reports in ${STEADY_MS / 1000} s, median ${ms(median(now.tookMs))}`);
  return [
    {
      what: `CPU of the reconciler, ${runners} runners at rest`,
      ours: `${percent.toFixed(1)} % of a core, ${after.megabytes.toFixed(0)} MB`,
      floor: `a runner ${each.toFixed(3)} %`,
      result: `${percent.toFixed(1)} %`,
      goal: `≤ ${goal} %`,
      met: percent <= goal,
    },
    {
      what: `report sent → acknowledged, ${runners} runners at rest`,
      ours: `median ${ms(median(now.tookMs))}`,
      floor: '',
      result: `p99 ${ms(p99)}`,
      goal: `p99 ≤ ${REPORT_MS} ms`,
      met: p99 <= REPORT_MS,
    },
  ];
};

const change = async (scene: Scene): Promise<Row> => {
  const { runners, say, repository, reconciler, processes, copies } = scene;
  const commit = repository.prepare(filesOf(runners, 2));
  await processes.mark(commit);
  const before = reconciler.cost();
  const committedAt = repository.move(commit);
  const what = 'commit that touches all → all have orders';
  try {
    const told = await processes.until(({ ordered }) => ordered >= copies, LIMIT_MS);
    await sleep(REST_MS);
    const { cpuMs, peakMegabytes } = reconciler.cost();
    say(
      `CPU of the commit ${ms(cpuMs - before.cpuMs)}, most memory ${peakMegabytes.toFixed(0)} MB`,
    );
    return rowOf(scene, { what, took: told.lastOrderedAt - committedAt, goal: CHANGE_MS });
  } catch (error) {
    // What was measured before is to be seen all the same.
    say(error instanceof Error ? error.message : String(error));
    const row = rowOf(scene, { what, took: LIMIT_MS, goal: CHANGE_MS });
    return { ...row, result: `not in ${ms(LIMIT_MS)}`, met: false };
  }
};

const restart = async (scene: Scene): Promise<Row> => {
  const { runners, say, reconciler, processes } = scene;
  await reconciler.kill();
  await processes.mark();
  const startedAt = await reconciler.start();
  const listensAfter = epochMs() - startedAt;
  const back = await processes.until(({ heard }) => heard === runners, LIMIT_MS);
  const took = back.lastHeardAt - startedAt;
  say(
    `listens after ${ms(listensAfter)}, ${back.cuts} dials and links failed, ${costText(reconciler)}`,
  );
  await sleep(REST_MS);
  const { view } = await reconciler.state();
  const steps = view?.plan.steps.length ?? Number.NaN;
  const row = rowOf(scene, {
    what: 'reconciler killed and started → all heard',
    took,
    goal: STORM_MS,
  });
  return { ...row, result: `${row.result}, ${steps} steps planned`, met: row.met && steps === 0 };
};

const costText = ({ cost }: ManyReconciler): string => {
  const { cpuMs, megabytes } = cost();
  return `${(cpuMs / 1000).toFixed(1)} s of CPU, ${megabytes.toFixed(0)} MB`;
};

interface Timed {
  readonly what: string;
  readonly took: number;
  /** For 1,000 runners. */
  readonly goal: number;
}

const rowOf = ({ runners }: Ask, { what, took, goal: each }: Timed): Row => {
  const goal = (each * runners) / RUNNERS;
  return {
    what: `${what}, ${runners} runners`,
    ours: ms(took),
    floor: '',
    result: ms(took),
    goal: `≤ ${goal / 1000} s`,
    met: took <= goal,
  };
};

const CLUSTER_TEXT = `name: ${CLUSTER}\npolicies: { registries: [bench.local] }\nguards: { own_approval: true }\n`;
