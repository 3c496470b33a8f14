// What must hold when the faults have ended and people rest: the machines match the last commit, or
// each difference has a reason that lasts.
// In: a world at rest. Out: the differences without a reason; none means settled.
// Not here: what must hold at every moment (check.ts), how long to wait (run.ts).

import type { Blocked, WaitReason } from '../../schema/plan.ts';
import type { JobDraft } from './drafts.ts';
import { idOf } from './truth.ts';
import type { World } from './world.ts';

/** Reasons that may stand for good; the others must pass by themselves. */
const LASTING: ReadonlySet<WaitReason> = new Set([
  'held',
  'unresolved-image',
  'canary',
  'paused',
  'stalled',
  'failed',
  'degraded',
  'guard',
  'rename',
  'revert-impossible',
  'no-replacement-place',
]);

export const differences = (world: World): readonly string[] => {
  const view = world.view();
  const head = world.human.repo.head().info.oid;
  if (view === null) return ['no reconciler has made a plan'];
  if (view.plan.commit !== head) return [`the plan is of ${view.plan.commit}, HEAD is ${head}`];
  const { jobs, nodes } = world.human.intent();
  const wrong = new Set(view.desired.problems.map(({ file }) => file));
  const unread = [...jobs.values()].filter(({ broken, path }) => broken && wrong.has(path));
  const reasons = new Set([
    ...reasonsOf(view.plan.blocked, view.plan.guarded),
    ...unread.map(({ id }) => id),
  ]);
  const unexplained = (job: string, found: string | null): readonly string[] =>
    found === null || reasons.has(job) ? [] : [`${job}: ${found}`];
  const gone = new Set(
    world.truth.running().flatMap(({ body }) => (jobs.has(idOf(body)) ? [] : [idOf(body)])),
  );
  return [
    ...[...jobs.values()].flatMap((draft) => unexplained(draft.id, difference(world, draft))),
    ...[...gone].flatMap((id) => unexplained(id, 'runs although it is deleted')),
    ...[...nodes.values()].flatMap(({ name, drain }) =>
      world.truth
        .running()
        .filter(({ node, body }) => drain && node.name === name && !reasons.has(idOf(body)))
        .map(({ allocation }) => `${allocation} runs on ${name}, which is drained`),
    ),
  ];
};

const reasonsOf = (
  blocked: readonly Blocked[],
  guarded: readonly { readonly job: string }[],
): ReadonlySet<string> =>
  new Set(
    [...blocked.filter((each) => each.kind === 'no-node' || LASTING.has(each.why)), ...guarded].map(
      ({ job }) => job,
    ),
  );

const difference = (world: World, draft: JobDraft): string | null => {
  const { truth } = world;
  const copies = truth.copiesOf(draft.id);
  const wanted = draft.stopped ? 0 : draft.count;
  const tag = `:v${draft.version}`;
  const right = copies.filter(
    (copy) =>
      truth.well(copy) &&
      copy.body.spec.tasks.every(({ image }) => `${image.reference}@`.includes(`${tag}@`)),
  );
  if (copies.length === wanted && right.length === wanted) return null;
  const list = copies.map(({ allocation, node, body }) => {
    const reference = body.spec.tasks[0]?.image.reference.split('@')[0] ?? '';
    return `${allocation}@${node.name} ${reference}`;
  });
  return `${right.length} of ${wanted} copies of ${tag} are well; running: ${list.join(', ')}`;
};
