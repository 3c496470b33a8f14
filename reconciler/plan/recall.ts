// What of the last plan still holds: everything that changed since is forgotten here, before a plan is made.
// In: desired and live state, node views, the memo. Out: the line of jobs, what is not known any more set to null, and
// the copies of those jobs. Not here: making a part anew (part), the plan (plan).
//
// A job's part follows from: its DesiredJob; the facts of the nodes that hold its copies, and how these nodes stand;
// the time, up to the part's own wakeAt; the cluster's name and max_deployments. Where slots are missing it follows
// from the unheard and the lost nodes too, and where a host port is pinned, from how all nodes stand. All of these are
// compared below. What else a job depends on (guard, renames, being put off, placement) is worked out in every plan,
// and parts that it touches are not kept.

import { copiesOf, factsOf, jobsOn } from '../../schema/ageing.ts';
import type { DesiredJob, DesiredState } from '../../schema/desired.ts';
import { compareText } from '../../schema/ids.ts';
import type { LiveAllocation, LiveState } from '../../schema/live.ts';
import type { Ms } from '../../schema/spec.ts';
import type { Line, PlanMemo, World } from './memo.ts';
import type { NodeViews } from './nodes.ts';

export interface Recalled {
  readonly line: Line;
  /** Ids of jobs with copies that Git does not speak of, sorted. */
  readonly strays: readonly string[];
  /** Copies of a job, brought up to now, sorted by allocation. Quick for strays and jobs not known. */
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
  const isOther =
    before === null ||
    before.cluster !== cluster ||
    before.maxDeployments !== maxDeployments ||
    now < before.now;
  const changed = isOther ? [] : changedNodes(before, { nodes, facts });
  if (isOther) line.known.fill(null);
  else forget(line, { ...seen, before, changed, facts });
  const isSameCast = !isOther && changed.length === 0 && line.places === memo.line?.places;
  const strays = isSameCast ? before.strays : straysOf(live, line);
  memo.line = line;
  memo.world = { now, cluster, maxDeployments, nodes, facts, strays };
  return { line, strays, copies: createCopies(live, unknownJobs(line, strays)) };
};

const NO_COPIES: readonly LiveAllocation[] = [];

const createCopies = (live: LiveState, wanted: ReadonlySet<string>): Recalled['copies'] => {
  const found = copiesOf(live, wanted);
  const further = (id: string) => copiesOf(live, new Set([id])).get(id);
  return (id) => (wanted.has(id) ? found.get(id) : further(id)) ?? NO_COPIES;
};

/** The same line as long as the same jobs stand in the same order; else what is known moves along. */
const lineUp = (jobs: readonly DesiredJob[], before: Line | null): Line => {
  if (before !== null && isSameOrder(before.jobs, jobs)) {
    const line: Line = before.jobs === jobs ? before : { ...before, jobs };
    if (line !== before) forgetOthers(line);
    return line;
  }
  const order = [...jobs.keys()].toSorted((a, b) => byPriority(jobs[a], jobs[b]));
  const known = jobs.map(({ id }) => before?.known[before.places.get(id) ?? -1] ?? null);
  const places = new Map(jobs.map(({ id }, place) => [id, place]));
  const line: Line = { jobs, order, places, known };
  forgetOthers(line);
  return line;
};

const isSameOrder = (before: readonly DesiredJob[], now: readonly DesiredJob[]): boolean =>
  before === now ||
  (before.length === now.length &&
    now.every((job, place) => {
      const old = before[place];
      return old === job || (old?.id === job.id && old.spec.priority === job.spec.priority);
    }));

/** Priority first, then id (rules 5.6, architecture "plan() flows one way"). */
const byPriority = (a: DesiredJob | undefined, b: DesiredJob | undefined): number =>
  a === undefined || b === undefined
    ? 0
    : b.spec.priority - a.spec.priority || compareText(a.id, b.id);

const forgetOthers = ({ jobs, known }: Line): void => {
  for (const [place, job] of jobs.entries()) {
    if (known[place]?.job !== job) known[place] = null;
  }
};

interface Change extends Seen {
  readonly before: World;
  readonly changed: readonly string[];
  readonly facts: World['facts'];
}

const forget = (line: Line, { before, changed, nodes, now }: Change): void => {
  const isOtherBlindness = blindness(before.nodes) !== blindness(nodes);
  const isOtherStanding = changed.some((name) => !isSameView(before.nodes, nodes, name));
  for (const [place, known] of line.known.entries()) {
    if (known === null) continue;
    const { wakeAt, waits, hasPinnedPort } = known.part;
    const isOver =
      (wakeAt !== null && now >= wakeAt) ||
      (isOtherBlindness && waits.length > 0) ||
      (isOtherStanding && hasPinnedPort);
    if (isOver) line.known[place] = null;
  }
  for (const name of changed) {
    for (const views of [before.nodes, nodes]) {
      const node = views.byName.get(name)?.live;
      for (const id of node ? jobsOn(node).keys() : []) {
        const place = line.places.get(id);
        if (place !== undefined) line.known[place] = null;
      }
    }
  }
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

/** `viewNodes` hands on what Git and the node say of it as the same objects while they are equal. */
const isSameView = (before: NodeViews, now: NodeViews, name: string): boolean => {
  const [a, b] = [before.byName.get(name), now.byName.get(name)];
  return (
    a?.expected === b?.expected && a?.standing === b?.standing && a?.attributes === b?.attributes
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

const unknownJobs = ({ jobs, known }: Line, strays: readonly string[]): ReadonlySet<string> => {
  const ids = new Set(strays);
  for (const [place, one] of known.entries()) {
    const id = one === null ? jobs[place]?.id : undefined;
    if (id !== undefined) ids.add(id);
  }
  return ids;
};
