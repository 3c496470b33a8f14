// The state of each commit of the branch, told as a check and as a deployment.
// In: a view. Out: what the forge shows of its commit, and of those before it that are not ended
// there. Read back from the forge after a start: no second check is made. Not here: when progress is
// told (forge/commits), words (render).

import { isTakenBack } from '../schema/forge.ts';
import type { CheckBody, CheckReport, DeploymentReport, Ended } from '../schema/forge.ts';
import type { HeldFile } from '../schema/ledger.ts';
import type { CommitInfo } from '../schema/source.ts';
import type { Ms } from '../schema/spec.ts';
import type { View } from './cycle.ts';
import type { Refused } from './loop.ts';
import {
  endOf,
  heldUntil,
  isReturn,
  tellAt,
  type Standing,
  type ToldCommit,
} from './forge/commits.ts';
import { earliest, tryEach, type ForgeContext, type Part } from './forge-context.ts';
import type { ForgePort } from './ports.ts';
import { deploymentWords } from './render/comment.ts';
import {
  endedCheck,
  heldCheck,
  isRefusedCheck,
  refusedCheck,
  syncCheck,
  syncStanding,
} from './render/sync-check.ts';
import type { SyncView } from './render/sync-blocks.ts';
import { visibilityOf } from './render/visibility.ts';

/** Commits behind HEAD that may still have an open check: more in one push end untold. */
const COMMITS_BACK = 20;

/** A commit that failed is waited for so long to be taken back after another one follows. */
const TAKEN_BACK_MS = 5 * 60_000;

interface Open extends ToldCommit {
  readonly commit: string;
  readonly isReturn: boolean;
  readonly deployment: DeploymentReport['state'] | null;
  /** What was told last since another commit follows, and since when one does; absent: nothing. */
  readonly end?: { readonly ended: string; readonly at: Ms };
}

export interface CommitReports {
  readonly tell: Part;
  /** Takes in that a commit is in sync while nothing is told: another may follow before it is. */
  readonly notice: (view: View | null) => void;
  /** Commits of the branch that are not followed. */
  readonly refuse: (refused: readonly Refused[]) => Promise<null>;
}

export const createCommitReports = (context: ForgeContext): CommitReports => {
  const { forge, source, clock } = context;
  const open = new Map<string, Open>();
  /** Commits that were refused and are no more: what was said of them may not be true any more. */
  const released = new Set<string>();

  /** The branch goes on past them; of those that it has left nothing is said. */
  const lookAgain = async () => {
    if (released.size === 0) return;
    for (const info of await source.listCommits(COMMITS_BACK)) {
      if (!released.has(info.oid) || open.has(info.oid)) continue;
      open.set(info.oid, freshOf(info, clock.now(), await forge.check('sync', info.oid)));
    }
    released.clear();
  };

  /**
   * Newest first until one that is known, or that ended on the forge. A forge that was told of none
   * of them is new here: only of the newest one anything can be said.
   */
  const fresh = async (head: string, refused: readonly string[]): Promise<readonly Open[]> => {
    const found: Open[] = [];
    let isTold = open.size > 0;
    for (const info of await source.listCommits(COMMITS_BACK)) {
      const { oid } = info;
      if (open.has(oid)) return found;
      if (refused.includes(oid)) continue;
      const told = await forge.check('sync', oid);
      if (told !== null && isEnd(told) && oid !== head) return found;
      isTold ||= told !== null;
      found.push(freshOf(info, clock.now(), told));
    }
    return isTold ? found : found.filter(({ commit }) => commit === head);
  };

  /** They are told in the order of the branch: the newest deployment is the one that counts. */
  const discover = async (head: string, refused: readonly string[]) => {
    if (open.has(head)) return;
    for (const one of (await fresh(head, refused)).toReversed()) open.set(one.commit, one);
  };

  const { tellHead, tellEnded } = createTellers(context, open);

  return {
    refuse: refusalsTo(forge, (commit) => void released.add(commit)),
    notice: (view) => {
      const one = open.get(view?.desired.commit.oid ?? '');
      if (view === null || one === undefined || one.wasSynced) return;
      const wasSynced = syncStanding(seenOf(one, view)).conclusion === 'success';
      if (wasSynced) open.set(one.commit, { ...one, wasSynced });
    },
    tell: async (view) => {
      const head = view.desired.commit;
      await discover(head.oid, view.tree.refused?.commits ?? []);
      await lookAgain();
      const due: (Ms | null)[] = [];
      await tryEach([...open.values()], async (one) => {
        if (one.commit === head.oid) {
          due.push(await tellHead(one, view));
        } else {
          due.push(await tellEnded(one, view));
        }
      });
      return earliest(due);
    },
  };
};

const freshOf = (info: CommitInfo, now: Ms, told: CheckReport | null): Open => ({
  commit: info.oid,
  isReturn: isReturn(info),
  since: now,
  told,
  toldAt: 0,
  wasSynced: told?.conclusion === 'success',
  deployment: null,
});

/** Of one commit each, as far as it may be told now; the instant from which there may be more. */
interface Tellers {
  readonly tellHead: (one: Open, view: View) => Promise<Ms | null>;
  /** Of a commit that another one follows. */
  readonly tellEnded: (one: Open, view: View) => Promise<Ms | null>;
}

const createTellers = (context: ForgeContext, open: Map<string, Open>): Tellers => {
  const { forge, clock, environmentUrl = null } = context;

  const write = async (
    one: Open,
    body: CheckBody,
    { view, state: given }: { view: View; state?: DeploymentReport['state'] | null },
  ): Promise<Ms | null> => {
    const report: CheckReport = { ...body, kind: 'sync', commit: one.commit };
    const now = clock.now();
    const at = tellAt(one, report, now);
    if (at !== null && at > now) return at;
    if (at !== null) await forge.writeCheck(report);
    const told = at === null ? one : { ...one, told: report, toldAt: now };
    open.set(one.commit, told);
    const state = given === undefined ? deploymentState(report) : given;
    if (state !== null && state !== one.deployment) {
      await forge.writeDeployment({
        commit: one.commit,
        environment: view.desired.cluster.name,
        state,
        description: deploymentWords(body),
        url: environmentUrl,
      });
      open.set(one.commit, { ...told, deployment: state });
    }
    return null;
  };

  /** A view comes many times a second in a rollout: its words are made when they may be told. */
  const tellHead: Tellers['tellHead'] = async (one, view) => {
    const seen = seenOf(one, view);
    const standing = syncStanding(seen);
    // Before it is told: the forge may be away.
    const now = { ...one, wasSynced: one.wasSynced || standing.conclusion === 'success' };
    open.set(one.commit, now);
    const at = heldUntil(now, standing, clock.now());
    if (at > clock.now() && deploymentState(standing) === one.deployment) return at;
    return write(now, syncCheck(seen), { view });
  };

  /** That it was taken back comes a moment after the commit that did: the ledger says it then. */
  const tellEnded: Tellers['tellEnded'] = async (one, view) => {
    const held = heldAt(one, view);
    // While it is being asked who approved it, nothing is said of it.
    if (held.some(({ by, why }) => by === '' && why === undefined)) return null;
    if (held.length > 0) {
      const state = one.told === null ? null : 'inactive';
      return write(one, heldCheck(held, view.desired.commit), { view, state });
    }
    const now = clock.now();
    const ended = endOf(one, view.tree.ledger);
    const isOver = ended.kind !== 'failed' || isTakenBack(ended);
    const end = { ended: endName(ended), at: one.end?.at ?? now };
    if (one.end?.ended === end.ended && now - end.at < TAKEN_BACK_MS) return null;
    const known = isOver ? { ...one, toldAt: Number.NEGATIVE_INFINITY } : one;
    const state = endedDeployment(one, ended);
    const at = await write(known, endedBody(one, ended, view), { view, state });
    if (at === null && (isOver || now - end.at >= TAKEN_BACK_MS)) open.delete(one.commit);
    else if (at === null) open.set(one.commit, { ...(open.get(one.commit) ?? one), end });
    return at;
  };

  return { tellHead, tellEnded };
};

const seenOf = ({ isReturn, wasSynced }: Open, view: View): SyncView => {
  const { desired, live, plan } = view;
  return { desired, live, plan, isReturn, wasSynced };
};

const endedBody = ({ isReturn }: Open, ended: Ended, { desired }: View): CheckBody => {
  const { cluster, commit: head } = desired;
  const context = { cluster: cluster.name, head, visibility: visibilityOf(desired), isReturn };
  return endedCheck(ended, context);
};

/** Two ends of one commit with the same name say the same. */
const endName = (ended: Ended): string =>
  ended.kind === 'failed'
    ? JSON.stringify(ended.jobs.map(({ job, revertedBy }) => [job, revertedBy]))
    : ended.kind;

/** What waits for an owner, or was refused, is told again once another commit follows it. */
const isEnd = (told: CheckReport): boolean =>
  told.status === 'completed' && told.conclusion !== 'action_required' && !isRefusedCheck(told);

/** Each refusal is written once. */
const refusalsTo = (
  forge: ForgePort,
  release: (commit: string) => void,
): CommitReports['refuse'] => {
  const told = new Map<string, string>();
  return async (refused) => {
    const commits = new Set(refused.map(({ commit }) => commit));
    for (const commit of told.keys()) {
      if (!commits.has(commit) && told.delete(commit)) release(commit);
    }
    await tryEach(refused, async (one) => {
      if (told.get(one.commit) === one.message) return;
      await forge.writeCheck({ ...refusedCheck(one), kind: 'sync', commit: one.commit });
      told.set(one.commit, one.message);
    });
    return null;
  };
};

/** Files that wait for an owner, as this older commit left them. */
const heldAt = ({ commit }: Open, { desired }: View): readonly HeldFile[] =>
  (desired.heldFiles ?? []).filter((one) => one.commit === commit);

/**
 * One that succeeded stays so until the next one does, which ends it. null: a commit that another
 * one overtook before anything was told of it was never on its way here.
 */
const endedDeployment = ({ told }: Open, { kind }: Ended): DeploymentReport['state'] | null => {
  switch (kind) {
    case 'synced':
      return 'success';
    case 'failed':
      return 'failure';
    case 'superseded':
      return told === null ? null : 'inactive';
    default:
      return kind satisfies never;
  }
};

const deploymentState = ({ status, conclusion }: Standing): DeploymentReport['state'] => {
  if (status !== 'completed') return status;
  switch (conclusion) {
    case 'success':
      return 'success';
    case 'cancelled':
      return 'inactive';
    case 'action_required':
      // It waits for a person: what of it failed is not said yet.
      return 'in_progress';
    case 'failure':
    case null:
      return 'failure';
    default:
      return conclusion satisfies never;
  }
};
