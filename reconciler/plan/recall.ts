// What of the last plan still holds: everything that changed since is forgotten here, before a plan
// is made.
// In: desired and live state, node views, the memo. Out: the line of jobs, without what is not
// known any more, and the copies of those jobs. Not here: making a part anew (part), the plan
// (plan).
//
// A job's part follows from: its DesiredJob; the facts of its copies, how the nodes that hold
// them stand and where its volumes live; the time, up to the part's own wakeAt; the cluster's name and max_deployments; which
// scale files there are. Where slots are missing it follows from the unheard and the lost nodes
// too, and where a host port is pinned, from how all nodes stand. All of these are compared below.
// What else a job depends on (guard, renames, being put off, placement) is worked out in every
// plan, and parts that it touches are not kept.

import { changedJobs, copiesOf, jobsOn } from '../../schema/ageing.ts';
import type { DesiredState } from '../../schema/desired.ts';
import { compareText } from '../../schema/ids.ts';
import type { LiveAllocation, LiveState } from '../../schema/live.ts';
import type { Ms } from '../../schema/spec.ts';
import { same } from './body.ts';
import { forget, forgetAll, lineUp, type Line } from './line.ts';
import type { PlanMemo, World } from './memo.ts';
import type { NodeView, NodeViews } from './nodes.ts';
import { homeKey } from './homes.ts';

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
  const { world: before, line } = memo;
  const gone = lineUp(line, desired.jobs);
  const { name: cluster, maxDeployments } = desired.cluster;
  const { scaleFiles, openScaleFiles, synced, volumes } = desired;
  const everSynced = desired.lastSynced !== null;
  const isOther =
    before === null ||
    before.cluster !== cluster ||
    before.maxDeployments !== maxDeployments ||
    before.everSynced !== everSynced ||
    !same(before.scaleFiles, scaleFiles) ||
    !same(before.openScaleFiles, openScaleFiles) ||
    now < before.now;
  let strays: readonly string[];
  if (isOther) {
    forgetAll(line);
    strays = straysAmong(
      new Set(live.nodes.flatMap((node) => [...jobsOn(node).keys()])),
      seen,
      line,
    );
  } else {
    const compared = compareNodes(before.nodes, nodes);
    forgetChanged(line, compared, { ...seen, before });
    forgetSynced(line, before.synced, synced);
    forgetHomes(line, before.volumes, volumes);
    const asked = [...before.strays, ...gone, ...compared.touched];
    strays = asked.length === 0 ? before.strays : straysAmong(new Set(asked), seen, line);
  }
  const files = { scaleFiles, openScaleFiles, volumes };
  memo.world = { now, cluster, maxDeployments, everSynced, synced, ...files, nodes, strays };
  return { line, strays, copies: createCopies(live, unknownJobs(line, strays)) };
};

const NO_COPIES: readonly LiveAllocation[] = [];

const createCopies = (live: LiveState, wanted: ReadonlySet<string>): Recalled['copies'] => {
  const found = copiesOf(live, wanted);
  const further = (id: string) => copiesOf(live, new Set([id])).get(id);
  return (id) => (wanted.has(id) ? found.get(id) : further(id)) ?? NO_COPIES;
};

const forgetChanged = (
  line: Line,
  { touched, isOtherView }: NodesCompared,
  { before, nodes, now }: Seen & { readonly before: World },
): void => {
  const isOtherBlindness = blindness(before.nodes) !== blindness(nodes);
  // What is neither waiting nor pinned is not touched by these, and a quiet part never wakes.
  for (const entry of line.special) {
    const part = entry.known?.part;
    if (part === undefined) continue;
    const isOver = part.wakeAt !== null && now >= part.wakeAt;
    if (isOver || (isOtherBlindness && part.waits.length > 0)) forget(line, entry);
  }
  if (isOtherView) {
    for (const entry of line.pinned) forget(line, entry);
  }
  for (const id of touched) {
    const entry = line.byId.get(id);
    if (entry !== undefined) forget(line, entry);
  }
};

/** What the last synced commit wanted decides what is a removal (rules 8.1). */
const forgetSynced = (line: Line, before: World['synced'], now: World['synced']): void => {
  if (before === now) return;
  for (const id of new Set([...(before?.keys() ?? []), ...(now?.keys() ?? [])])) {
    const entry = line.byId.get(id);
    if (entry !== undefined && !same(before?.get(id), now?.get(id))) forget(line, entry);
  }
};

/** Of two copies the one where its volumes live stays (rules 14). */
const forgetHomes = (line: Line, before: World['volumes'], now: World['volumes']): void => {
  if (before === now) return;
  const homeOf = (homes: World['volumes']) =>
    new Map(homes.map((home) => [homeKey(home, home.volume, home), home] as const));
  const [old, news] = [homeOf(before), homeOf(now)];
  for (const [key, { namespace, job }] of [...old, ...news]) {
    if (old.get(key)?.node === news.get(key)?.node) continue;
    const entry = line.byId.get(`${namespace}/${job}`);
    if (entry !== undefined) forget(line, entry);
  }
};

interface NodesCompared {
  /** Jobs with copies that changed, or on a node that stands otherwise than it did. */
  readonly touched: ReadonlySet<string>;
  /** Some node came, went, or stands otherwise. */
  readonly isOtherView: boolean;
}

const compareNodes = (before: NodeViews, now: NodeViews): NodesCompared => {
  const touched = new Set<string>();
  let isOtherView = false;
  const touchAll = (node: NodeView | undefined): void => {
    isOtherView = true;
    if (node?.live) for (const id of jobsOn(node.live).keys()) touched.add(id);
  };
  for (const [name, node] of now.byName) {
    const old = before.byName.get(name);
    if (old !== undefined && isSameView(old, node)) {
      const changed = changedJobs(old.live, node.live);
      if (changed.size > 0) for (const id of changed) touched.add(id);
    } else {
      touchAll(old);
      touchAll(node);
    }
  }
  for (const [name, old] of before.byName) if (!now.byName.has(name)) touchAll(old);
  return { touched, isOtherView };
};

/**
 * `viewNodes` hands on what Git and the node say of it as the same objects while they are equal.
 */
const isSameView = (a: NodeView, b: NodeView): boolean =>
  a.expected === b.expected &&
  a.standing === b.standing &&
  a.ahead === b.ahead &&
  a.attributes === b.attributes;

/** What missing slots wait for; a list of names as one text. */
const blindness = ({ unheard, massLoss }: NodeViews): string =>
  [unheard.join(' '), massLoss === null ? '-' : massLoss.join(' ')].join('\n');

/** Those of these jobs that Git does not speak of and that have copies, sorted. */
const straysAmong = (ids: ReadonlySet<string>, { live }: Seen, { byId }: Line): readonly string[] =>
  [...ids]
    .filter((id) => !byId.has(id) && live.nodes.some((node) => jobsOn(node).has(id)))
    .toSorted(compareText);

const unknownJobs = ({ unknown }: Line, strays: readonly string[]): ReadonlySet<string> =>
  new Set([...strays, ...[...unknown].map(({ job }) => job.id)]);
