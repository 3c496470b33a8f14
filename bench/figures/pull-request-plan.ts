// A pull request of 20 changed job files against 10,000, every job running and settled on 100
// modelled nodes; how long until its plan is there, rehearsal included, and how long is the loop
// held up meanwhile? The repository is local, so nothing is fetched. Beside it: `git diff-tree` of
// base and head. Not here: the process that is timed (bench/timed-pulls.ts).

import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Ends, withEnds } from '../support/ends.ts';
import {
  type Figure,
  type FigureOptions,
  median,
  ms,
  quantile,
  spread,
} from '../support/figure.ts';
import { createHistory, type History, STRIDE } from '../support/history.ts';
import { endProgram, forkProgram } from '../support/program.ts';
import { settleAll } from '../support/settled.ts';
import { monotonicMs } from '../support/timed-plans.ts';
import type { PullAsked, PullTimed } from '../timed-pulls.ts';
import { jobText, nodeNames } from './commit-to-plan.ts';

export const JOBS = 10_000;
const COMMITS = 10_000;
const FOLDERS = 100;
export const CHANGED = 20;
const ROUNDS = 100;
const GOAL_MS = 1000;
/** The first rounds, each in a thread that has read nothing yet. */
const COLD = 3;
const COLD_GOAL_MS = 5000;
/** Milliseconds that the loop may be held up. */
const HELD_GOAL_MS = 50;
/** Rounds after them that are not counted: the thread's code is being compiled. */
const WARM = 5;
/** By then a reconciler has kept what it has read, and has walked its branch. */
const QUIET_MS = 10_000;
/** 10,000 jobs are placed in some ten seconds. */
const LIMIT_MS = 120_000;

export const pullRequestPlan: Figure = {
  name: 'pull-request-plan',
  what: 'pull request there → its plan, 10,000 jobs, 20 changed',
  run: (options) =>
    withEnds(async (ends) => {
      const root = ends.folder();
      const history = zonedHistory(root);
      const base = await settleAll(history.folder, options);
      const where = { repository: history.folder, folder: path.join(root, 'program') };
      return measure({ ask: await startAsked(where, ends, options), history, base }, options);
    }),
};

/** 10,000 job files and commits, and nodes in three zones. */
export const zonedHistory = (root: string): History => {
  const nodes = nodeNames.map((name, at) => {
    const zone = ['a', 'b', 'c'][at % 3] ?? 'a';
    return [`nodes/${name}.yaml`, `node: ${name}\nlabels: { zone: ${zone} }\n`];
  });
  return createHistory({
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
};

type Planned = Extract<PullTimed, { kind: 'planned' }>;
type Ask = (asked: PullAsked) => Promise<Planned>;

/** The process under test, once its loop is at rest. */
const startAsked = async (
  where: { readonly repository: string; readonly folder: string },
  ends: Ends,
  { say }: FigureOptions,
): Promise<Ask> => {
  const child = forkProgram({
    entry: 'bench/timed-pulls.ts',
    folder: where.folder,
    args: [where.repository, ...nodeNames],
  });
  ends.add(() => endProgram(child));
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
  await next('rest');
  await sleep(QUIET_MS);
  return async (asked) => {
    const answer = next('planned');
    child.send(asked);
    return (await answer) as Planned;
  };
};

interface Measuring {
  readonly ask: Ask;
  readonly history: History;
  readonly base: string;
}

const measure = async (measuring: Measuring, { count, say }: FigureOptions) => {
  const cold: Round[] = [];
  const warm: Round[] = [];
  for (let at = 0; at < COLD + WARM + (count ?? ROUNDS); at += 1) {
    const isCold = at < COLD;
    const round = await oneRound(measuring, at, isCold);
    const { tookMs, heldUpMs, processorMs, memoryMib } = round.plan;
    const memory = `memory ${memoryMib.toFixed(0)} MiB`;
    const held = `processors ${ms(processorMs)}, loop held up ${ms(heldUpMs)}, ${memory}`;
    if (isCold || at === COLD) say(`round ${at + 1} took ${ms(tookMs)}; ${held}`);
    if (isCold) cold.push(round);
    else if (at >= COLD + WARM) warm.push(round);
  }
  const took = (rounds: readonly Round[]) => rounds.map(({ plan }) => plan.tookMs);
  const held = (rounds: readonly Round[]) => Math.max(...rounds.map(({ plan }) => plan.heldUpMs));
  const diff = median([...cold, ...warm].map(({ comparedMs }) => comparedMs));
  const what = `pull request → plan, ${JOBS} jobs, ${CHANGED} changed`;
  const [p99, coldMs, coldHeldMs] = [quantile(took(warm), 0.99), median(took(cold)), held(cold)];
  return [
    {
      what,
      ours: spread(took(warm)),
      floor: `git diff-tree ${ms(diff)}; loop held up ${ms(held(warm))} at most`,
      result: `p99 ${ms(p99)}`,
      goal: `p99 ≤ ${GOAL_MS} ms`,
      met: p99 <= GOAL_MS,
    },
    {
      what: `${what}, cold thread`,
      ours: spread(took(cold)),
      floor: `loop held up ${ms(coldHeldMs)} at most`,
      result: ms(coldMs),
      goal: `≤ ${COLD_GOAL_MS / 1000} s, loop held up ≤ ${HELD_GOAL_MS} ms`,
      met: coldMs <= COLD_GOAL_MS && coldHeldMs <= HELD_GOAL_MS,
    },
  ];
};

interface Round {
  readonly plan: Planned;
  readonly comparedMs: number;
}

const oneRound = async (
  { ask, history, base }: Measuring,
  round: number,
  isCold: boolean,
): Promise<Round> => {
  const head = history.pull(base, changesIn(round));
  const plan = await ask({ base, head, isCold });
  if (plan.jobs !== CHANGED) throw new Error(`${plan.jobs} jobs are planned: ${plan.text}`);
  const start = monotonicMs();
  execFileSync('git', ['-C', history.folder, 'diff-tree', '-r', base, head]);
  return { plan, comparedMs: monotonicMs() - start };
};

/** Twenty jobs, others each time, in versions of their own. */
export const changesIn = (round: number): ReadonlyMap<number, string> =>
  new Map(
    Array.from({ length: CHANGED }, (_, at) => {
      const job = (round * CHANGED + at) * STRIDE;
      return [job % JOBS, jobText(job % JOBS, COMMITS + 1 + round)] as const;
    }),
  );
