// The process whose plans of pull requests are timed (figures/pull-request-plan.ts): the product's
// loop around modelled nodes, and the product's thread for pull requests beside it. In: a
// repository and names of nodes, as arguments; asks, as messages. Out: what each ask took, and how
// long the loop's thread was held up at most meanwhile. Not here: who asks.

import path from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createClock } from '../reconciler/edge/clock.ts';
import { createGitSource } from '../reconciler/edge/git/source.ts';
import { createKeep } from '../reconciler/edge/keep.ts';
import { createPullPlans } from '../reconciler/edge/pull-plans.ts';
import { createKeeping } from '../reconciler/keeping.ts';
import { createLoop, type LoopState } from '../reconciler/loop.ts';
import { createMemos } from '../reconciler/memos.ts';
import { NOTHING_KEPT } from '../schema/kept.ts';
import type { PullPlan } from '../schema/pull-plan.ts';
import { modelNodes } from './support/model-nodes.ts';
import { MODEL_DIGEST } from './support/timed-plans.ts';

export interface PullAsked {
  readonly base: string;
  readonly head: string;
  /** In a thread that is started for it, and knows nothing. */
  readonly isCold: boolean;
}

export type PullTimed =
  | { readonly kind: 'rest' }
  | { readonly kind: 'problem'; readonly text: string }
  | {
      readonly kind: 'planned';
      readonly tookMs: number;
      readonly heldUpMs: number;
      /** Of all threads together: what it took apart from waiting for a core. */
      readonly processorMs: number;
      /** Jobs that the plan does something to; -1: it was not worked out. */
      readonly jobs: number;
      readonly text: string;
      readonly memoryMib: number;
    };

/** Set by esbuild.mjs. */
declare const PURSER_BUILD: string | undefined;

const main = (): void => {
  const [repository = '', ...names] = process.argv.slice(2);
  const tell = (message: PullTimed): void => void process.send?.(message);
  const problem = (fields: object, text: string): void =>
    tell({ kind: 'problem', text: `${text} ${JSON.stringify(fields)}` });
  const log = { info: () => {}, warn: problem, error: problem };
  const clock = createClock();
  const where = { repository, branch: 'main', directory: '', cluster: 'bench' };
  const source = createGitSource({ ...where, log, cacheDir: repository });
  const registry = { resolve: async () => ({ kind: 'digest' as const, digest: MODEL_DIGEST }) };
  // As main.ts puts them together: what is read is kept on disk, and the thread takes it from there.
  const memos = createMemos();
  const nodes = modelNodes(names, clock.now);
  const loop = createLoop({ source, nodes, registry, clock, log }, memos);
  const program = typeof PURSER_BUILD === 'undefined' ? null : PURSER_BUILD;
  const keptIn = path.join(repository, '../kept');
  const keep = program === null ? null : createKeep({ folder: keptIn, program, log });
  const keeping = createKeeping(NOTHING_KEPT, {
    reads: memos.compile.reads,
    texts: () => source.texts(),
    keep: async (texts, documents) => keep?.keep(texts, documents),
  });
  const open = () =>
    createPullPlans({
      source: { ...where, cacheDir: repository, sshCommand: null },
      keep: program === null ? null : { folder: keptIn, program },
      auth: null,
      registryCredentials: null,
      insecureRegistries: [],
      walked: source.walked,
    });
  let plans = open();
  let rested = false;
  loop.watch((state) => {
    if (state.view !== null) keeping.offer(state.view);
    if (rested || !isAtRest(state)) return;
    rested = true;
    tell({ kind: 'rest' });
  });
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const plan = async ({ base, head, isCold }: PullAsked): Promise<void> => {
    const { view } = loop.state();
    if (view === null) return problem({}, 'nothing was read yet');
    if (isCold) {
      await plans.close();
      plans = open();
    }
    delay.enable();
    delay.reset();
    const before = process.cpuUsage();
    const start = performance.now();
    const made = await plans.plan({ base, head, live: view.live, fromFork: false });
    const tookMs = performance.now() - start;
    delay.disable();
    const used = process.cpuUsage(before);
    const processorMs = (used.user + used.system) / 1000;
    const heldUpMs = delay.max / 1e6;
    const memoryMib = process.memoryUsage().rss / 1024 ** 2;
    const said = { jobs: jobsOf(made), text: textOf(made) };
    tell({ kind: 'planned', tookMs, heldUpMs, processorMs, ...said, memoryMib });
  };
  process.on('message', (asked: PullAsked) => void plan(asked));
  process.once('disconnect', () => process.exit());
  void loop.run(new AbortController().signal);
};

const jobsOf = (plan: PullPlan): number =>
  plan.kind === 'planned' ? plan.summary.jobs.length : -1;

const textOf = (plan: PullPlan): string => (plan.kind === 'failed' ? plan.message : plan.kind);

const isAtRest = ({ view, write, failure }: LoopState): boolean =>
  view !== null &&
  write === null &&
  failure === null &&
  view.plan.steps.length === 0 &&
  view.plan.proposals.length === 0 &&
  view.plan.synced;

main();
