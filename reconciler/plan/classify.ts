// What each live allocation of a job is, seen from what Git wants: an ordered table of named rules,
// first match wins.
// In: an allocation, its node, the job. Out: a copy with its class, its version and what its health
// is worth. Not here: what is done about it (group), which of two copies in a slot stays (slots).

import type { DesiredJob } from '../../schema/desired.ts';
import type { LiveAllocation } from '../../schema/live.ts';
import type { GroupSpec } from '../../schema/spec.ts';
import { satisfies } from '../place/place.ts';
import type { Deadlines } from './deadlines.ts';
import type { NodeView } from './nodes.ts';

export type CopyClass =
  | 'going' // a stop was ordered, or it is stopping
  | 'dead'
  | 'lost' // its node is lost
  // its node is silent, or has not answered the order: it holds its slot, and nobody touches it
  | 'unknown'
  | 'unwanted' // its job, or its group, is wanted no more
  | 'surplus' // its slot is beyond the count
  | 'draining' // its node is drained or left Git
  | 'misplaced' // its node no longer satisfies the placement rules (rules 2.2)
  | 'kept';

export interface Copy {
  readonly allocation: LiveAllocation;
  readonly node: NodeView;
  readonly class: CopyClass;
  readonly version: 'target' | 'fallback' | 'other';
  /** Healthy for `min_healthy_time`, on a node that answers (rules 4.2). */
  readonly healthy: boolean;
  readonly everHealthy: boolean;
  /**
   * Stopping it takes from the health budget (rules 4.2): ever healthy and not known to be
   * unhealthy.
   */
  readonly costs: boolean;
  /** A volume of it lives on another node (rules 14). */
  readonly isAway: boolean;
}

/** What a group is judged by. */
export interface GroupFrame {
  readonly job: DesiredJob;
  /** The group at the wanted version; null when it has no such group. */
  readonly target: GroupSpec | null;
  /** The group at the settled version that missing copies fall back to (rules 5.5). */
  readonly fallback: GroupSpec | null;
  readonly count: number;
}

interface Judged {
  readonly allocation: LiveAllocation;
  readonly node: NodeView;
  readonly frame: GroupFrame;
  /**
   * Its stop is not to wait on: what was started in its place has died, or it may not go any more.
   */
  readonly isTakenBack: boolean;
  readonly isAway: boolean;
}

interface Rule {
  readonly class: Exclude<CopyClass, 'kept'>;
  readonly when: (judged: Judged) => boolean;
}

/** First match wins. Dead comes before lost: what was seen to be dead needs no node to answer. */
const RULES: readonly Rule[] = [
  { class: 'dead', when: ({ allocation }) => allocation.phase === 'dead' },
  {
    class: 'going',
    when: (judged) =>
      judged.allocation.stopping && judged.node.standing !== 'lost' && !isTakenBack(judged),
  },
  { class: 'lost', when: ({ node }) => node.standing === 'lost' },
  { class: 'unknown', when: ({ node }) => node.standing === 'unknown' },
  { class: 'unwanted', when: ({ frame }) => isUnwanted(frame) },
  { class: 'surplus', when: ({ allocation, frame }) => allocation.body.index >= frame.count },
  { class: 'draining', when: ({ allocation, node }) => mustLeave(allocation, node) },
  { class: 'misplaced', when: (judged) => isMisplaced(judged) },
  // Ordered and not answered: it holds its slot. Only what nobody wants any more is taken back: a
  // set that its node refuses would else hold it for ever.
  { class: 'unknown', when: (judged) => isOrdered(judged) && versionOf(judged) !== 'other' },
];

const isOrdered = ({ allocation }: Judged): boolean => allocation.standing === 'ordered';

export const classify = (judged: Judged, deadlines: Deadlines): Copy => {
  const { allocation, node, frame } = judged;
  const found = RULES.find((rule) => rule.when(judged));
  const answers = node.standing === 'ready' && allocation.phase !== 'dead';
  const healthy =
    answers &&
    allocation.health === 'healthy' &&
    deadlines.reached(allocation.healthyForMs, frame.job.spec.update.minHealthyMs);
  const everHealthy = healthy || allocation.everHealthy;
  return {
    allocation,
    node,
    class: found?.class ?? 'kept',
    version: versionOf(judged),
    healthy,
    everHealthy,
    costs: everHealthy && allocation.health !== 'unhealthy' && allocation.phase !== 'dead',
    isAway: judged.isAway,
  };
};

/**
 * Its stop waits for an image (rules 5.7) that nobody needs any more: its own version is wanted
 * again, what was to follow it has failed or died, or something else is to follow; or others have
 * failed since, and too few would be left (budget). Then it is
 * judged as if no stop had been ordered: only so its slot is tried again, until that fails for good
 * (6.2).
 */
const isTakenBack = (judged: Judged): boolean => {
  const { allocation, node, frame } = judged;
  const { stopWaits, phase } = allocation;
  if (stopWaits === undefined || phase !== 'running' || node.standing !== 'ready') return false;
  if (isUnwanted(frame) || allocation.body.index >= frame.count) return true;
  if (frame.job.standing.kind !== 'head') return false;
  const version = versionOf(judged);
  if (judged.isTakenBack) return true;
  if (version === 'target' || (version === 'fallback' && frame.job.failed !== null)) return true;
  const next = new Set(frame.target?.tasks.map(({ image }) => image.digest));
  return stopWaits.some(({ digest }) => !next.has(digest));
};

const versionOf = ({ allocation, frame }: Judged): Copy['version'] => {
  const { hash } = allocation.body.spec;
  if (hash === frame.target?.hash) return 'target';
  return hash === frame.fallback?.hash ? 'fallback' : 'other';
};

const isUnwanted = ({ job, target, fallback }: GroupFrame): boolean =>
  job.standing.kind === 'removed' || job.spec.stopped || (target === null && fallback === null);

/**
 * A copy with a named volume stays on a drained node until the drain says `volumes: stop` (rules
 * 14).
 */
const mustLeave = (allocation: LiveAllocation, node: NodeView): boolean =>
  node.drain === 'volumes' || (node.drain === 'yes' && allocation.body.spec.volumes.length === 0);

/**
 * Placement rules change in place: the newest ones count, whatever version the copy is (rules
 * 2.2).
 */
const isMisplaced = ({ allocation, node, frame }: Judged): boolean => {
  const rules = frame.target ?? frame.fallback;
  if (rules === null || frame.job.standing.kind === 'held') return false;
  if (allocation.body.spec.volumes.length > 0) return false;
  return rules.constraints.some((constraint) => !satisfies(node.attributes, constraint));
};

/** Holds its slot: there, or said to be there by a node that is silent. */
export const isThere = (copy: Copy): boolean => copy.class !== 'dead' && copy.class !== 'lost';

/** There, and not on its way out. */
export const isLive = (copy: Copy): boolean => isThere(copy) && copy.class !== 'going';

/** It must leave the place where it is, and its slot goes on elsewhere. */
export const mustMove = (copy: Copy): boolean =>
  copy.class === 'draining' || copy.class === 'misplaced';
