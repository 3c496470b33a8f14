// The reconciler is killed and started again while 1,000 jobs run: how long until its first correct
// plan, and is anything touched? The reconciler is the real program; the runner's end of the link
// is the product's, its 1,000 copies are modelled. Beside it: the same program doing nothing
// (`--version`), which is what starting a process costs here.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../../cli/client.ts';
import { RECONCILER_NODE_FLAGS } from '../../cli/up/children.ts';
import { createClock } from '../../node-runner/edge/clock.ts';
import { createLink } from '../../node-runner/edge/link.ts';
import type { StateAnswer } from '../../schema/control.ts';
import type { NodeReport } from '../../schema/orders.ts';
import { withEnds } from '../support/ends.ts';
import { type Figure, median, ms, spread } from '../support/figure.ts';
import { createHistory } from '../support/history.ts';
import { freshReport, obeyed } from '../support/model-nodes.ts';

const JOBS = 1000;
const ROUNDS = 5;
const GOAL_MS = 1000;
const LIMIT_MS = 180_000;
const DIGEST = `sha256:${'a'.repeat(64)}`;

const jobText = (job: number): string =>
  `image: bench.local/app${job}:1@${DIGEST}\nupdate: { min_healthy_time: 0s }\n` +
  'resources: { cpu: 10m, memory: 16MiB }\n';

export const reconcilerRestart: Figure = {
  name: 'reconciler-restart',
  what: 'reconciler killed and started → first correct plan, 1,000 jobs',
  run: ({ count, say }) =>
    withEnds(async (ends) => {
      const root = ends.folder();
      const history = createHistory({
        root,
        jobs: JOBS,
        commits: 1,
        folders: 10,
        text: jobText,
        others: {
          'cluster.yaml': 'name: bench\npolicies: { registries: [bench.local] }\n',
          'nodes/n1.yaml': 'node: n1\n',
        },
      });
      const model = modelRunner(root);
      ends.add(model.close);
      const samples: number[] = [];
      const floor: number[] = [];
      let program = startProgram(root, history.folder);
      ends.add(() => end(program));
      await correctPlan(root);
      for (let round = 0; round < (count ?? ROUNDS); round += 1) {
        // A session that lasted is dialled again without back-off, as in real life.
        await sleep(6000);
        floor.push(timeOf(() => spawnSync(process.execPath, [PROGRAM, '--version'])));
        await end(program);
        const began = performance.now();
        program = startProgram(root, history.folder);
        await correctPlan(root);
        samples.push(performance.now() - began);
        say(
          `round ${round}: ${ms(samples.at(-1) ?? 0)}, changed orders so far: ${model.changes()}`,
        );
      }
      const worst = median(samples);
      const touched = model.changes();
      return [
        {
          what: `reconciler restarted → first correct plan, ${JOBS} jobs`,
          ours: `${spread(samples)}; ${touched} copies touched`,
          floor: `an empty start of the program ${ms(median(floor))}`,
          result: ms(worst),
          goal: `≤ ${GOAL_MS / 1000} s, nothing touched`,
          met: worst <= GOAL_MS && touched === 0,
        },
      ];
    }),
};

const PROGRAM = path.resolve(import.meta.dirname, '../../dist/main.js');

const timeOf = (act: () => void): number => {
  const began = performance.now();
  act();
  return performance.now() - began;
};

const startProgram = (root: string, repository: string) => {
  const log = fs.openSync(path.join(root, 'reconciler.log'), 'a');
  fs.rmSync(path.join(root, 'control.sock'), { force: true });
  const place = ['--root', root, '--socket', path.join(root, 'control.sock')];
  const source = ['--repository', repository, '--cluster', 'bench'];
  const link = ['--link', `unix:${root}/link.sock`, '--end-with-stdin'];
  const args = [...RECONCILER_NODE_FLAGS, PROGRAM, 'reconciler', ...place, ...source, ...link];
  const child = spawn(process.execPath, args, { stdio: ['pipe', log, log] });
  fs.closeSync(log);
  return child;
};

const end = async (child: ReturnType<typeof startProgram>): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
};

/** Heard from the node, every job there, nothing left to do or to write. */
const isCorrect = ({ view }: StateAnswer): boolean =>
  view !== null &&
  view.live.nodes.every(({ connected, allocations }) => connected && allocations.length === JOBS) &&
  view.live.nodes.length === 1 &&
  view.plan.steps.length === 0 &&
  view.plan.blocked.length === 0 &&
  view.plan.synced &&
  view.plan.proposals.length === 0;

const correctPlan = async (root: string): Promise<void> => {
  const socket = path.join(root, 'control.sock');
  const limit = performance.now() + LIMIT_MS;
  while (!fs.existsSync(socket) && performance.now() < limit) await sleep(5);
  const control = await connect(socket);
  try {
    const signal = AbortSignal.timeout(LIMIT_MS);
    for await (const state of control.watch<StateAnswer>('state', signal)) {
      if (isCorrect(state)) return;
    }
    throw new Error('the reconciler made no correct plan');
  } finally {
    control.close();
  }
};

/** A node that does at once what it is told, behind the product's own end of the link. */
const modelRunner = (root: string) => {
  const clock = createClock();
  const log = { info: () => {}, warn: console.warn, error: console.error };
  const address = `unix:${root}/link.sock`;
  const serve = () => Promise.reject(new Error('a modelled node has no streams'));
  const link = createLink({
    address,
    cluster: 'bench',
    node: 'n1',
    clock,
    log,
    serve,
  });
  const abort = new AbortController();
  let report: NodeReport = freshReport('n1');
  let changes = 0;
  const tell = (): void => link.port.report(report, clock.now());
  tell();
  link.port.watch(() => {
    const orders = link.port.take();
    // As a runner does: what became of the last orders is said anew at the start of a session.
    if (orders === null && link.port.wantsReport()) tell();
    if (orders === null) return;
    const before = new Map(report.allocations.map((one) => [one.allocation, one.body]));
    const full = before.size === JOBS;
    report = obeyed(report, orders);
    const kept = report.allocations.filter(({ allocation }) => before.has(allocation)).length;
    if (full && (kept !== JOBS || report.allocations.length !== JOBS)) changes += 1;
    tell();
  });
  const timer = setInterval(tell, 5000);
  void link.run(abort.signal);
  return {
    changes: () => changes,
    close: () => {
      clearInterval(timer);
      abort.abort();
    },
  };
};
