// The process whose checks are timed (figures/push-to-check.ts): the product's Git edge, loop, forge
// and thread for pull requests, put together as main.ts does it and bundled as it is, around modelled
// nodes. In: a configuration and names of nodes, as arguments. Out: messages to whoever started it.
// Not here: who pushes, who sends deliveries, GitHub.

import type { ReconcilerConfig } from '../reconciler/config.ts';
import { createClock } from '../reconciler/edge/clock.ts';
import { createGitSource } from '../reconciler/edge/git/source.ts';
import { createKeep } from '../reconciler/edge/keep.ts';
import { openForge } from '../reconciler/forge.ts';
import { createKeeping } from '../reconciler/keeping.ts';
import { createLoop, type LoopState } from '../reconciler/loop.ts';
import { createMemos } from '../reconciler/memos.ts';
import { NOTHING_KEPT } from '../schema/kept.ts';
import { modelNodes } from './support/model-nodes.ts';
import { MODEL_DIGEST } from './support/timed-plans.ts';

export type CheckTimed =
  /** Every copy runs, nothing is left to write; deliveries are taken at this address. */
  | { readonly kind: 'rest'; readonly webhook: string }
  | { readonly kind: 'problem'; readonly text: string };

/** Set by esbuild.mjs. */
declare const PURSER_BUILD: string;

const main = async (): Promise<void> => {
  // Whoever wanted to know is gone.
  process.once('disconnect', () => process.exit());
  const [text = '', ...names] = process.argv.slice(2);
  const given = JSON.parse(text) as ReconcilerConfig;
  const config: ReconcilerConfig = { ...given, program: PURSER_BUILD };
  const tell = (message: CheckTimed): void => void process.send?.(message);
  const problem = (fields: object, words: string): void =>
    tell({ kind: 'problem', text: `${words} ${JSON.stringify(fields)}` });
  const log = { info: () => {}, warn: problem, error: problem };
  const clock = createClock();
  const forge = await openForge(config, { clock, log });
  if (forge === null) throw new Error('the configuration names no forge');
  const { repository, cluster, cacheDir } = config;
  const { url, branch, directory } = repository;
  const login = forge.auth === null ? {} : { auth: forge.auth };
  const where = { repository: url, branch, directory, cluster, cacheDir };
  const source = createGitSource({ ...where, log, ...login });
  const registry = { resolve: async () => ({ kind: 'digest' as const, digest: MODEL_DIGEST }) };
  const memos = createMemos();
  const nodes = modelNodes(names, clock.now);
  const loop = createLoop({ source, nodes, registry, clock, log }, memos);
  const keep = createKeep({ folder: cacheDir, program: PURSER_BUILD, log });
  const keeping = createKeeping(NOTHING_KEPT, {
    reads: memos.compile.reads,
    texts: () => source.texts(),
    keep: async (texts, documents) => keep.keep(texts, documents),
  });
  const rest = new Promise<void>((done) => {
    loop.watch((state) => {
      if (state.view !== null) keeping.offer(state.view);
      if (isAtRest(state)) done();
    });
  });
  void loop.run(new AbortController().signal);
  const running = await forge.start({ loop, source, auth: forge.auth });
  await rest;
  tell({ kind: 'rest', webhook: `http://${running.webhookAddress}/webhook` });
};

const isAtRest = ({ view, write, failure }: LoopState): boolean =>
  view !== null &&
  write === null &&
  failure === null &&
  view.plan.steps.length === 0 &&
  view.plan.proposals.length === 0 &&
  view.plan.synced;

await main();
