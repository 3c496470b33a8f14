// The form in which reports and orders travel: whole values at both ends, differences on the wire.
// In: a report and what the other side has. Out: a frame, and back again. Bodies travel once a
// session and are named by hash afterwards; an allocation whose facts did not change is left out,
// since ages advance by themselves, and of others the fields that did not (wire-columns.ts). Not here:
// transport (the edges), meaning (reconciler/live).

import { hashOf } from './hash.ts';
import { compareText } from './ids.ts';
import type { HeardNode, LeftOut, UnchangedFact, UnchangedFacts } from './live.ts';
import type { AllocationBody, AllocationReport, NodeOrders, NodeReport } from './orders.ts';
import { isOlderReport, olderReport } from './older-report.ts';
import type { Ms } from './spec.ts';
import { aged, copyOf } from './wire-ages.ts';
import { type Columns, columnsOf, columnsProblem, knownCopy, patchesOf } from './wire-columns.ts';
import { type AllocationPatch, patchOf, withPatch } from './wire-patch.ts';

/** Protocol number of Hello; ends with different numbers refuse each other. */
export const LINK_PROTOCOL = 2;

/** Largest frame of orders, in bytes (rules 10.3). */
export const FRAME_BYTES = 1024 * 1024;
/** Largest body (rules 10.3). */
export const BODY_BYTES = 256 * 1024;
/** Most allocations that run on a node (rules 10.3). */
export const NODE_ALLOCATIONS = 2000;
/** Most images that a node is told to fetch ahead of need: a few rollouts and drains at once. */
export const NODE_FETCHES = 100;
/**
 * What the bodies of one set of orders may have together: 2,000 bodies of 256 KiB cannot be meant.
 * Placement keeps to it (reconciler/place), and a runner refuses what is beyond.
 */
export const ORDERS_BYTES = 64 * 1024 * 1024;
/** Copies that a node holds: those ordered, and as many that are still being stopped. */
export const HELD_ALLOCATIONS = 2 * NODE_ALLOCATIONS;
/** What the bodies of all copies that a node holds may have together. */
export const HELD_BYTES = 2 * ORDERS_BYTES;
/**
 * Largest message of the link, at both ends: a first report that is refused would be refused again
 * at each dial, and the node silent for ever. The worst that a node may have to tell: the bodies of
 * all that it holds (HELD_BYTES: no runner accepts more); their facts, less than half of that;
 * TEXT_CHARS, or short sentences of every task; and names of 100,000 volumes.
 */
export const MESSAGE_BYTES = 256 * 1024 * 1024;
/** Texts of a report together: logs and sentences. What is beyond is cut (`withShortTexts`). */
export const TEXT_CHARS = 8 * 1024 * 1024;
/** What is left of a sentence then. */
const SHORT_CHARS = 60;

type WireAllocation = Omit<AllocationReport, 'body'> & { readonly bodyHash: string };

export interface ReportFrame {
  /** True: forget what you have. The first frame of a session is whole. */
  readonly whole: boolean;
  readonly head: Omit<NodeReport, 'allocations'>;
  readonly bodies: readonly AllocationBody[];
  /** The hashes of `bodies`, in order, so that the receiver need not work them out. */
  readonly bodyHashes?: readonly string[];
  readonly changed: readonly WireAllocation[];
  readonly removed: readonly string[];
  /** Copies that changed in a few fields, for receivers that take them; absent: none. */
  readonly patches?: Columns;
  /** `[allocation, cpuMilli, memoryBytes]` of every allocation whose use is known. */
  readonly usage: readonly (readonly [string, number, number])[];
}

/** What the sender knows that the receiver has. */
export interface SentReports {
  readonly bodies: ReadonlySet<string>;
  /** Allocation → its facts without ages and use, as text. */
  readonly facts: ReadonlyMap<string, string>;
  /** The receiver said that it takes patches. */
  readonly takesPatches?: boolean;
}

/** Memory of body hashes: bodies are immutable values that live as long as their orders. */
const bodyHashes = new WeakMap<AllocationBody, string>();

export const bodyHash = (body: AllocationBody): string => {
  const known = bodyHashes.get(body);
  if (known !== undefined) return known;
  const hash = hashOf(body).slice(0, 32);
  bodyHashes.set(body, hash);
  return hash;
};

/**
 * Facts with instants in place of ages: equal as long as nothing happened, and different when a
 * streak began anew.
 * `at` is the sender's own clock; its instants never leave the sender.
 */
const factsOf = (allocation: WireAllocation, at: Ms): string => {
  const since = (age: Ms | null) => (age === null ? null : Math.round(at - age));
  // One piece of code makes these values, so their fields stand in one order: sorting them would cost
  // more than the rest of a report.
  return JSON.stringify({
    ...allocation,
    acceptedForMs: since(allocation.acceptedForMs),
    firstStartedForMs: since(allocation.firstStartedForMs),
    runningForMs: since(allocation.runningForMs),
    healthyForMs: since(allocation.healthyForMs),
    firstHealthyForMs: since(allocation.firstHealthyForMs),
    deadForMs: since(allocation.deadForMs),
    failure: allocation.failure && {
      ...allocation.failure,
      ageMs: since(allocation.failure.ageMs),
    },
    usage: null,
  });
};

const withoutBody = ({ body, ...rest }: AllocationReport): WireAllocation => ({
  ...rest,
  bodyHash: bodyHash(body),
});

export const NOTHING_SENT: SentReports = { bodies: new Set(), facts: new Map() };

/**
 * The frame that brings a receiver from `sent` to `report`, and what it has then.
 * @param sent null at the start of a session
 * @param at the sender's clock when the report was made
 */
export const encodeReport = (
  sent: SentReports | null,
  report: NodeReport,
  at: Ms,
): { readonly frame: ReportFrame; readonly sent: SentReports } => {
  const { allocations, ...head } = report;
  const before = sent ?? NOTHING_SENT;
  const wire = allocations.map(withoutBody);
  const facts = new Map(wire.map((allocation) => [allocation.allocation, factsOf(allocation, at)]));
  const news = wire.filter(
    ({ allocation }) => before.facts.get(allocation) !== facts.get(allocation),
  );
  const { changed, patches } = asPatches(news, before, facts);
  const bodies = new Map(allocations.map(({ body }) => [bodyHash(body), body]));
  const unsent = [...bodies].filter(([hash]) => !before.bodies.has(hash));
  return {
    frame: {
      whole: sent === null,
      head,
      bodies: unsent.map(([, body]) => body),
      bodyHashes: unsent.map(([hash]) => hash),
      changed: withShortTexts(changed, TEXT_CHARS),
      removed: [...before.facts.keys()].filter((id) => !facts.has(id)),
      ...(patches.length > 0 && { patches: columnsOf(patches, head.accepted) }),
      usage: allocations.flatMap(({ allocation, usage }) =>
        usage === null ? [] : [[allocation, usage.cpuMilli, usage.memoryBytes] as const],
      ),
    },
    sent: { bodies: new Set(bodies.keys()), facts },
  };
};

interface News {
  readonly changed: readonly WireAllocation[];
  readonly patches: readonly AllocationPatch[];
}

/** Those of which a patch is enough, where the receiver takes any. */
const asPatches = (
  news: readonly WireAllocation[],
  { facts: before, takesPatches = false }: SentReports,
  facts: ReadonlyMap<string, string>,
): News => {
  // Texts that must be cut are cut in whole copies (`withShortTexts`).
  if (!takesPatches || textChars(news) > TEXT_CHARS) return { changed: news, patches: [] };
  const changed: WireAllocation[] = [];
  const patches: AllocationPatch[] = [];
  for (const copy of news) {
    const [old, now] = [before.get(copy.allocation), facts.get(copy.allocation)];
    const patch = old && now ? patchOf(JSON.parse(old), JSON.parse(now), copy) : null;
    if (patch) patches.push(patch);
    else changed.push(copy);
  }
  return { changed, patches };
};

/**
 * The same facts with less text where all texts are longer than `most` characters: without logs,
 * and if that is not enough with the beginning of each sentence. Facts are never left out.
 */
export const withShortTexts = (
  changed: readonly WireAllocation[],
  most: number,
): readonly WireAllocation[] => {
  if (textChars(changed) <= most) return changed;
  const bare = changed.map((one) => ({
    ...one,
    failure: one.failure && withoutLog(one.failure),
    tasks: one.tasks.map(withoutLog),
  }));
  if (textChars(bare) <= most) return bare;
  return bare.map(({ failure, tasks, ...one }) => ({
    ...one,
    failure: failure && { ...failure, message: short(failure.message) },
    tasks: tasks.map((task) => ({ ...task, lastCheck: task.lastCheck && short(task.lastCheck) })),
  }));
};

const withoutLog = <T extends { readonly log?: readonly string[] }>({
  log: _log,
  ...rest
}: T): Omit<T, 'log'> => rest;

const short = (text: string): string =>
  text.length <= SHORT_CHARS ? text : `${text.slice(0, SHORT_CHARS - 1)}…`;

const textChars = (changed: readonly WireAllocation[]): number => {
  const chars = (lines: readonly string[] = []) =>
    lines.reduce((sum, { length }) => sum + length, 0);
  let sum = 0;
  for (const { failure, tasks } of changed) {
    sum += (failure?.message.length ?? 0) + chars(failure?.log);
    for (const { lastCheck, log } of tasks) sum += (lastCheck?.length ?? 0) + chars(log);
  }
  return sum;
};

/**
 * The report that the sender meant, or what is wrong with the frame.
 * @param before the last report of this session, null at its start
 * @param elapsed milliseconds since `before` was received
 */
export const applyReport = (
  before: NodeReport | null,
  elapsed: Ms,
  frame: ReportFrame,
):
  | { readonly ok: true; readonly report: NodeReport }
  | { readonly ok: false; readonly why: string } => {
  if (before === null && !frame.whole) {
    return { ok: false, why: 'the first report of a session is not whole' };
  }
  if (before !== null && isQuiet(frame)) {
    return { ok: true, report: olderReport(before, elapsed, frame) };
  }
  const old = frame.whole || before === null ? [] : before.allocations;
  for (const [at, body] of frame.bodies.entries()) {
    const hash = frame.bodyHashes?.[at];
    if (hash !== undefined) bodyHashes.set(body, hash);
  }
  const bodies = new Map([...old.map(({ body }) => body), ...frame.bodies].map(byHash));
  const gone = new Set([...frame.removed, ...frame.changed.map(({ allocation }) => allocation)]);
  const usage = new Map(
    frame.usage.map(([id, cpuMilli, memoryBytes]) => [id, { cpuMilli, memoryBytes }]),
  );
  const usageOf = (id: string) => usage.get(id) ?? null;
  const kept = old
    .filter(({ allocation }) => !gone.has(allocation))
    .map((one) => aged(one, elapsed, usageOf(one.allocation)));
  const patched = withPatches(kept, frame);
  if (!patched.ok) return patched;
  const changed: AllocationReport[] = [];
  for (const wire of frame.changed) {
    const body = bodies.get(wire.bodyHash);
    if (body === undefined) return { ok: false, why: `the body ${wire.bodyHash} was never sent` };
    if (body.allocation !== wire.allocation) {
      return { ok: false, why: `${wire.allocation} has the body of ${body.allocation}` };
    }
    changed.push(copyOf(wire, { body, usage: usageOf(wire.allocation) }));
  }
  const allocations = [...patched.copies, ...changed].toSorted((a, b) =>
    compareText(a.allocation, b.allocation),
  );
  return { ok: true, report: { ...frame.head, allocations } };
};

const withPatches = (
  copies: readonly AllocationReport[],
  { head: { accepted }, patches: columns }: ReportFrame,
):
  | { readonly ok: true; readonly copies: readonly AllocationReport[] }
  | { readonly ok: false; readonly why: string } => {
  if (columns === undefined) return { ok: true, copies };
  const known = new Map(copies.map((copy) => [copy.allocation, knownCopy(copy)]));
  const list = columns.copies ?? accepted;
  const why = columnsProblem(
    columns,
    list.map((allocation) => known.get(allocation)),
  );
  if (why !== null) return { ok: false, why };
  const patches = new Map(patchesOf(columns, accepted).map((patch) => [patch.allocation, patch]));
  const patched = copies.map((copy) => {
    const patch = patches.get(copy.allocation);
    return patch === undefined ? copy : withPatch(copy, patch);
  });
  return { ok: true, copies: patched };
};

/** Nothing happened to any copy since the frame before. */
export const isQuiet = ({ whole, bodies, changed, removed, patches }: ReportFrame): boolean =>
  !whole && patches === undefined && [bodies, changed, removed].every(({ length }) => length === 0);

/**
 * Which facts of the report that this frame brings are those of an earlier one: the receiver need
 * not look at them again.
 * @param before what was heard of the node before, in the same session
 */
export const unchangedFacts = (
  before: Pick<HeardNode, 'report' | 'receivedAt' | 'unchanged'> | null,
  frame: ReportFrame,
): UnchangedFacts => {
  const unchanged = new Map<string, UnchangedFact>();
  if (before === null || frame.whole) return unchanged;
  if (before.unchanged !== undefined && isQuiet(frame) && isOlderReport(before.report)) {
    return before.unchanged;
  }
  const { removed, changed, patches } = frame;
  const patched = patches === undefined ? [] : patchesOf(patches, frame.head.accepted);
  const news = new Set([
    ...removed,
    ...[...changed, ...patched].map(({ allocation }) => allocation),
  ]);
  for (const report of before.report.allocations) {
    const { allocation } = report;
    if (news.has(allocation)) continue;
    const known = before.unchanged?.get(allocation);
    unchanged.set(allocation, known ?? { report, receivedAt: before.receivedAt });
  }
  return unchanged;
};

const byHash = (body: AllocationBody): readonly [string, AllocationBody] => [bodyHash(body), body];

/**
 * Hash of a whole set of orders; what a runner accepted is named by it. Bodies stand in it by their
 * own hashes, which are remembered: most orders say again what a node has.
 */
export const ordersHash = (orders: NodeOrders): string =>
  hashOf({
    ...orders,
    items: orders.items.map((item) =>
      item.kind === 'run' ? { ...item, body: bodyHash(item.body) } : item,
    ),
  }).slice(0, 32);

/**
 * Copies that sets of this session began, and that the set which is sent now, or one before it,
 * leaves out, as long as the runner has not accepted one without them (rules 10.1).
 */
export const leftOutBy = (
  orders: NodeOrders,
  { sent, leftOut = [], report }: Pick<HeardNode, 'sent' | 'leftOut' | 'report'>,
): readonly LeftOut[] => {
  const { generation } = orders;
  const wanted = new Set(
    orders.items.flatMap((item) => (item.kind === 'run' ? [item.allocation] : [])),
  );
  const accepted = report.acceptedGeneration;
  const begun = sent === null || sent.generation <= accepted ? [] : sent.items;
  const before = begun.flatMap((item): readonly LeftOut[] =>
    item.kind === 'run' ? [{ body: item.body, generation }] : [],
  );
  const still = leftOut.filter((each) => each.generation > accepted);
  return [...still, ...before].filter(({ body }) => !wanted.has(body.allocation));
};
