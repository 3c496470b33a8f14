// A pull request of 20 changed job files against 10,000, every job running and settled on 100
// modelled nodes; how long until its plan is there, rehearsal included, and how long is the loop
// held up meanwhile? The repository is local, so nothing is fetched. Beside it: `git diff-tree` of
// base and head. Not here: the process that is timed (bench/timed-pulls.ts).

import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { prefer, RECONCILER_NODE_FLAGS, RECONCILER_PRIORITY } from '../../cli/up/children.ts';
import {
  type Figure,
  type FigureOptions,
  median,
  ms,
  quantile,
  spread,
} from '../support/figure.ts';
import { createHistory, type History, STRIDE } from '../support/history.ts';
import { monotonicMs } from '../support/timed-plans.ts';
import type { PullAsked, PullTimed } from '../timed-pulls.ts';
import { jobText, nodeNames, settleAll } from './commit-to-plan.ts';

const JOBS = 10_000;
const COMMITS = 10_000;
const FOLDERS = 100;
const CHANGED = 20;
const ROUNDS = 100;
const GOAL_MS = 1000;
/** Rounds that are not counted: the first reads the whole cluster. */
const WARM = 5;
/** 10,000 jobs are placed in some ten seconds. */
const LIMIT_MS = 120_000;

export const pullRequestPlan: Figure = {
  name: 'pull-request-plan',
  what: 'pull request there → its plan, 10,000 jobs, 20 changed',
  run: async (options) => {
    const root = fs.mkdtempSync(path.join(tmpdir(), 'pb-'));
    const nodes = nodeNames.map((name, at) => {
      const zone = ['a', 'b', 'c'][at % 3] ?? 'a';
      return [`nodes/${name}.yaml`, `node: ${name}\nlabels: { zone: ${zone} }\n`];
    });
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
    const folder = path.join(root, 'program');
    try {
      const base = await settleAll(history.folder, options);
      return await withProcess({ repository: history.folder, folder }, options, (ask) =>
        measure({ ask, history, base }, options),
      );
    } finally {
      fs.rmSync(root, { recursive: true, force: true });
    }
  },
};

type Planned = Extract<PullTimed, { kind: 'planned' }>;
type Ask = (asked: PullAsked) => Promise<Planned>;

const withProcess = async <Value>(
  where: { readonly repository: string; readonly folder: string },
  { say }: FigureOptions,
  act: (ask: Ask) => Promise<Value>,
): Promise<Value> => {
  const root = path.resolve(import.meta.dirname, '../..');
  const bundle = ['esbuild.mjs', 'bench/timed-pulls.ts', where.folder];
  execFileSync(process.execPath, bundle, { cwd: root, stdio: 'inherit' });
  const child = fork(path.join(where.folder, 'main.js'), [where.repository, ...nodeNames], {
    execArgv: [...RECONCILER_NODE_FLAGS],
  });
  if (child.pid !== undefined) prefer(child.pid, RECONCILER_PRIORITY);
  const next = (kind: PullTimed['kind']): Promise<PullTimed> =>
    new Promise((done, fail) => {
      const timer = setTimeout(() => fail(new Error(`the loop did not say: ${kind}`)), LIMIT_MS);
      const hear = (message: PullTimed): void => {
        if (message.kind === 'problem') say(message.text);
        if (message.kind !== kind) return;
        clearTimeout(timer);
        child.off('message', hear);
        done(message);
      };
      child.on('message', hear);
    });
  try {
    await next('rest');
    return await act(async (asked) => {
      const answer = next('planned');
      child.send(asked);
      return (await answer) as Planned;
    });
  } finally {
    const ended = once(child, 'exit');
    child.disconnect();
    await ended;
  }
};

interface Measuring {
  readonly ask: Ask;
  readonly history: History;
  readonly base: string;
}

const measure = async ({ ask, history, base }: Measuring, { count, say }: FigureOptions) => {
  const samples: number[] = [];
  const floor: number[] = [];
  const heldUp: number[] = [];
  for (let round = -WARM; round < (count ?? ROUNDS); round += 1) {
    const changes = new Map(
      Array.from({ length: CHANGED }, (_, at) => {
        const job = ((round + WARM) * CHANGED + at) * STRIDE;
        return [job % JOBS, jobText(job % JOBS, COMMITS + WARM + round)] as const;
      }),
    );
    const head = history.pull(base, changes);
    const plan = await ask({ base, head });
    if (plan.jobs !== CHANGED) throw new Error(`${plan.jobs} jobs are planned: ${plan.text}`);
    const start = monotonicMs();
    execFileSync('git', ['-C', history.folder, 'diff-tree', '-r', base, head]);
    const compared = monotonicMs() - start;
    const { tookMs, heldUpMs, memoryMib } = plan;
    const held = `loop held up ${ms(heldUpMs)}, memory ${memoryMib.toFixed(0)} MiB`;
    if (round === -WARM) say(`the first took ${ms(tookMs)}; ${held}`);
    if (round < 0) continue;
    samples.push(tookMs);
    heldUp.push(heldUpMs);
    floor.push(compared);
  }
  const p99 = quantile(samples, 0.99);
  return [
    {
      what: `pull request → plan, ${JOBS} jobs, ${CHANGED} changed`,
      ours: spread(samples),
      floor: `git diff-tree ${ms(median(floor))}; loop held up ${ms(Math.max(...heldUp))} at most`,
      result: `p99 ${ms(p99)}`,
      goal: `p99 ≤ ${GOAL_MS} ms`,
      met: p99 <= GOAL_MS,
    },
  ];
};
