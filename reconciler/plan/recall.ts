// What of the last plan still holds: everything that changed since is forgotten here, before a plan
// is made.
// In: desired and live state, node views, the memo. Out: the line of jobs, without what is not
// known any more, and the copies of those jobs. Not here: making a part anew (part), the plan
// (plan).
//
// A job's part follows from: its DesiredJob; the facts of the nodes that hold its copies, and how
// these nodes stand; the time, up to the part's own wakeAt; the cluster's name and max_deployments;
// which scale files there are. Where slots are missing it follows from the unheard and the lost
// nodes too, and where a host port is pinned, from how all nodes stand. All of these are compared
// below. What else a job depends on (guard, renames, being put off, placement) is worked out in
// every plan, and parts that it touches are not kept.

import { copiesOf, factsOf, jobsOn } from '../../schema/ageing.ts';
import type { DesiredState } from '../../schema/desired.ts';
import { compareText } from '../../schema/ids.ts';
import type { LiveAllocation, LiveState } from '../../schema/live.ts';
import type { Ms } from '../../schema/spec.ts';
import { same } from './body.ts';
import { forget, forgetAll, lineUp, type Line } from './line.ts';
import type { PlanMemo, World } from './memo.ts';
import type { NodeViews } from './nodes.ts';

export interface Recalled {
  readonly line: Line;
  /** Ids of jobs with copies that Git does not speak of, sorted. */
  readonly strays: readonly string[];
  /**
   * Copies of a job, brought up to now, sorted by allocation. Quick for strays and jobs not known.
   */
  readonly copies: (job: string) => readonly LiveAllocation[];
}

export interface Seen {
  readonly live: LiveState;
  readonly nodes: NodeViews;
  readonly now: Ms;
}

export const recall = (desired: DesiredState, seen: Seen, memo: PlanMemo): Recalled => {
  const { live, nodes, now } = seen;
  const before = memo.world;
  const line = lineUp(desired.jobs, memo.line);
  const facts = new Map(live.nodes.map((node) => [node.name, factsOf(node)]));
  const { name: cluster, maxDeployments } = desired.cluster;
  const { scaleFiles } = desired;
  const everSynced = desired.lastSynced !== null;
  const isOther =
    before === null ||
    before.cluster !== cluster ||
    before.maxDeployments !== maxDeployments ||
    before.everSynced !== everSynced ||
    !same(before.scaleFiles, scaleFiles) ||
    now < before.now;
  const changed = isOther ? [] : changedNodes(before, { nodes, facts });
  if (isOther) forgetAll(line);
  else forgetChanged(line, { ...seen, before, changed });
  const strays =
    isOther || line !== memo.line
      ? straysOf(live, line)
      : straysNow(before, { live, changed, line });
  memo.line = line;
  memo.world = { now, cluster, maxDeployments, everSynced, scaleFiles, nodes, facts, strays };
  return { line, strays, copies: createCopies(live, unknownJobs(line, strays)) };
};

const NO_COPIES: readonly LiveAllocation[] = [];

const createCopies = (live: LiveState, wanted: ReadonlySet<string>): Recalled['copies'] => {
  const found = copiesOf(live, wanted);
  const further = (id: string) => copiesOf(live, new Set([id])).get(id);
  return (id) => (wanted.has(id) ? found.get(id) : further(id)) ?? NO_COPIES;
};

interface Change extends Seen {
  readonly before: World;
  readonly changed: readonly string[];
}

const forgetChanged = (line: Line, { before, changed, nodes, now }: Change): void => {
  const isOtherBlindness = blindness(before.nodes) !== blindness(nodes);
  // What is neither waiting nor pinned is not touched by these, and a quiet part never wakes.
  for (const place of line.special) {
    const part = line.known[place]?.part;
    if (part === undefined) continue;
    const isOver = part.wakeAt !== null && now >= part.wakeAt;
    if (isOver || (isOtherBlindness && part.waits.length > 0)) forget(line, place);
  }
  if (changed.some((name) => !isSameView(before.nodes, nodes, name))) {
    for (const place of line.pinned) forget(line, place);
  }
  for (const id of jobsOnNodes(changed, [before.nodes, nodes])) {
    const place = line.places.get(id);
    if (place !== undefined) forget(line, place);
  }
};

const jobsOnNodes = (
  names: readonly string[],
  views: readonly NodeViews[],
): ReadonlySet<string> => {
  const ids = new Set<string>();
  for (const name of names) {
    for (const { byName } of views) {
      const node = byName.get(name)?.live;
      for (const id of node ? jobsOn(node).keys() : []) ids.add(id);
    }
  }
  return ids;
};

/** Nodes that say something else, or stand otherwise, than when the last plan was made. */
const changedNodes = (
  before: World,
  { nodes, facts }: { readonly nodes: NodeViews; readonly facts: World['facts'] },
): readonly string[] => {
  const names = new Set([...before.nodes.byName.keys(), ...nodes.byName.keys()]);
  return [...names].filter((name) => {
    const now = nodes.byName.get(name);
    const isHeard = now !== undefined && now.live !== null;
    const sameFacts = isHeard
      ? facts.get(name) !== null && facts.get(name) === before.facts.get(name)
      : before.nodes.byName.get(name)?.live === null;
    return !sameFacts || !isSameView(before.nodes, nodes, name);
  });
};

/**
 * `viewNodes` hands on what Git and the node say of it as the same objects while they are equal.
 */
const isSameView = (before: NodeViews, now: NodeViews, name: string): boolean => {
  const [a, b] = [before.byName.get(name), now.byName.get(name)];
  return (
    a?.expected === b?.expected &&
    a?.standing === b?.standing &&
    a?.ahead === b?.ahead &&
    a?.attributes === b?.attributes
  );
};

/** What missing slots wait for; a list of names as one text. */
const blindness = ({ unheard, massLoss }: NodeViews): string =>
  [unheard.join(' '), massLoss === null ? '-' : massLoss.join(' ')].join('\n');

const straysOf = (live: LiveState, { places }: Line): readonly string[] => {
  const ids = new Set<string>();
  for (const node of live.nodes) {
    for (const id of jobsOn(node).keys()) if (!places.has(id)) ids.add(id);
  }
  return [...ids].toSorted(compareText);
};

/** The same jobs are wanted, so only what changed nodes held or hold can have come or gone. */
const straysNow = (
  before: World,
  {
    live,
    changed,
    line,
  }: { readonly live: LiveState; readonly line: Line } & Pick<Change, 'changed'>,
): readonly string[] => {
  if (changed.length === 0) return before.strays;
  const names = new Set(changed);
  const nodes = live.nodes.filter(({ name }) => names.has(name));
  const found = straysOf({ ...live, nodes }, line);
  const left = before.strays.filter((id) => live.nodes.some((node) => jobsOn(node).has(id)));
  return [...new Set([...left, ...found])].toSorted(compareText);
};

const unknownJobs = ({ jobs, unknown }: Line, strays: readonly string[]): ReadonlySet<string> => {
  const ids = new Set(strays);
  for (const place of unknown) {
    const id = jobs[place]?.id;
    if (id !== undefined) ids.add(id);
  }
  return ids;
};
