// A job's copies, put into groups and slots: what each slot holds now.
// In: a desired job, its allocations, the nodes. Out: JobView, slots by index, the copy that counts
// in each chosen. Not here: what is to be done about it (deployment, group).

import type { DesiredJob } from '../../schema/desired.ts';
import { compareText, slotName } from '../../schema/ids.ts';
import type { LiveAllocation } from '../../schema/live.ts';
import type { GroupSpec } from '../../schema/spec.ts';
import { classify, isLive, isThere, mustMove, type Copy, type GroupFrame } from './classify.ts';
import type { Deadlines } from './deadlines.ts';
import { imageKey, imagesOf, successorDied, type Unfetched } from './images.ts';
import type { NodeViews } from './nodes.ts';
import { homeKey, type Homes } from './homes.ts';

export interface SlotView {
  readonly index: number;
  /** `<namespace>/<job>/<group>[<index>]`. */
  readonly name: string;
  /** The copy of the wanted version that counts; one that may stay before one that must move. */
  readonly target: Copy | null;
  /** The copy of another version that counts, the fallback's before others. */
  readonly other: Copy | null;
  /** Further live copies: returned nodes, moves under way, versions in between. */
  readonly extra: readonly Copy[];
  readonly going: readonly Copy[];
  /** Newest attempt first. */
  readonly dead: readonly Copy[];
  readonly lost: readonly Copy[];
  /** 1 + the highest attempt of the slot in any reported allocation (rules 10.2). */
  readonly nextAttempt: number;
}

export interface GroupView {
  readonly name: string;
  /** `<namespace>/<job>/<group>`. */
  readonly key: string;
  readonly frame: GroupFrame;
  /** Slots 0..count-1. */
  readonly slots: readonly SlotView[];
  /** Copies beyond the count or of a job or group that is wanted no more. */
  readonly beyond: readonly SlotView[];
  /** All of them, sorted by allocation. */
  readonly copies: readonly Copy[];
}

export interface JobView {
  readonly job: DesiredJob;
  /** Sorted by name. */
  readonly groups: readonly GroupView[];
  /**
   * The wanted version is known to have settled: by record, or by the label on a live copy (rules
   * 2.4).
   */
  readonly settled: boolean;
  /** Of the wanted version's images, the one that a registry was longest known not to have. */
  readonly unfetched: Unfetched | null;
}

/**
 * What the guard holds back: counts of groups that must not fall, or the removal of the whole job.
 */
export interface Held {
  readonly why: string;
  readonly removal: boolean;
  readonly counts: ReadonlyMap<string, number>;
}

export interface SlotsInput {
  readonly allocations: readonly LiveAllocation[];
  readonly nodes: NodeViews;
  readonly held: Held | null;
  /** Where named volumes live. */
  readonly homes: Homes;
  /** Allocations whose stops wait and are taken back, whatever else is true of them. */
  readonly takenBack?: ReadonlySet<string>;
}

export const viewJob = (wanted: DesiredJob, input: SlotsInput, deadlines: Deadlines): JobView => {
  const job = input.held?.removal === true ? kept(wanted, input.held.why) : wanted;
  const settled =
    job.settled ||
    input.allocations.some(
      ({ body, phase }) => body.settled && body.specHash === job.spec.specHash && phase !== 'dead',
    );
  const names = new Set([
    ...job.spec.groups.map((group) => group.name),
    ...(job.fallback?.spec.groups ?? []).map((group) => group.name),
    ...input.allocations.map(({ body }) => body.group),
  ]);
  const groups = [...names].toSorted(compareText).map((name) => {
    const mine = input.allocations.filter(({ body }) => body.group === name);
    const frame = frameOf({ job, name, settled }, mine, input.held);
    return viewGroup(name, frame, { ...input, allocations: mine, deadlines });
  });
  return { job, groups, settled, unfetched: unfetchedOf(groups, input.nodes) };
};

/** Where slots still hold something else: what runs the version already has its images. */
const unfetchedOf = (
  groups: readonly GroupView[],
  { unfetched }: Pick<NodeViews, 'unfetched'>,
): Unfetched | null => {
  if (unfetched.size === 0) return null;
  const found = groups
    .filter(({ slots }) => slots.some(({ target, other }) => target === null && other !== null))
    .flatMap(({ frame: { target } }) => (target === null ? [] : imagesOf(target)))
    .flatMap((image) => unfetched.get(imageKey(image)) ?? []);
  return found.toSorted((a, b) => b.forMs - a.forMs)[0] ?? null;
};

/** A removal that waits for approval is healed at its last content and not rolled (rules 8.1). */
const kept = (job: DesiredJob, why: string): DesiredJob => ({
  ...job,
  standing: { kind: 'held', why },
});

interface FrameInput {
  readonly job: DesiredJob;
  readonly name: string;
  readonly settled: boolean;
}

const frameOf = (
  { job, name, settled }: FrameInput,
  allocations: readonly LiveAllocation[],
  held: Held | null,
): GroupFrame => {
  const target = job.spec.groups.find((group) => group.name === name) ?? null;
  const fallback = job.fallback?.spec.groups.find((group) => group.name === name) ?? null;
  return { job, target, fallback, count: countOf() };

  function countOf(): number {
    if (job.standing.kind === 'removed' || job.spec.stopped) return 0;
    // A group that went with the new version stays until that version has settled: it may have to
    // come back.
    const group = target ?? (settled ? null : fallback);
    if (group === null) return held?.counts.get(name) ?? 0;
    return Math.max(liveCount(group, allocations), held?.counts.get(name) ?? 0);
  }
};

/**
 * While a machine owns the count and its file is missing, the slots that live now are the count
 * (rules 7).
 */
export const liveCount = (group: GroupSpec, allocations: readonly LiveAllocation[]): number => {
  if (group.scale === null || group.scale.fromFile) return group.count;
  const { min, max } = group.scale;
  const slots = allocations.filter(({ stopping }) => !stopping).map(({ body }) => body.index + 1);
  return Math.min(max, Math.max(min, ...slots));
};

const viewGroup = (
  name: string,
  frame: GroupFrame,
  input: SlotsInput & { readonly deadlines: Deadlines },
): GroupView => {
  const { namespace, job } = frame.job.spec;
  const copies = input.allocations.flatMap((allocation) => {
    const node = input.nodes.byName.get(allocation.node);
    if (node === undefined) return [];
    const waits = allocation.stopWaits !== undefined;
    const isTakenBack =
      input.takenBack?.has(allocation.allocation) === true ||
      (waits && successorDied(frame, allocation.body.index, input.allocations));
    const isAway = isAwayFromHome(allocation, input.homes);
    return [classify({ allocation, node, frame, isTakenBack, isAway }, input.deadlines)];
  });
  const byIndex = new Map<number, Copy[]>();
  for (const copy of copies) {
    const { index } = copy.allocation.body;
    const slot = byIndex.get(index);
    if (slot === undefined) byIndex.set(index, [copy]);
    else slot.push(copy);
  }
  const slotAt = (index: number): SlotView =>
    viewSlot(index, slotName({ namespace, job, group: name, index }), byIndex.get(index) ?? []);
  const beyond = [...byIndex.keys()].filter((index) => index >= frame.count);
  return {
    name,
    key: `${namespace}/${job}/${name}`,
    frame,
    slots: Array.from({ length: frame.count }, (_, index) => slotAt(index)),
    beyond: beyond.toSorted((a, b) => a - b).map(slotAt),
    copies,
  };
};

/** A volume of it lives on another node: data were given up here, or made anew there (rules 14). */
const isAwayFromHome = ({ body, node }: LiveAllocation, homes: Homes): boolean =>
  body.spec.volumes.some(({ name }) => {
    const home = homes.get(homeKey(body, name, body));
    return home !== undefined && home.node !== node;
  });

const viewSlot = (index: number, name: string, copies: readonly Copy[]): SlotView => {
  const live = copies.filter(isLive).toSorted(byMerit);
  const target = live.find((copy) => copy.version === 'target') ?? null;
  const other = live.find((copy) => copy.version !== 'target') ?? null;
  return {
    index,
    name,
    target,
    other,
    extra: live.filter((copy) => copy !== target && copy !== other),
    going: copies.filter((copy) => isThere(copy) && !isLive(copy)),
    dead: copies
      .filter((copy) => copy.class === 'dead')
      .toSorted((a, b) => b.allocation.body.attempt - a.allocation.body.attempt),
    lost: copies.filter((copy) => copy.class === 'lost'),
    nextAttempt: 1 + Math.max(0, ...copies.map((copy) => copy.allocation.body.attempt)),
  };
};

/**
 * Which of several copies stays (rules 9.2): one that serves, or may yet; one that may stay where
 * it is, on a node that answers, of the settled version, healthy, where its volumes live, healthy
 * for longer; then the older one, then the id.
 */
const byMerit = (a: Copy, b: Copy): number =>
  no(isSpent(a)) - no(isSpent(b)) ||
  no(mustMove(a)) - no(mustMove(b)) ||
  no(a.class === 'unknown') - no(b.class === 'unknown') ||
  no(a.version === 'other') - no(b.version === 'other') ||
  no(!a.healthy) - no(!b.healthy) ||
  no(a.isAway) - no(b.isAway) ||
  (b.allocation.healthyForMs ?? -1) - (a.allocation.healthyForMs ?? -1) ||
  b.allocation.acceptedForMs - a.allocation.acceptedForMs ||
  compareText(a.allocation.allocation, b.allocation.allocation);

/** Of a version that was superseded before this copy ever served (rules 5.6). */
const isSpent = (copy: Copy): boolean => copy.version === 'other' && !copy.costs;

/** A fault as a number, so that the copy without it comes first. */
const no = (fault: boolean): number => (fault ? 1 : 0);
