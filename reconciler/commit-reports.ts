// The state of each commit of the branch, told as a check and as a deployment.
// In: a view. Out: what the forge shows of its commit, and of those before it that are not ended
// there. Read back from the forge after a start: no second check is made. Not here: when progress is
// told (forge/commits), words (render).

import type { CheckBody, CheckReport, DeploymentReport } from '../schema/forge.ts';
import type { HeldFile } from '../schema/ledger.ts';
import type { Ms } from '../schema/spec.ts';
import type { View } from './cycle.ts';
import type { Refused } from './loop.ts';
import { endOf, isReturn, tellAt, type ToldCommit } from './forge/commits.ts';
import { earliest, tryEach, type ForgeContext, type Part } from './forge-context.ts';
import type { ForgePort } from './ports.ts';
import { deploymentWords } from './render/comment.ts';
import {
  endedCheck,
  heldCheck,
  isRefusedCheck,
  refusedCheck,
  syncCheck,
} from './render/sync-check.ts';
import type { SyncView } from './render/sync-blocks.ts';
import { visibilityOf } from './render/visibility.ts';

/** Commits behind HEAD that may still have an open check: more in one push end untold. */
const COMMITS_BACK = 20;

interface Open extends ToldCommit {
  readonly commit: string;
  readonly isReturn: boolean;
  readonly deployment: DeploymentReport['state'] | null;
}

export interface CommitReports {
  readonly tell: Part;
  /** Commits of the branch that are not followed. */
  readonly refuse: (refused: readonly Refused[]) => Promise<null>;
}

export const createCommitReports = (context: ForgeContext): CommitReports => {
  const { forge, clock, environmentUrl = null } = context;
  const open = new Map<string, Open>();

  const write = async (
    one: Open,
    body: CheckBody,
    { view, state: given }: { view: View; state?: DeploymentReport['state'] },
  ): Promise<Ms | null> => {
    const report: CheckReport = { ...body, kind: 'sync', commit: one.commit };
    const now = clock.now();
    const at = tellAt(one, report, now);
    if (at !== null && at > now) return at;
    if (at !== null) await forge.writeCheck(report);
    const told = at === null ? one : { ...one, told: report, toldAt: now };
    open.set(one.commit, told);
    const state = given ?? deploymentState(report);
    if (state !== one.deployment) {
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

  return {
    refuse: refusalsTo(forge),
    tell: async (view) => {
      const head = view.desired.commit;
      await discover(context, open, view);
      const due: (Ms | null)[] = [];
      await tryEach([...open.values()], async (one) => {
        if (one.commit === head.oid) {
          const body = syncCheck(seenOf(one, view));
          // Before it is told: the forge may be away.
          const now = { ...one, wasSynced: one.wasSynced || body.conclusion === 'success' };
          open.set(one.commit, now);
          due.push(await write(now, body, { view }));
          return;
        }
        const held = heldAt(one, view);
        // Until it is known who approved it, nothing is said of it.
        if (held.some(({ by }) => by === '')) return;
        if (held.length > 0) {
          due.push(await write(one, heldCheck(held, head), { view, state: 'inactive' }));
        } else {
          await write(one, endedBody(one, view), { view });
          open.delete(one.commit);
        }
      });
      return earliest(due);
    },
  };
};

/** Newest first until one that is known, or that ended on the forge. */
const discover = async (
  { forge, source, clock }: ForgeContext,
  open: Map<string, Open>,
  { desired, tree }: View,
): Promise<void> => {
  const head = desired.commit.oid;
  if (open.has(head)) return;
  const refused = new Set(tree.refused?.commits);
  for (const info of await source.listCommits(COMMITS_BACK)) {
    const { oid } = info;
    if (open.has(oid)) return;
    if (refused.has(oid)) continue;
    const told = await forge.check('sync', oid);
    if (told !== null && isEnd(told) && oid !== head) return;
    const wasSynced = told?.conclusion === 'success';
    const fresh = { since: clock.now(), told, toldAt: 0, wasSynced, deployment: null };
    open.set(oid, { commit: oid, isReturn: isReturn(info), ...fresh });
  }
};

const seenOf = ({ isReturn, wasSynced }: Open, view: View): SyncView => {
  const { desired, live, plan } = view;
  return { desired, live, plan, isReturn, wasSynced };
};

const endedBody = (one: Open, { desired, tree }: View): CheckBody => {
  const { cluster, commit: head } = desired;
  const { isReturn } = one;
  const context = { cluster: cluster.name, head, visibility: visibilityOf(desired), isReturn };
  return endedCheck(endOf(one, tree.ledger), context);
};

/** What waits for an owner, or was refused, is told again once another commit follows it. */
const isEnd = (told: CheckReport): boolean =>
  told.status === 'completed' && told.conclusion !== 'action_required' && !isRefusedCheck(told);

/** Each refusal is written once. */
const refusalsTo = (forge: ForgePort): CommitReports['refuse'] => {
  const told = new Map<string, string>();
  return async (refused) => {
    const commits = new Set(refused.map(({ commit }) => commit));
    for (const commit of told.keys()) if (!commits.has(commit)) told.delete(commit);
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

const deploymentState = ({ status, conclusion }: CheckReport): DeploymentReport['state'] => {
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
