// A branch is renamed into place in a watched local repository of 10,000 job files and 10,000
// commits, one file changed; how long until the plan is there? The Git edge, the loop and the
// planner are the product's, in a process of their own (bench/timed-loop.ts); the nodes are
// modelled: 100 of them, with every job running and settled. Beside it: `git diff-tree` of the same
// two commits, and a loop of pure arithmetic that takes as long as a plan, whose p99 says what the
// machine adds by itself.

import { execFileSync } from 'node:child_process';
import { setPriority } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { prefer, RECONCILER_PRIORITY } from '../../cli/up/children.ts';
import { withEnds } from '../support/ends.ts';
import {
  type Figure,
  type FigureOptions,
  median,
  ms,
  quantile,
  spread,
} from '../support/figure.ts';
import { createHistory, type History, STRIDE } from '../support/history.ts';
import { moveBranch } from '../support/repository.ts';
import { settleAll } from '../support/settled.ts';
import {
  MODEL_DIGEST,
  monotonicMs,
  startTimedPlans,
  type TimedPlans,
} from '../support/timed-plans.ts';

const JOBS = 10_000;
const COMMITS = 10_000;
const FOLDERS = 100;
const NODES = 100;
const ROUNDS = 200;
const GOAL_MS = 10;
/** Rounds that are not counted: code is compiled, the history read. */
const WARM = 5;
const QUIET_MS = 30;

export const jobText = (job: number, version: number): string =>
  `image: bench.local/app${job}:1@${MODEL_DIGEST}\nports: { http: 8080 }\n` +
  `environment: { VERSION: "${version}" }\nupdate: { min_healthy_time: 0s }\n` +
  'healthcheck: { http: /healthz, port: http }\nresources: { cpu: 100m, memory: 128MiB }\n';

export const nodeNames = Array.from(
  { length: NODES },
  (_, at) => `n${String(at).padStart(3, '0')}`,
);

export const commitToPlan: Figure = {
  name: 'commit-to-plan',
  what: 'branch renamed → plan computed, 10,000 jobs, 1 changed, 10,000 commits',
  run: (options) =>
    withEnds(async (ends) => {
      const root = ends.folder();
      const nodes = nodeNames.map((name) => [`nodes/${name}.yaml`, `node: ${name}\n`]);
      const history = createHistory({
        root,
        jobs: JOBS,
        commits: COMMITS,
        folders: FOLDERS,
        text: jobText,
        others: {
          'cluster.yaml': 'name: bench\npolicies: { registries: [bench.local] }\n',
          ...Object.fromEntries(nodes),
        },
      });
      const { say } = options;
      const head = await settleAll(history.folder, options);
      const folder = path.join(root, 'program');
      const plans = startTimedPlans({ repository: history.folder, nodes: nodeNames, folder, say });
      ends.add(plans.stop);
      const began = performance.now();
      await plans.rest(head);
      // The arithmetic is done under the same priority as the plans.
      prefer(process.pid, RECONCILER_PRIORITY);
      ends.add(() => setPriority(0));
      say(`${JOBS} jobs placed and settled after ${ms(performance.now() - began)}`);
      return measure(plans, history, options);
    }),
};

const measure = async (plans: TimedPlans, history: History, { count }: FigureOptions) => {
  const samples: number[] = [];
  const floor: number[] = [];
  const machine: number[] = [];
  /** Steps of arithmetic in a millisecond, at best. */
  let pace = FIRST_STEPS / busyFor(FIRST_STEPS);
  for (let round = -WARM; round < (count ?? ROUNDS); round += 1) {
    const job = ((round + WARM) * STRIDE) % JOBS;
    const commit = history.change(job, jobText(job, COMMITS + WARM + round));
    await sleep(QUIET_MS);
    const planned = plans.planned(commit);
    const renamed = moveBranch(history.folder, commit, monotonicMs);
    const taken = (await planned) - renamed;
    await plans.rest(commit);
    const start = monotonicMs();
    execFileSync('git', ['-C', history.folder, 'diff-tree', '-r', `${commit}^`, commit]);
    const compared = monotonicMs() - start;
    await sleep(QUIET_MS);
    if (round < 0) continue;
    samples.push(taken);
    const steps = median(samples) * pace;
    const busy = busyFor(steps);
    pace = Math.max(pace, steps / busy);
    floor.push(compared);
    machine.push(busy);
  }
  const p99 = quantile(samples, 0.99);
  const pure = `${ms(median(machine))}, p99 ${ms(quantile(machine, 0.99))}`;
  return [
    {
      what: `branch renamed → plan, ${JOBS} jobs, ${COMMITS} commits, 1 changed`,
      ours: spread(samples),
      floor: `git diff-tree ${ms(median(floor))}; arithmetic alone ${pure}`,
      result: `p99 ${ms(p99)}`,
      goal: `p99 ≤ ${GOAL_MS} ms`,
      met: p99 <= GOAL_MS,
    },
  ];
};

const FIRST_STEPS = 1_000_000;

/** Nothing but a core is needed for it: what makes it slow now and then makes a plan slow too. */
const busyFor = (steps: number): number => {
  const start = monotonicMs();
  let sum = 0;
  for (let step = 0; step < steps; step += 1) sum = (Math.imul(sum, 31) + step) | 0;
  const taken = monotonicMs() - start;
  // Never true: the sum is looked at, so the loop is not left out.
  return sum === 0.5 ? 0 : taken;
};
