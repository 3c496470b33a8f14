// What the planner may think of each node: does it work, may it be used, is it lost (rules 9).
// In: nodes in Git, nodes heard from. Out: a view of each, and whether too many are lost at once.
// Not here: what happens to the copies on them (classify, group).

import type { DesiredState, ExpectedNode } from '../../schema/desired.ts';
import { byName, compareText } from '../../schema/ids.ts';
import type { LiveNode, LiveState } from '../../schema/live.ts';
import type { Blocked } from '../../schema/plan.ts';
import { silenceOf } from '../../schema/silence.ts';
import { same } from './body.ts';
import type { Deadlines } from './deadlines.ts';
import { unfetchedOn, type Unfetched } from './images.ts';

export interface NodeView {
  readonly name: string;
  /** null: no file in Git. The node is drained and gets no new work (rules 9.1). */
  readonly expected: ExpectedNode | null;
  /** null: not heard from since this reconciler started. */
  readonly live: LiveNode | null;
  readonly standing: 'ready' | 'unknown' | 'lost';
  /**
   * It obeyed a commit that HEAD does not contain: it is told nothing, and counts as unknown
   * (10.3).
   */
  readonly ahead: boolean;
  /** Its copies should go elsewhere; `volumes`: also those whose volumes are here (rules 14). */
  readonly drain: 'no' | 'yes' | 'volumes';
  /** Attributes of the report and labels from Git; Git wins. */
  readonly attributes: ReadonlyMap<string, string>;
}

export interface NodeViews {
  /** Nodes in Git and nodes heard from, by name; filled in the order of names. */
  readonly byName: ReadonlyMap<string, NodeView>;
  /** Nodes lost together that nobody approved; null when they are few (rules 9.1). */
  readonly massLoss: readonly string[] | null;
  /**
   * Nodes in Git that this reconciler has not heard from and that are not yet lost (invariant 8).
   */
  readonly unheard: readonly string[];
  /** Nodes in Git that are lost and never spoke to this reconciler: nobody knows what they hold. */
  readonly unseen: readonly string[];
  /** Images that nodes were told to fetch and no registry has. */
  readonly unfetched: ReadonlyMap<string, Unfetched>;
}

/**
 * More than 30 % of the nodes, and at least three: rather a network that broke than machines
 * (rules 9.1).
 */
const MASS_LOSS_PERCENT = 30;
const MASS_LOSS_LEAST = 3;

export interface NodesInput {
  readonly live: LiveState;
  readonly deadlines: Deadlines;
  /** Views of the last plan: what is equal comes back as the same object. */
  readonly before: ReadonlyMap<string, NodeView> | null;
}

export const viewNodes = (
  desired: DesiredState,
  { live, deadlines, before }: NodesInput,
): NodeViews => {
  const standingOf = (node: LiveNode | null, ahead: boolean): NodeView['standing'] => {
    const silentForMs = silenceOf(node, live);
    if (deadlines.reached(silentForMs, desired.cluster.lostAfterMs)) return 'lost';
    return node?.connected === true && !ahead ? 'ready' : 'unknown';
  };
  const views = sideBySide(byName(desired.nodes), byName(live.nodes)).map(
    ({ name, wanted, node }) => {
      const ahead = node !== null && isAhead(desired, node);
      const rest = { name, live: node, standing: standingOf(node, ahead), ahead };
      return viewOf(wanted, rest, before?.get(name));
    },
  );
  const silent = views.filter(({ expected: wanted, live: told }) => wanted && told === null);
  const unheard = silent.filter(({ standing }) => standing !== 'lost');
  return {
    byName: new Map(views.map((view) => [view.name, view])),
    massLoss: massLossOf(desired, views),
    unheard: unheard.map(({ name }) => name),
    unfetched: unfetchedOn(views),
    unseen: silent.flatMap(({ name, standing }) => (standing === 'lost' ? [name] : [])),
  };
};

interface Side {
  readonly name: string;
  readonly wanted: ExpectedNode | null;
  readonly node: LiveNode | null;
}

/** Nodes in Git beside nodes heard from; both in the order of their names. */
const sideBySide = (
  expected: readonly ExpectedNode[],
  heard: readonly LiveNode[],
): readonly Side[] => {
  const sides: Side[] = [];
  let [at, place] = [0, 0];
  for (;;) {
    const [wanted, node] = [expected[at] ?? null, heard[place] ?? null];
    if (wanted === null && node === null) return sides;
    const order = wanted === null ? 1 : node === null ? -1 : compareText(wanted.name, node.name);
    sides.push({
      name: (order <= 0 ? wanted?.name : node?.name) ?? '',
      wanted: order <= 0 ? wanted : null,
      node: order >= 0 ? node : null,
    });
    if (order <= 0) at += 1;
    if (order >= 0) place += 1;
  }
};

/**
 * Rules 10.3: the runner's newest orders are another reconciler's, made from a commit that HEAD
 * does
 * not contain. Ours may be an old clone; once this session has sent orders, the question is
 * answered.
 */
export const isAhead = ({ acceptable }: DesiredState, node: LiveNode): boolean =>
  acceptable !== undefined &&
  acceptable !== null &&
  node.sent === null &&
  node.acceptedCommit !== '' &&
  !acceptable.includes(node.acceptedCommit);

const viewOf = (
  wanted: ExpectedNode | null,
  rest: Pick<NodeView, 'name' | 'live' | 'standing' | 'ahead'>,
  before: NodeView | undefined,
): NodeView => {
  const isSameNode = before !== undefined && same(before.expected, wanted);
  const expected = isSameNode ? before.expected : wanted;
  const keeps = isSameNode && same(before.live?.attributes, rest.live?.attributes);
  return {
    name: rest.name,
    live: rest.live,
    standing: rest.standing,
    ahead: rest.ahead,
    expected,
    drain: expected === null ? 'yes' : expected.drain,
    attributes: keeps ? before.attributes : attributesOf(rest.name, expected, rest.live),
  };
};

/** What the node's file says, as attributes: `zone: a` is `node.zone`. */
export const gitAttributes = (
  expected: ExpectedNode | null,
): readonly (readonly [string, string])[] =>
  expected === null
    ? []
    : [
        ...expected.labels.map(([key, value]) => [`node.${key}`, value] as const),
        ...(expected.pool === null ? [] : [['node.pool', expected.pool] as const]),
      ];

const attributesOf = (
  name: string,
  expected: ExpectedNode | null,
  live: LiveNode | null,
): ReadonlyMap<string, string> =>
  new Map<string, string>([
    ...(live?.attributes ?? []),
    ...gitAttributes(expected),
    ['node.name', name],
  ]);

/** Of the nodes in Git that are not drained. */
export const isMassLoss = (lost: number, all: number): boolean =>
  lost >= MASS_LOSS_LEAST && lost * 100 > all * MASS_LOSS_PERCENT;

const massLossOf = (
  desired: DesiredState,
  views: readonly NodeView[],
): readonly string[] | null => {
  const counted = views.filter((view) => view.expected !== null && view.drain === 'no');
  const lost = counted.filter((view) => view.standing === 'lost').map((view) => view.name);
  if (!isMassLoss(lost.length, counted.length)) return null;
  // A loss has no author: anybody's word counts.
  const approved = new Set(desired.approvals.flatMap((approval) => approval.nodes));
  const unapproved = lost.filter((name) => !approved.has(name));
  return unapproved.length === 0 ? null : unapproved;
};

export const aheadDetail = ({ live }: NodeView): string =>
  `its runner obeyed commit ${live?.acceptedCommit.slice(0, 12) ?? ''}, which HEAD does not contain`;

/**
 * Why nodes are told nothing, and what to do about it, for each job with a copy there (invariant
 * 7); on a node without copies, for each that finds no place while the node takes none.
 */
export const aheadWaits = (
  { byName }: NodeViews,
  blocked: readonly Blocked[],
): readonly Blocked[] => {
  const unplaced = blocked.flatMap((each) => (each.kind === 'no-node' ? [each.job] : []));
  return [...byName.values()].flatMap((node) => {
    const { live } = node;
    if (!node.ahead || live?.connected !== true) return [];
    const here = live.allocations.map(({ body }) => `${body.namespace}/${body.job}`);
    return [...new Set([...here, ...(node.drain === 'no' ? unplaced : [])])].map(
      (job): Blocked => ({
        kind: 'waiting',
        job,
        slot: null,
        why: 'runner-ahead',
        detail: `nothing is sent to ${node.name}: ${aheadDetail(node)}`,
        remedy: `purser resume --at ${live.acceptedCommit}`,
      }),
    );
  });
};

/**
 * Before any commit was synced the ledger is new, or it is gone: then a lost node that never spoke
 * may hold what it told, such as copies of jobs that nobody knows any more (rules 11).
 */
export const mayHideLoss = (desired: DesiredState, { unseen }: NodeViews): boolean =>
  desired.lastSynced === null && unseen.length > 0;

/** So many are named; a person who lost more finds them in `purser status`. */
const UNSEEN_NAMED = 5;

/**
 * Rules 8.1: what a commit takes away counts as taken only when every node said what it holds. One
 * that will not come back is a person's to say, and said by removing its file.
 */
export const unseenWait = (job: string, nodes: NodeViews): Blocked => ({
  kind: 'waiting',
  job,
  slot: null,
  why: 'node-unseen',
  detail:
    `it lost slots, and a lost node may still hold copies of them: ${neverSpoke(nodes)}, ` +
    'so the commit does not count as synced',
  remedy: unseenRemedy(nodes),
});

export const neverSpoke = ({ unseen }: NodeViews): string =>
  `${firstNames(unseen)} never spoke since the reconciler started`;

/** The first of them; the rest is counted, as nobody reads thousands, in the words of each job. */
export const firstNames = (names: readonly string[]): string =>
  `${names.slice(0, UNSEEN_NAMED).join(', ')}${more(names)}`;

export const unseenRemedy = ({ unseen }: NodeViews): string => {
  const files = unseen.slice(0, UNSEEN_NAMED).map((name) => `nodes/${name}.yaml`);
  const back = `bring ${unseen.length === 1 ? 'it' : 'them'} back`;
  return `${back}, or git rm ${files.join(' ')}${more(unseen)}`;
};

const more = (unseen: readonly string[]): string =>
  unseen.length > UNSEEN_NAMED ? ` and ${unseen.length - UNSEEN_NAMED} more` : '';
