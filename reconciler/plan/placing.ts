// All wants of all jobs, placed in one pass over one capacity table, and made into steps.
// In: job plans in order of priority, nodes. Out: start and stop steps, reasons, volume homes to be
// written first. Not here: which node is best (place), what is wanted (group).

import { unaged } from '../../schema/ageing.ts';
import type { DesiredState } from '../../schema/desired.ts';
import { byName } from '../../schema/ids.ts';
import type { LedgerRecord } from '../../schema/ledger.ts';
import type { LiveAllocation, LiveNode, LiveState } from '../../schema/live.ts';
import type { Blocked, Plan, Step } from '../../schema/plan.ts';
import { compareText } from '../../schema/ids.ts';
import { listsOf } from '../../schema/lists.ts';
import type { Resources } from '../../schema/spec.ts';
import { NODE_FETCHES } from '../../schema/wire.ts';
import {
  createTable,
  place,
  roomOf,
  type Holding,
  type PlaceNode,
  type Placement,
  type Room,
  type Table,
  type Victim,
  type Want,
} from '../place/place.ts';
import { makeBody } from './body.ts';
import type { Copy } from './classify.ts';
import { fetchFailure, imageKey, imagesOf, missingImages } from './images.ts';
import type { SlotWant } from './scope.ts';
import type { JobPlan } from './job.ts';
import type { PlanMemo } from './memo.ts';
import { homesOf, type Homes } from './homes.ts';
import { hasSettled } from './lost-ledger.ts';
import { aheadDetail, gitAttributes, mayHideLoss, type NodeView, type NodeViews } from './nodes.ts';
import { stopStep } from './upkeep.ts';
import { bindingOf, endedFoldersOf, homesOwed, oldData, type EndedFolders } from './volumes.ts';

export interface Placed {
  readonly steps: readonly Step[];
  readonly blocked: readonly Blocked[];
  readonly records: readonly LedgerRecord[];
  readonly fetches: NonNullable<Plan['fetches']>;
}

interface Around {
  readonly nodes: NodeViews;
  readonly live: LiveState;
  readonly rooms: PlanMemo['rooms'];
}

interface Entry {
  readonly job: JobPlan;
  readonly slotWant: SlotWant;
  readonly want: Want;
}

export const placeAll = (
  desired: DesiredState,
  jobs: readonly JobPlan[],
  around: Around,
): Placed => {
  if (jobs.length === 0) return NOTHING;
  const { nodes } = around;
  const homes = homesOf(desired);
  const isUnsure = mayHideLoss(desired, nodes) && hasSettled(around.live.nodes.flatMap(unaged));
  const waits: Blocked[] = [];
  const entries: Entry[] = [];
  for (const job of jobs) {
    for (const slotWant of job.groups.flatMap((group) => group.wants)) {
      const binding = bindingOf(slotWant, { homes, isUnsure }, nodes);
      if (binding.kind === 'waits') waits.push(waiting(job, slotWant, binding));
      else {
        const only = binding.kind === 'bound' ? binding.node : null;
        entries.push({ job, slotWant, want: wantOf(job, slotWant, only) });
      }
    }
  }
  const table = tableOf(desired, jobs, around);
  const known = { homes, nodes, ended: endedFoldersOf(desired), table };
  const outcomes = entries.map((entry) => placeEntry(entry, known));
  return {
    steps: outcomes.flatMap((outcome) => outcome.steps),
    blocked: [...waits, ...outcomes.flatMap((outcome) => outcome.blocked)],
    records: outcomes.flatMap((outcome) => outcome.records),
    fetches: fetchesOf(outcomes.flatMap((outcome) => outcome.fetches)),
  };
};

/** What finds no room among the new copies is tried in its other form. */
const placeEntry = (entry: Entry, around: Known & { readonly table: Table }): Placed => {
  const [placement] = place([entry.want], around.table);
  const { otherwise } = entry.slotWant;
  const full = placement?.kind === 'no-allowance' && placement.allowance.startsWith('new ');
  if (!full || !otherwise) return outcomeOf(entry, placement, around);
  const want = wantOf(entry.job, otherwise, entry.want.only);
  return placeEntry({ ...entry, slotWant: otherwise, want }, around);
};

const wantOf = (job: JobPlan, slotWant: SlotWant, only: string | null): Want => {
  const { group, spec, victim, draws, reason } = slotWant;
  return {
    namespace: job.view.job.spec.namespace,
    group: spec,
    groupKey: group.key,
    only,
    victim: victim === null ? null : victimOf(victim.copy.allocation),
    draws,
    countsForQuota: reason === 'new',
  };
};

const victimOf = (allocation: LiveAllocation): Victim => ({
  node: allocation.node,
  allocation: allocation.allocation,
  hostPorts: hostPortsOf(allocation),
  spec: allocation.body.spec,
});

const hostPortsOf = ({ body, ports }: LiveAllocation): readonly number[] => [
  ...body.spec.ports.flatMap(({ host }) => (host === null ? [] : [host])),
  ...ports.map(({ host }) => host),
];

const tableOf = (
  desired: DesiredState,
  jobs: readonly JobPlan[],
  { nodes, live, rooms }: Around,
): Table =>
  createTable({
    nodes: placeNodesOf(desired, { nodes, rooms }),
    allowances: new Map(
      jobs.flatMap((job) => job.groups.flatMap((group) => [...group.allowances])),
    ),
    quotas: quotasOf(desired, live),
  });

/** Nodes in Git, sorted by name, with what they hold. */
export const placeNodesOf = (
  desired: DesiredState,
  { nodes, rooms }: Pick<Around, 'nodes' | 'rooms'>,
): readonly PlaceNode[] =>
  byName(
    desired.nodes.flatMap(({ name }) => {
      const node = nodes.byName.get(name);
      return node === undefined ? [] : [placeNodeOf(node, rooms)];
    }),
  );

const NO_ROOM: Resources = { cpuMilli: 0, memoryBytes: 0 };

const placeNodeOf = (node: NodeView, rooms: Around['rooms']): PlaceNode => ({
  name: node.name,
  refusal: refusalOf(node),
  capacity: node.live?.capacity ?? NO_ROOM,
  attributes: node.attributes,
  held: node.live === null ? NOTHING_HELD : heldBy(node.live, rooms),
  portsTaken: node.live?.portsTaken ?? [],
  ...(node.live?.portHolders === undefined
    ? null
    : { portHolders: new Map(node.live.portHolders) }),
});

const NOTHING_HELD = roomOf([]);

/** No age matters to it, so it is remembered with the allocations. */
const heldBy = (node: LiveNode, { byNode, byCopy }: Around['rooms']): Room => {
  const allocations = unaged(node);
  const known = byNode.get(allocations);
  if (known !== undefined) return known;
  const holdings: Holding[] = [];
  for (const one of allocations) {
    if (one.phase === 'dead') continue;
    const old = byCopy.get(one);
    const holding = old ?? holdingOf(one);
    if (old === undefined) byCopy.set(one, holding);
    holdings.push(holding);
  }
  const told = allocations.map(({ body, stopping }) => ({ spec: body.spec, leaves: stopping }));
  const room = roomOf(holdings, told);
  byNode.set(allocations, room);
  return room;
};

const holdingOf = (allocation: LiveAllocation): Holding => {
  const { namespace, job, group, spec } = allocation.body;
  return {
    group: `${namespace}/${job}/${group}`,
    ask: spec.ask,
    hostPorts: hostPortsOf(allocation),
  };
};

const refusalOf = (node: NodeView): PlaceNode['refusal'] => {
  if (node.standing === 'lost') return { reason: 'lost', detail: '' };
  if (node.live === null) return { reason: 'not-heard-from', detail: '' };
  if (node.ahead && node.live.connected) return { reason: 'behind', detail: aheadDetail(node) };
  if (node.standing === 'unknown') return { reason: 'unknown', detail: '' };
  if (node.drain !== 'no') return { reason: 'draining', detail: '' };
  return null;
};

/**
 * What each namespace with a quota has left: its limit less all copies that are there (rules 13).
 */
const quotasOf = (desired: DesiredState, live: LiveState): ReadonlyMap<string, Resources> => {
  const left = new Map<string, Resources>();
  for (const { name, quota } of desired.namespaces) {
    if (quota !== null) left.set(name, quota);
  }
  if (left.size === 0) return left;
  for (const { body, phase } of live.nodes.flatMap(unaged)) {
    const quota = left.get(body.namespace);
    if (quota === undefined || phase === 'dead') continue;
    const { cpuMilli, memoryBytes } = body.spec.ask;
    left.set(body.namespace, {
      cpuMilli: quota.cpuMilli - cpuMilli,
      memoryBytes: quota.memoryBytes - memoryBytes,
    });
  }
  return left;
};

const NOTHING: Placed = { steps: [], blocked: [], records: [], fetches: [] };

interface Known {
  readonly homes: Homes;
  readonly nodes: NodeViews;
  readonly ended: EndedFolders;
}

const outcomeOf = (entry: Entry, placement: Placement | undefined, known: Known): Placed => {
  const { job, slotWant } = entry;
  if (placement === undefined) return NOTHING;
  switch (placement.kind) {
    case 'placed':
      return stepsOf(entry, placement, known);
    case 'no-allowance':
      return { ...NOTHING, blocked: [allowanceWait(job, slotWant, placement.allowance)] };
    case 'over-quota':
      return {
        ...NOTHING,
        blocked: [waiting(job, slotWant, { why: 'quota', detail: placement.detail })],
      };
    case 'no-node':
      return {
        ...NOTHING,
        blocked: [
          {
            kind: 'no-node',
            job: job.view.job.id,
            slot: slotWant.slot.name,
            nodes: placement.reasons,
          },
        ],
        steps: stopWithoutPlace(job, slotWant),
      };
  }
};

/**
 * Rules 5.7 protect healthy copies only: a failed version's copy goes even where nothing can
 * follow it yet.
 */
const stopWithoutPlace = ({ view }: JobPlan, { victim }: SlotWant): readonly Step[] =>
  victim === null || victim.reason !== 'failed-version'
    ? []
    : [stopStep(view, victim.copy, victim.reason)];

const stepsOf = (
  { job, slotWant }: Entry,
  placement: Extract<Placement, { kind: 'placed' }>,
  { homes, nodes, ended }: Known,
): Placed => {
  const { slot, victim, spec, version } = slotWant;
  const { node, behind } = placement;
  const view = nodes.byName.get(node) ?? null;
  const old = oldData(slotWant, view?.live ?? null, ended);
  if (old !== null) {
    const detail = `the data of its volume ${old}, which was ended, are removed from ${node} first`;
    return { ...NOTHING, blocked: [waiting(job, slotWant, { why: 'volume-home', detail })] };
  }
  const records = homesOwed(slotWant, node, homes);
  const stop = victim === null ? [] : [stopFor(job, slotWant, { victim, behind })];
  if (records.length > 0) {
    const detail = `the home of its volumes, ${node}, is written to the ledger first`;
    return {
      ...NOTHING,
      blocked: [waiting(job, slotWant, { why: 'volume-home', detail })],
      records,
    };
  }
  // Stop-first on another node: the start follows when the old copy is seen to be gone. A singleton
  // always (9.3).
  if (victim !== null && (!behind || spec.singleton)) {
    return fetchFirst({ job, slotWant, view }, victim.copy) ?? { ...NOTHING, steps: stop };
  }
  const attributes = gitAttributes(view?.expected ?? null);
  const where = { index: slot.index, attempt: slot.nextAttempt, node, attributes };
  const body = makeBody(version, spec, where);
  const start: Step = {
    kind: 'start',
    node,
    job: job.view.job.id,
    slot: slot.name,
    allocation: body.allocation,
    reason: slotWant.reason,
    body,
    after: victim === null ? [] : [victim.copy.allocation.allocation],
  };
  return { ...NOTHING, steps: [...stop, start] };
};

/**
 * A healthy copy goes when what follows it can start (rules 5.7). Behind it on its node: the stop
 * names the images. One that is of no use any more is not kept for that.
 */
const stopFor = (
  job: JobPlan,
  { spec }: SlotWant,
  {
    victim: { copy, reason },
    behind,
  }: { readonly victim: NonNullable<SlotWant['victim']>; readonly behind: boolean },
): Step => {
  const stop = stopStep(job.view, copy, reason);
  const images = imagesOf(spec);
  const isFollowed = copy.costs && behind && !spec.singleton;
  return isFollowed && images.length > 0 ? { ...stop, images } : stop;
};

/** Elsewhere, or later: the node fetches them, and the stop comes once it says that they are there. */
const fetchFirst = (
  {
    job,
    slotWant,
    view,
  }: { readonly job: JobPlan; readonly slotWant: SlotWant; readonly view: NodeView | null },
  { costs }: Copy,
): Placed | null => {
  const missing = costs && view !== null ? missingImages(slotWant.spec, view) : [];
  if (view === null || missing.length === 0) return null;
  const names = missing.map(imageKey).join(', ');
  const failure = fetchFailure(missing, view);
  const detail =
    failure === null
      ? `it goes when ${view.name} has fetched ${names}`
      : `it goes when ${view.name} has ${names}: ${failure}`;
  return {
    ...NOTHING,
    blocked: [waiting(job, slotWant, { why: 'image-fetch', detail })],
    fetches: [{ node: view.name, images: imagesOf(slotWant.spec) }],
  };
};

/** By node, each image once. */
const fetchesOf = (all: Placed['fetches']): Placed['fetches'] =>
  [...listsOf(all, ({ node }) => node)]
    .toSorted(([a], [b]) => compareText(a, b))
    .map(([node, some]) => {
      const images = some.flatMap((one) => one.images).map((one) => [imageKey(one), one] as const);
      const sorted = [...new Map(images)].toSorted(([a], [b]) => compareText(a, b));
      return { node, images: sorted.slice(0, NODE_FETCHES).map(([, image]) => image) };
    });

const allowanceWait = (job: JobPlan, slotWant: SlotWant, allowance: string): Blocked =>
  waiting(
    job,
    slotWant,
    allowance.startsWith('stop ')
      ? { why: 'min-healthy-time', detail: 'a stop now would leave too few healthy copies' }
      : { why: 'max-parallel', detail: 'copies under way come first (max_parallel)' },
  );

const waiting = (
  { view }: JobPlan,
  { slot }: SlotWant,
  { why, detail, remedy = null }: Because,
): Blocked => ({ kind: 'waiting', job: view.job.id, slot: slot.name, why, detail, remedy });

type Wait = Extract<Blocked, { kind: 'waiting' }>;
type Because = Pick<Wait, 'why' | 'detail'> & Partial<Pick<Wait, 'remedy'>>;
