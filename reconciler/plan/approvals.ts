// Approvals: what persons have let go of, and when that ends (rules 8.2, 9.1).
// In: desired state with the open approvals, removals that still wait or run, nodes. Out: the slots
// and nodes that count as approved, and records of approvals that are used up.
// Not here: what needs an approval (guard, nodes), the end after seven days (compile).

import type { DesiredState } from '../../schema/desired.ts';
import type { LedgerRecord } from '../../schema/ledger.ts';
import type { NodeViews } from './nodes.ts';

type Approval = DesiredState['approvals'][number];

/** Slots that persons let go of. Who took them away may not, unless cluster.yaml says so. */
export const approvedSlots = (desired: DesiredState): ReadonlySet<string> =>
  new Set(
    desired.approvals.flatMap((one) => one.slots.filter((slot) => !isOwn(desired, one, slot))),
  );

/** Slots whose only approval is that of their removal's author, and does not count. */
export const ownApproved = (desired: DesiredState): ReadonlySet<string> => {
  const approved = approvedSlots(desired);
  const named = desired.approvals.flatMap(({ slots }) => slots);
  return new Set(named.filter((slot) => !approved.has(slot)));
};

/**
 * Persons are compared by e-mail address, in whatever case they write it. Of several authors each
 * is one: the change is theirs together.
 */
const isOwn = (desired: DesiredState, { by }: Approval, slot: string): boolean => {
  if (desired.cluster.ownApproval) return false;
  const me = emailOf(by);
  return authorsOf(desired, jobOf(slot)).some((email) => emailOf(email) === me);
};

/** Whose removal it is (rules 8.2); where nobody can say, HEAD's author's. */
export const authorsOf = (
  { removers, commit }: DesiredState,
  job: string | null,
): readonly string[] => removers?.get(job ?? '') ?? [commit.email];

const SLOT = /^(.+)\/([^/]+)\[(\d+)\]$/;

const jobOf = (slot: string): string | null => parseSlot(slot)?.job ?? null;

export const parseSlot = (
  slot: string,
): { readonly job: string; readonly group: string; readonly index: number } | null => {
  const [, job, group, index] = SLOT.exec(slot) ?? [];
  if (job === undefined || group === undefined) return null;
  return { job, group, index: Number(index) };
};

/** `Ada <ada@example.org>` and `ada@example.org` are the same person. */
const emailOf = (text: string): string =>
  (/<([^<>]*)>\s*$/.exec(text)?.[1] ?? text).trim().toLowerCase();

/**
 * Records that end approvals: one of its slots is wanted again, or none of its removals is left and
 * none of its nodes is lost any more. While a node was not heard from nobody knows, and none ends;
 * nor is one used up while such a node is lost, which may come back with what the approval lets go.
 */
export const usedApprovals = (
  desired: DesiredState,
  { removals, nodes }: { readonly removals: ReadonlySet<string>; readonly nodes: NodeViews },
): readonly LedgerRecord[] => {
  if (nodes.unheard.length > 0) return [];
  return desired.approvals.flatMap((approval) => {
    const { ahead, ...rest } = approval;
    const slots = approval.slots.map((slot) => slotState(desired, slot));
    // An approval of contents ends by its age alone.
    if (approval.files !== undefined) return [];
    const ends = (): boolean => {
      if (slots.includes('wanted')) return ahead === undefined;
      if (slots.includes('held') || approval.slots.some((slot) => removals.has(slot))) return false;
      if (nodes.unseen.length > 0 && slots.length > 0) return false;
      return !approval.nodes.some((name) => nodes.byName.get(name)?.standing === 'lost');
    };
    if (ends()) return [{ ...approval, used: true }];
    return ahead === true && !slots.includes('wanted') ? [rest] : [];
  });
};

/** `held`: its file cannot be read, so nobody knows whether it is wanted. */
const slotState = ({ jobs }: DesiredState, slot: string): 'wanted' | 'held' | 'gone' => {
  const place = parseSlot(slot);
  const job = jobs.find((one) => one.id === place?.job);
  if (job === undefined || job.standing.kind === 'removed' || job.spec.stopped) return 'gone';
  if (job.standing.kind === 'held') return 'held';
  const group = job.spec.groups.find((one) => one.name === place?.group);
  const most = group === undefined ? 0 : (group.scale?.max ?? group.count);
  return place !== null && place.index < most ? 'wanted' : 'gone';
};
