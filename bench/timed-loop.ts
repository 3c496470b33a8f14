// The process whose plans are timed (figures/commit-to-plan.ts): the product's Git edge, loop and
// planner, bundled as the product is and started as it is, around modelled nodes. In: a repository
// and names of nodes, as arguments. Out: messages to the process that started it.
// Not here: who commits, what is made of the times.

import { createClock } from '../reconciler/edge/clock.ts';
import { createGitSource } from '../reconciler/edge/git/source.ts';
import { createLoop, type LoopState } from '../reconciler/loop.ts';
import { modelNodes } from './support/model-nodes.ts';
import { MODEL_DIGEST, monotonicMs, type TimedMessage } from './support/timed-plans.ts';

const main = (): void => {
  const [repository = '', ...names] = process.argv.slice(2);
  const tell = (message: TimedMessage): void => {
    process.send?.(message);
  };
  const problem = (fields: object, text: string): void =>
    tell({ kind: 'problem', text: `${text} ${JSON.stringify(fields)}` });
  const log = { info: () => {}, warn: problem, error: problem };
  const clock = createClock();
  const source = createGitSource({
    repository,
    branch: 'main',
    directory: '',
    cluster: 'bench',
    log,
    cacheDir: repository,
  });
  const registry = { resolve: async () => ({ kind: 'digest' as const, digest: MODEL_DIGEST }) };
  const loop = createLoop({ source, nodes: modelNodes(names, clock.now), registry, clock, log });
  const said = { planned: '', rest: '' };
  loop.watch((state) => {
    const atMs = monotonicMs();
    const commit = state.view?.desired.commit.oid ?? '';
    if (commit !== said.planned) tell({ kind: 'planned', commit, atMs });
    said.planned = commit;
    if (commit === said.rest || !isAtRest(state)) return;
    said.rest = commit;
    tell({ kind: 'rest', commit });
  });
  // The parent is gone: so is whoever wanted to know.
  process.once('disconnect', () => process.exit());
  void loop.run(new AbortController().signal);
};

/** Nothing to do, nothing to write. */
const isAtRest = ({ view, write, failure }: LoopState): boolean =>
  view !== null &&
  write === null &&
  failure === null &&
  view.plan.steps.length === 0 &&
  view.plan.proposals.length === 0 &&
  view.plan.synced;

main();
