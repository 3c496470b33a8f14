// The runner's brain: what to do now, given what is wanted and what is.
// In: the accepted orders, the inventory, now. Out: actions, each with all it needs, the most
// urgent kind first. Synchronous and total; nothing is remembered between two looks but the marks,
// which are in the inventory. Not here: doing it (execute.ts), which orders are accepted
// (accept.ts).

import { compareText, containerId, slotName } from '../../schema/ids.ts';
import { decodeLabels } from '../../schema/labels.ts';
import type { NodeOrders, OrderItem } from '../../schema/orders.ts';
import type { Ms } from '../../schema/spec.ts';
import type { Action, Intent } from './action.ts';
import { containerKey, intent, laneOf, networkKey } from './action.ts';
import type { Held } from './admit.ts';
import { admit, heldBy, hold } from './admit.ts';
import type { Want } from './advance.ts';
import { advance, noneRuns, replaceTask } from './advance.ts';
import { fetchSteps } from './fetch.ts';
import { diskIsFull, imageToRemove } from './gc.ts';
import type { AllocationMark, ContainerFacts, Inventory, Lane } from './inventory.ts';
import { newMark } from './marks.ts';
import { adoptCompleted, isEnding } from './order.ts';
import { retryKey } from './retry.ts';
import { lastSteps, runSteps } from './start.ts';
import { hasRival, mustStop, mustWait, stopAfterAt } from './stop-after.ts';
import { stopSteps } from './stop.ts';
import { waitingStops } from './stop-waits.ts';
import { removalSteps } from './volumes.ts';

/** @param orders null: none were ever accepted; then nothing is touched (rules 8.3). */
export const decide = (
  orders: NodeOrders | null,
  inventory: Inventory,
  now: Ms,
): readonly Action[] => {
  if (orders === null) return [];
  const items = new Map(orders.items.map((item) => [item.allocation, item]));
  const actions: Action[] = [];
  const intents: Intent[] = [];
  let until: Ms = Number.POSITIVE_INFINITY;
  let held: Held | null = null;
  const holders = holdersOf(inventory);
  const leaving = leavingOf(inventory);
  const waiting = waitingStops(orders, inventory);
  const ids = new Set([...inventory.marks.keys(), ...items.keys()]);
  for (const allocation of [...ids].toSorted(compareText)) {
    const before = inventory.marks.get(allocation);
    const goesOn = before !== undefined && waiting.allocations.has(allocation);
    const item = goesOn ? runAgain(before) : items.get(allocation);
    const want = wantOf(item, inventory, now);
    if (before === undefined && want.kind === 'stop') continue;
    const start =
      before ?? (want.kind === 'run' ? adopt(newMark(want.body, now), inventory) : undefined);
    if (start === undefined) continue;
    const look = { want, holders, leaving, inventory, now };
    held = start.ports === null ? (held ?? heldBy(inventory)) : held;
    const result = lookAt(start, look, held);
    if (result.mark === null) actions.push({ kind: 'forget', allocation });
    else if (result.mark !== before) actions.push({ kind: 'remember', mark: result.mark });
    if (held !== null && result.mark !== null && result.mark.ports !== start.ports) {
      hold(held, result.mark);
    }
    intents.push(...result.intents);
    until = Math.min(until, result.until);
  }
  intents.push(
    ...waiting.pulls,
    ...fetchSteps(orders, inventory),
    ...orphanSteps(items, inventory),
    ...removalSteps(orders, inventory),
  );
  const image = imageToRemove(inventory, orders);
  if (image !== null) intents.push(intent({ kind: 'remove-image', name: image }));
  const granted = grant(intents, inventory, now);
  const wake = Math.min(until, granted.until);
  return [
    ...actions,
    ...granted.actions,
    ...(Number.isFinite(wake) ? [{ kind: 'wait' as const, until: wake }] : []),
  ];
};

/** Its stop waits: until then it is looked after as before. */
const runAgain = ({ allocation, body }: AllocationMark): OrderItem => ({
  kind: 'run',
  allocation,
  body,
  after: [],
});

/** What the orders, and the time without a reconciler (rules 9.3), say about one allocation. */
const wantOf = (item: OrderItem | undefined, inventory: Inventory, now: Ms): Want => {
  if (item === undefined) return { kind: 'stop', reason: 'absent', killTimeoutMs: null };
  if (item.kind === 'stop') {
    return { kind: 'stop', reason: item.reason, killTimeoutMs: item.killTimeoutMs };
  }
  if (mustStop(item.body.spec.stopAfterMs, inventory.contactAt, now)) {
    return { kind: 'stop', reason: 'stop-after', killTimeoutMs: null };
  }
  return { kind: 'run', body: item.body, after: item.after };
};

/** What containers of a lost mark still say: labels are the memory of last resort. */
const adopt = (mark: AllocationMark, inventory: Inventory): AllocationMark => {
  let next = mark;
  for (const task of mark.tasks) {
    const container = inventory.containers.get(containerId(mark.allocation, task.name));
    const labels = container === undefined ? null : ownLabels(container, inventory);
    if (labels === null) continue;
    if (labels.everHealthy) next = { ...next, firstHealthyAt: mark.acceptedAt };
    next = replaceTask(next, { ...task, restarts: labels.restarts, everStarted: true });
  }
  return adoptCompleted(next, inventory);
};

interface Look {
  readonly want: Want;
  readonly holders: ReadonlySet<string>;
  /** Slots of dead copies whose poststop tasks have not ended. */
  readonly leaving: ReadonlySet<string>;
  readonly inventory: Inventory;
  readonly now: Ms;
}

interface Result {
  /** null: nothing of it is left. */
  readonly mark: AllocationMark | null;
  readonly intents: readonly Intent[];
  readonly until: Ms;
}

const lookAt = (start: AllocationMark, look: Look, held: Held | null): Result => {
  const { want, inventory, now } = look;
  const mark = advance(start, want, inventory, now);
  if (mark.stop !== null) {
    const steps = stopSteps(mark, inventory, now);
    return { ...steps, mark: steps.done ? null : mark };
  }
  if (mark.deadAt !== null) return deadSteps(mark, look);
  const unsure =
    mustWait(mark.body.spec.stopAfterMs, inventory.unheardMs) || hasRival(mark, inventory);
  const leaves = look.leaving.has(slotName(mark.body));
  const waiting =
    unsure || leaves || (want.kind === 'run' && want.after.some((id) => look.holders.has(id)));
  if (mark.ports === null && !waiting && held !== null) {
    const admission = admit(mark, heldFor(mark, held, inventory), inventory.node.capacity);
    const next =
      admission.kind === 'admitted'
        ? { ...mark, ports: admission.ports }
        : withNote(mark, admission.failure, now);
    const ready = admission.kind === 'admitted';
    return pulling({ mark: next, ...runSteps(next, inventory, { now, ready }) }, look);
  }
  const steps = runSteps(mark, inventory, { now, ready: mark.ports !== null && !unsure });
  const until = Math.min(steps.until, turnsAt(mark, look));
  return pulling({ mark, intents: steps.intents, until }, look);
};

/**
 * What runs already has its ports, and what listens on them is itself: an adopted copy without a
 * mark is not refused for the sake of its own ports.
 */
const heldFor = (mark: AllocationMark, held: Held, inventory: Inventory): Held => {
  if (noneRuns(mark)) return held;
  const own = new Set(mark.body.spec.ports.map(({ host }) => host));
  const taken = [...held.ports].filter((port) => !own.has(port) || heldByOthers(port, inventory));
  return { ...held, resources: { cpuMilli: 0, memoryBytes: 0 }, ports: new Set(taken) };
};

const heldByOthers = (port: number, inventory: Inventory): boolean =>
  [...inventory.marks.values()].some(({ ports }) => ports?.some(({ host }) => host === port));

/** A pull that waits for the disk is shown on what needs it. */
const pulling = <R extends Result & { readonly mark: AllocationMark }>(
  result: R,
  { inventory, now }: Look,
): R => {
  if (!diskIsFull(inventory) || !result.intents.some(({ kind }) => kind === 'pull')) return result;
  const message = 'the image is not pulled: the disk of this node is almost full';
  const failure = { blame: 'platform', kind: 'disk', task: null, message } as const;
  return { ...result, mark: withNote(result.mark, failure, now) };
};

/**
 * Siblings of the task that failed are ended, and the poststop tasks run; then its network and
 * ports are free for others.
 */
const deadSteps = (mark: AllocationMark, { inventory, now }: Look): Result => {
  if (!noneRuns(mark) || isEnding(mark)) {
    const steps = runSteps(mark, inventory, { now, ready: false });
    const last = lastSteps(mark, inventory, now);
    const until = Math.min(steps.until, last.until);
    return { mark, intents: [...steps.intents, ...last.intents], until };
  }
  if (inventory.networks.has(mark.allocation)) {
    const { allocation } = mark;
    const intents = [intent({ kind: 'tear-down-network', allocation })];
    return { mark, intents, until: Number.POSITIVE_INFINITY };
  }
  const bare = (mark.ports ?? []).length === 0 ? mark : { ...mark, ports: [] };
  return { mark: bare, intents: [], until: Number.POSITIVE_INFINITY };
};

/** When the mark changes by time alone: health proven, or stop_after. */
const turnsAt = (mark: AllocationMark, { inventory, now }: Look): Ms => {
  const provenAt =
    mark.healthySince !== null && mark.firstHealthyAt === null
      ? mark.healthySince + mark.body.minHealthyMs
      : Number.POSITIVE_INFINITY;
  const stopAt = stopAfterAt(mark.body.spec.stopAfterMs, inventory.contactAt);
  return Math.min(
    provenAt > now ? provenAt : Number.POSITIVE_INFINITY,
    stopAt ?? Number.POSITIVE_INFINITY,
  );
};

/** The same note again is no news. */
const withNote = (
  mark: AllocationMark,
  failure: Omit<NonNullable<AllocationMark['failure']>, 'at'>,
  now: Ms,
): AllocationMark =>
  mark.failure?.message === failure.message ? mark : { ...mark, failure: { ...failure, at: now } };

/** Allocations of which something is left: what comes after them must wait (rules 10.1). */
const holdersOf = (inventory: Inventory): ReadonlySet<string> => {
  const holders = new Set(inventory.marks.keys());
  for (const container of inventory.containers.values()) {
    const labels = ownLabels(container, inventory);
    if (labels !== null) holders.add(labels.allocation);
  }
  return holders;
};

/** What comes after them in their slots must wait here: it would use the same volumes. */
const leavingOf = ({ marks }: Inventory): ReadonlySet<string> =>
  new Set(
    [...marks.values()].flatMap((mark) =>
      mark.deadAt !== null && isEnding(mark) ? [slotName(mark.body)] : [],
    ),
  );

/** Labels are values that never change, and every look asks for all of them. */
const decoded = new WeakMap<object, ReturnType<typeof decodeLabels>>();

/**
 * Ours: of this cluster and this node. Another runner's on the same containerd are foreign to us.
 */
export const ownLabels = (
  { labels }: ContainerFacts,
  { node }: Pick<Inventory, 'node'>,
): ReturnType<typeof decodeLabels> => {
  const known = decoded.get(labels);
  const facts = known === undefined ? decodeLabels(labels) : known;
  decoded.set(labels, facts);
  return facts !== null && facts.cluster === node.cluster && facts.node === node.node
    ? facts
    : null;
};

/** Containers and networks that no order and no mark speaks for: removed (rules 9.5). */
const orphanSteps = (
  items: ReadonlyMap<string, OrderItem>,
  inventory: Inventory,
): readonly Intent[] => {
  const owned = (id: string): boolean => inventory.marks.has(id) || items.get(id)?.kind === 'run';
  const intents: Intent[] = [];
  const mourned = new Set<string>();
  for (const container of inventory.containers.values()) {
    const labels = ownLabels(container, inventory);
    if (labels === null || owned(labels.allocation)) continue;
    mourned.add(labels.allocation);
    if (inventory.inFlight.has(containerKey(container.id))) continue;
    intents.push(intent({ kind: 'remove', container: container.id }));
  }
  for (const allocation of inventory.networks.keys()) {
    if (owned(allocation) || mourned.has(allocation)) continue;
    if (inventory.inFlight.has(networkKey(allocation))) continue;
    intents.push(intent({ kind: 'tear-down-network', allocation }));
  }
  return intents.toSorted((a, b) => compareText(a.key, b.key));
};

/**
 * Work that may begin now: its key is free, its retry is due, its lane has a place. The rest is
 * forgotten; the look after the next end finds it again. Labels are memory for the day on which the
 * disk's is lost: while containers wait for a place they wait too, and what a label would say twice
 * is said once.
 */
const grant = (
  intents: readonly Intent[],
  inventory: Inventory,
  now: Ms,
): { readonly actions: readonly Action[]; readonly until: Ms } => {
  const busy = new Set(inventory.inFlight);
  const room: Record<Lane, number> = { ...inventory.room };
  const full = diskIsFull(inventory);
  const actions: Action[] = [];
  let until: Ms = Number.POSITIVE_INFINITY;
  let crowded = false;
  const labels = intents.filter(({ kind }) => kind === 'relabel');
  const others = intents.filter(({ kind }) => kind !== 'relabel');
  for (const { kind, key, make } of [...others, ...labels]) {
    if (crowded && kind === 'relabel') break;
    if (busy.has(key) || (full && kind === 'pull')) continue;
    const retry = inventory.retries.get(retryKey(kind, key));
    if (retry !== undefined && retry.notBefore > now) {
      until = Math.min(until, retry.notBefore);
      continue;
    }
    const lane = laneOf(kind);
    if (room[lane] <= 0) {
      crowded ||= lane === 'create';
      continue;
    }
    room[lane] -= 1;
    busy.add(key);
    actions.push(make());
  }
  return { actions, until };
};
