// What must hold when the faults have ended and people rest: the machines match the last commit, or
// each difference has a reason that lasts.
// In: a world at rest. Out: the differences without a reason; none means settled.
// Not here: what must hold at every moment (check.ts), how long to wait (run.ts).

import type { Blocked, WaitReason } from '../../schema/plan.ts';
import type { View } from '../../reconciler/cycle.ts';
import { slotName } from '../../schema/ids.ts';
import { unmarked } from './check-deployments.ts';
import { countsOf, isGood, type JobDraft } from './drafts.ts';
import { inForce } from './human.ts';
import { idOf, type Copy, type SimNode } from './truth.ts';
import type { World } from './world.ts';

export const differences = (world: World): readonly string[] => {
  const view = world.view();
  const head = world.human.intents.at(-1)?.oid;
  if (view === null) return ['no reconciler has made a plan'];
  if (view.plan.commit !== head) return [`the plan is of ${view.plan.commit}, HEAD is ${head}`];
  const isRefused = head !== world.human.repo.head().info.oid;
  if (isRefused !== (view.tree.refused !== undefined)) {
    return [`${isRefused ? 'nobody' : 'somebody'} is told that the newest commit does not count`];
  }
  const [waits, told] = [heldNow(world), heldBy(view)];
  if (waits !== told) return [`${waits} wait for owners, and ${told} are said to`];
  const { jobs, nodes } = world.human.intent();
  const scene: Scene = { world, view };
  const gone = new Set(
    world.truth.running().flatMap(({ body }) => (jobs.has(idOf(body)) ? [] : [idOf(body)])),
  );
  return [
    ...[...jobs.values()].flatMap((draft) => jobDifference(scene, draft)),
    ...unmarked(world, view),
    ...[...gone].map((id) => `${id}: runs although it is deleted`),
    ...[...nodes.values()].flatMap(({ name, drain }) =>
      world.truth
        .running()
        .filter(
          ({ node, body }) => drain !== false && node.name === name && !mayStay(scene, idOf(body)),
        )
        .map(({ allocation }) => `${allocation} runs on ${name}, which is drained`),
    ),
  ];
};

/** Jobs whose files no owner has let through, by what people meant and by what status says. */
const heldNow = ({ human }: World): string =>
  [...(human.intents.at(-1)?.held.keys() ?? [])].toSorted().join(' ');

const heldBy = ({ desired }: View): string =>
  (desired.heldFiles ?? [])
    .map(({ path }) => path.slice('jobs/'.length, -'.yaml'.length))
    .join(' ');

interface Scene {
  readonly world: World;
  readonly view: View;
}

const blockedOf = ({ view }: Scene, job: string): readonly Blocked[] =>
  view.plan.blocked.filter((each) => each.job === job);

const waits = (scene: Scene, job: string, ...reasons: readonly WaitReason[]): boolean =>
  blockedOf(scene, job).some((each) => each.kind === 'waiting' && reasons.includes(each.why));

/** A copy stays on a drained node while nothing can follow it (5.7), or it holds a volume (14). */
const mayStay = (scene: Scene, job: string): boolean =>
  noRoom(scene, job) ||
  waits(scene, job, 'no-replacement-place', 'volume-drain') ||
  lasting(scene, job) !== null;

/**
 * A plan says that no node takes a slot: it is believed when that is so. A copy that is being
 * stopped or moved gives its room back, so what is free may be more later, never now.
 */
const noRoom = (scene: Scene, job: string): boolean => {
  const draft = scene.world.human.intent().jobs.get(job);
  const slots = blockedOf(scene, job).flatMap((each) =>
    each.kind === 'no-node' ? [each.slot] : [],
  );
  if (slots.length === 0 || draft === undefined) return slots.length > 0;
  const asks = [draft, inForce(scene.world.human.intents, Number.POSITIVE_INFINITY, job) ?? draft];
  const most = Math.max(...asks.map(({ memoryMiB }) => memoryMiB));
  const ask: RoomAsk = { memoryMiB: most, hostPort: draft.hostPort };
  const places = [...scene.world.nodes.values()];
  return slots.some((slot) => {
    const home = homeOf(scene, job, Number(/\[(\d+)\]$/.exec(slot)?.[1]));
    return !places.some((node) => (home === null || node.name === home) && takes(scene, node, ask));
  });
};

/** Where the slot's volume lives by the ledger (rules 14); null: nowhere, or it has none. */
const homeOf = ({ world }: Scene, job: string, index: number): string | null => {
  const homes = world.human.repo.ledger.flatMap((entry) =>
    entry.kind === 'volume' && `${entry.namespace}/${entry.job}` === job && entry.index === index
      ? [entry.node]
      : [],
  );
  return homes.at(-1) ?? null;
};

interface RoomAsk {
  readonly memoryMiB: number;
  readonly hostPort: number | null;
}

const CPU_MILLI = 100;
const MIB = 1024 * 1024;

const takes = ({ world, view }: Scene, node: SimNode, ask: RoomAsk): boolean => {
  const { truth, human } = world;
  if (human.intent().nodes.get(node.name)?.drain !== false || !node.machine.powered()) return false;
  const bodies = new Map(
    truth.running().flatMap((copy) => (copy.node === node ? [[copy.allocation, copy.body]] : [])),
  );
  // What is ordered and does not run yet, such as while its image is pulled, holds its room.
  for (const item of node.disk.orders?.items ?? []) {
    if (item.kind === 'run' && !isDead(view, item.allocation))
      bodies.set(item.allocation, item.body);
  }
  const specs = [...bodies.values()].map(({ spec }) => spec);
  const ports = specs.flatMap((spec) => spec.ports.map(({ host }) => host));
  if (ask.hostPort !== null && ports.includes(ask.hostPort)) return false;
  const asks = specs.map((spec) => spec.ask);
  const cpuMilli = asks.reduce((sum, each) => sum + each.cpuMilli, 0);
  const memoryBytes = asks.reduce((sum, each) => sum + each.memoryBytes, 0);
  return (
    cpuMilli + CPU_MILLI <= node.cpuMilli && memoryBytes + ask.memoryMiB * MIB <= node.memoryBytes
  );
};

/**
 * Why a job may stand still for good before all its copies are of the wanted version: people said
 * so, or the version is a bad one and there is nothing to go back to. Null: no such reason.
 */
const lasting = (scene: Scene, job: string): 'held' | 'paused' | 'bad' | null => {
  const draft = scene.world.human.intent().jobs.get(job);
  if (draft === undefined) return null;
  const unread = scene.view.desired.problems.some(({ file }) => file === draft.path);
  if (draft.broken) return unread && heldHere(scene, job) ? 'held' : null;
  if (draft.paused && waits(scene, job, 'paused')) return 'paused';
  if (isGood(draft)) return null;
  if (waits(scene, job, 'unresolved-image', 'degraded', 'revert-impossible')) return 'bad';
  // A pull that hangs is the platform's, and takes nothing back (rules 6.1).
  if (draft.behaviour.pull === 'never' && waits(scene, job, 'stalled', 'image-fetch')) return 'bad';
  const reasons: readonly WaitReason[] =
    draft.behaviour.pull === 'not-found' ? ['held', 'failed', 'stalled'] : ['failed', 'stalled'];
  return waits(scene, job, ...reasons) && !canGoBack(scene, job) ? 'bad' : null;
};

/**
 * Nothing of it was ever valid, or it is healed at its last valid content (rules 1.3), or that
 * content had failed already.
 */
const heldHere = (scene: Scene, job: string): boolean =>
  waits(scene, job, 'held') ||
  stoppedHere(scene, job) ||
  failedHere(scene, job) ||
  !scene.view.desired.jobs.some(({ id }) => id === job);

/** Its last valid content says `stopped: true`, so there is nothing that waits. */
const stoppedHere = ({ view }: Scene, job: string): boolean =>
  view.desired.jobs.some(
    ({ id, standing, spec }) => id === job && standing.kind === 'held' && spec.stopped,
  );

/**
 * Its last valid content failed for good, and the file was broken before the revert: there is
 * nothing to edit until people mend it (rules 6.3), and the settled version fills its slots (5.5).
 */
const failedHere = (scene: Scene, job: string): boolean => {
  const desired = scene.view.desired.jobs.find(({ id }) => id === job);
  if (desired?.standing.kind !== 'held' || desired.fallback === null) return false;
  const marked = scene.world.human.repo.ledger.some(
    (entry) => entry.kind === 'failed' && entry.deployment === desired.deployment,
  );
  return marked && waits(scene, job, 'failed') && waits(scene, job, 'revert-impossible');
};

/**
 * Another version on the line of HEAD settled, and the failed one never did: a revert must follow
 * (rules 6.2, 6.3).
 */
const canGoBack = ({ world, view }: Scene, job: string): boolean => {
  const { intents, repo } = world.human;
  const desired = view.desired.jobs.find(({ id }) => id === job);
  const settled = repo.ledger.flatMap((entry) =>
    entry.kind === 'settled' && entry.job === job ? [entry] : [],
  );
  const own = desired?.spec.specHash ?? '';
  if (settled.some(({ specHash }) => specHash === own)) return false;
  // At most one revert a deployment: where its commit was thrown away, people decide (rules 6.4).
  const reverted = repo.ledger.some(
    (entry) => entry.kind === 'reverted' && entry.deployment === desired?.deployment,
  );
  const onLine = versionsOnLine(world, job);
  return (
    !reverted &&
    settled.some(({ commit }) => {
      const draft = intents.find(({ oid }) => oid === commit)?.intent.jobs.get(job);
      return draft === undefined || onLine.has(draft.version);
    })
  );
};

/**
 * The job's versions that the walk back from HEAD meets (rules 1.1, 6.3). What settled in a history
 * that people threw away is not among them, unless the history in its place has it too.
 */
const versionsOnLine = ({ human }: World, job: string): ReadonlySet<number> => {
  const head = human.intents.at(-1)?.oid;
  const versions = new Set<number>();
  let meaning = human.intents.find(({ oid }) => oid === head) ?? null;
  for (; meaning !== null; meaning = meaning.before) {
    const draft = meaning.intent.jobs.get(job);
    if (draft?.broken === false) versions.add(draft.version);
  }
  return versions;
};

/** Its restarts are used up: it is kept for the evidence, and holds no room. */
const isDead = ({ live }: View, allocation: string): boolean =>
  live.nodes.some((node) =>
    node.allocations.some((each) => each.allocation === allocation && each.phase === 'dead'),
  );

const jobDifference = (scene: Scene, draft: JobDraft): readonly string[] => {
  const { world } = scene;
  const { id } = draft;
  if (noRoom(scene, id)) return [];
  const why = lasting(scene, id);
  if (why === null) return told(draft, difference(world, draft));
  const meant = inForce(world.human.intents, world.human.intents.length - 1, id);
  // Of a bad version, nothing can be said; of another, and of one that failed for good with a
  // settled one behind it, every slot has a copy that is well.
  const settled = settledDraft(scene, id);
  if (why === 'bad' || meant === undefined) return [];
  if (!isGood(meant) && !(why === 'held' && failedHere(scene, id))) return [];
  if (settled !== null && !isGood(settled)) return [];
  return told(draft, gaps(world, meant, why === 'held' ? overtaken(scene, id) : NO_SLOTS));
};

const NO_SLOTS: ReadonlySet<number> = new Set();

/**
 * In a held job nothing stops, so a slot stays with a copy that never came up, of a version that a
 * rewrite took from the line, until people mend the file (rules 1.3, 8.3). The plan must say what
 * the copy waits for.
 */
const overtaken = ({ view }: Scene, job: string): ReadonlySet<number> => {
  const desired = view.desired.jobs.find(({ id }) => id === job);
  if (desired?.standing.kind !== 'held') return NO_SLOTS;
  const named = view.plan.blocked.flatMap((each) =>
    each.kind === 'waiting' && each.job === job && each.why === 'stalled' ? [each.slot] : [],
  );
  const copies = view.live.nodes.flatMap(({ allocations }) => allocations);
  const never = copies.filter(
    ({ body, phase, everHealthy, stopping }) =>
      `${body.namespace}/${body.job}` === job &&
      body.specHash !== desired.spec.specHash &&
      phase === 'pending' &&
      !everHealthy &&
      !stopping &&
      named.includes(slotName(body)),
  );
  return new Set(never.map(({ body }) => body.index));
};

/** The version that missing copies fall back to (rules 5.5), as people wrote it. */
const settledDraft = ({ world, view }: Scene, job: string): JobDraft | null => {
  const fallback = view.desired.jobs.find(({ id }) => id === job)?.fallback ?? null;
  const images =
    fallback?.spec.groups.flatMap(({ tasks }) => tasks.map(({ image }) => image)) ?? [];
  const drafts = world.human.intents.flatMap(({ intent }) => intent.jobs.get(job) ?? []);
  const isOf = ({ version }: JobDraft): boolean =>
    images.some(({ reference }) => `${reference}@`.includes(`:v${version}@`));
  return drafts.find(isOf) ?? null;
};

const told = ({ id }: JobDraft, found: string | null): readonly string[] =>
  found === null ? [] : [`${id}: ${found}`];

/** Healed and nothing rolled (rules 1.3, 5.5): every slot has a copy that is well, of any version. */
const gaps = ({ truth }: World, draft: JobDraft, excused: ReadonlySet<number>): string | null => {
  const copies = truth.copiesOf(draft.id);
  const wanted = draft.stopped ? { min: 0, max: 0 } : countsOf(draft);
  const slots = new Set(copies.filter(truth.well).map(({ body }) => body.index));
  const missing = Array.from({ length: wanted.min }, (_, index) => index).filter(
    (index) => !slots.has(index) && !excused.has(index),
  );
  const beyond = copies.filter(({ body }) => body.index >= wanted.max);
  if (missing.length === 0 && beyond.length === 0) return null;
  return `slots without a copy that is well: ${missing.join(', ')}; running: ${list(copies)}`;
};

const difference = (world: World, draft: JobDraft): string | null => {
  const { truth } = world;
  const copies = truth.copiesOf(draft.id);
  // It is written down once the job is at rest (rules 7).
  if (draft.bounds !== null && draft.said === null && !draft.stopped) {
    return 'its count is the machine’s, and stands in no file';
  }
  const wanted = draft.stopped ? 0 : countsOf(draft).max;
  const tag = `:v${draft.version}`;
  const right = copies.filter(
    (copy) =>
      truth.well(copy) &&
      copy.body.spec.tasks.every(({ image }) => `${image.reference}@`.includes(`${tag}@`)),
  );
  if (copies.length === wanted && right.length === wanted) return null;
  return `${right.length} of ${wanted} copies of ${tag} are well; running: ${list(copies)}`;
};

const list = (copies: readonly Copy[]): string =>
  copies
    .map(({ allocation, node, body }) => {
      const reference = body.spec.tasks[0]?.image.reference.split('@')[0] ?? '';
      return `${allocation}@${node.name} ${reference}`;
    })
    .join(', ');
