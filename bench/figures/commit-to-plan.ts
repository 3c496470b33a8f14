// A branch is renamed into place in a watched local repository of 10,000 job files and 10,000
// commits, one file changed; how long until the plan is there? The Git edge, the loop and the
// planner are the product's, in this process, so that the instant of the plan can be seen; the
// nodes are modelled: 100 of them, with every job running and settled. Beside it: `git diff-tree`
// of the same two commits, as a process of its own.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { compile } from '../../reconciler/desired/compile.ts';
import { createClock } from '../../reconciler/edge/clock.ts';
import { createGitSource } from '../../reconciler/edge/git/source.ts';
import { createLoop, type Loop, type LoopState } from '../../reconciler/loop.ts';
import type { LedgerRecord } from '../../schema/ledger.ts';
import {
  type Figure,
  type FigureOptions,
  median,
  ms,
  quantile,
  spread,
} from '../support/figure.ts';
import { createHistory, type History, STRIDE } from '../support/history.ts';
import { modelNodes } from '../support/model-nodes.ts';
import { epochMs, moveBranch } from '../support/repository.ts';

const JOBS = 10_000;
const COMMITS = 10_000;
const FOLDERS = 100;
const NODES = 100;
const ROUNDS = 200;
const GOAL_MS = 10;
/** Rounds that are not counted: code is compiled, the history read. */
const WARM = 5;
const QUIET_MS = 30;

const DIGEST = `sha256:${'a'.repeat(64)}`;
const jobText = (job: number, version: number): string =>
  `image: bench.local/app${job}:1@${DIGEST}\nports: { http: 8080 }\n` +
  `environment: { VERSION: "${version}" }\nupdate: { min_healthy_time: 0s }\n` +
  'healthcheck: { http: /healthz, port: http }\nresources: { cpu: 100m, memory: 128MiB }\n';

const nodeNames = Array.from({ length: NODES }, (_, at) => `n${String(at).padStart(3, '0')}`);

export const commitToPlan: Figure = {
  name: 'commit-to-plan',
  what: 'branch renamed → plan computed, 10,000 jobs, 1 changed, 10,000 commits',
  run: async (options) => {
    const root = fs.mkdtempSync(path.join(tmpdir(), 'pb-'));
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
    await settleAll(history.folder, options);
    const watched = watchLoop(history.folder, options);
    try {
      return await measure(watched, history, options);
    } finally {
      await watched.stop();
      fs.rmSync(root, { recursive: true, force: true });
    }
  },
};

const measure = async (watched: Watched, history: History, { count, say }: FigureOptions) => {
  const began = performance.now();
  await watched.until(atRest);
  say(`${JOBS} jobs placed and settled after ${ms(performance.now() - began)}`);
  const samples: number[] = [];
  const floor: number[] = [];
  for (let round = -WARM; round < (count ?? ROUNDS); round += 1) {
    const job = ((round + WARM) * STRIDE) % JOBS;
    const commit = history.change(job, jobText(job, COMMITS + WARM + round));
    await sleep(QUIET_MS);
    const planned = watched.planned(commit);
    const renamed = moveBranch(history.folder, commit);
    const taken = (await planned) - renamed;
    await watched.until(atRest);
    if (round < 0) continue;
    samples.push(taken);
    const start = performance.now();
    execFileSync('git', ['-C', history.folder, 'diff-tree', '-r', `${commit}^`, commit]);
    floor.push(performance.now() - start);
  }
  const p99 = quantile(samples, 0.99);
  return [
    {
      what: `branch renamed → plan, ${JOBS} jobs, ${COMMITS} commits, 1 changed`,
      ours: spread(samples),
      floor: `git diff-tree ${ms(median(floor))}`,
      result: `p99 ${ms(p99)}`,
      goal: `p99 ≤ ${GOAL_MS} ms`,
      met: p99 <= GOAL_MS,
    },
  ];
};

/** Nothing to do, nothing to write. */
const atRest = ({ view, write, failure }: LoopState): boolean =>
  view !== null &&
  write === null &&
  failure === null &&
  view.plan.steps.length === 0 &&
  view.plan.proposals.length === 0 &&
  view.plan.synced;

interface Watched {
  readonly until: (holds: (state: LoopState) => boolean) => Promise<void>;
  /** The instant at which the plan of this commit was there. */
  readonly planned: (commit: string) => Promise<number>;
  readonly stop: () => Promise<void>;
}

const LIMIT_MS = 120_000;

/** Says in the ledger that every job's version settled, as it would be after some hours. */
const settleAll = async (repository: string, options: FigureOptions): Promise<void> => {
  const source = openSource(repository, options);
  const tree = await source.read();
  const { oid } = tree.head;
  const records = compile(tree).jobs.map(({ id, spec, deployment }): LedgerRecord => ({
    kind: 'settled',
    job: id,
    specHash: spec.specHash,
    deployment,
    commit: oid,
    digests: [],
  }));
  await source.record([...records, { kind: 'synced', commit: oid }]);
  source.close();
};

const openSource = (repository: string, { say }: FigureOptions) =>
  createGitSource({
    repository,
    branch: 'main',
    directory: '',
    cluster: 'bench',
    log: { info: () => {}, warn: (_: object, text: string) => say(text), error: say2(say) },
    cacheDir: repository,
  });

const watchLoop = (repository: string, options: FigureOptions): Watched => {
  const { say } = options;
  const clock = createClock();
  const log = { info: () => {}, warn: (_: object, text: string) => say(text), error: say2(say) };
  const source = openSource(repository, options);
  const nodes = modelNodes(nodeNames, clock.now);
  const registry = {
    resolve: async () => ({ kind: 'digest' as const, digest: DIGEST }),
  };
  const loop = createLoop({ source, nodes, registry, clock, log });
  const abort = new AbortController();
  const running = loop.run(abort.signal);
  return {
    until: (holds) => when(loop, holds).then(() => undefined),
    planned: (commit) => when(loop, ({ view }) => view?.desired.commit.oid === commit),
    stop: async () => {
      abort.abort();
      await running;
      source.close();
    },
  };
};

const say2 = (say: (line: string) => void) => (fields: object, text: string) =>
  say(`${text} ${JSON.stringify(fields)}`);

const when = (loop: Loop, holds: (state: LoopState) => boolean): Promise<number> =>
  new Promise((done, fail) => {
    if (holds(loop.state())) return done(epochMs());
    const timer = setTimeout(() => {
      stop();
      const { view, failure, write } = loop.state();
      const { steps = [], proposals = [], blocked = [] } = view?.plan ?? {};
      const counts = {
        steps: steps.length,
        proposals: proposals.length,
        blocked: blocked.slice(0, 2),
      };
      fail(new Error(`the loop did not get there: ${JSON.stringify({ failure, write, counts })}`));
    }, LIMIT_MS);
    const stop = loop.watch((state) => {
      const at = epochMs();
      if (!holds(state)) return;
      clearTimeout(timer);
      stop();
      done(at);
    });
  });
