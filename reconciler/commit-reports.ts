// The state of each commit of the branch, told as a check and as a deployment.
// In: a view. Out: what the forge shows of its commit, and of those before it that are not ended
// there. Read back from the forge after a start: no second check is made. Not here: when progress is
// told (forge/commits), words (render).

import type { CheckBody, CheckReport, DeploymentReport } from '../schema/forge.ts';
import type { Ms } from '../schema/spec.ts';
import type { View } from './cycle.ts';
import type { Refused } from './loop.ts';
import { endOf, tellAt, type ToldCommit } from './forge/commits.ts';
import { earliest, tryEach, type ForgeContext, type Part } from './forge-context.ts';
import { deploymentWords } from './render/comment.ts';
import { endedCheck, refusedCheck, syncCheck } from './render/sync-check.ts';
import { visibilityOf } from './render/visibility.ts';

/** Commits behind HEAD that may still have an open check: more in one push end untold. */
const COMMITS_BACK = 20;

interface Open extends ToldCommit {
  readonly commit: string;
  readonly deployment: DeploymentReport['state'] | null;
}

export interface CommitReports {
  readonly tell: Part;
  /** A commit that the branch stands at and that is not followed; null: there is none. */
  readonly refuse: (refused: Refused | null) => Promise<null>;
}

export const createCommitReports = ({ forge, source, clock }: ForgeContext): CommitReports => {
  const open = new Map<string, Open>();
  let told: Refused | null = null;

  /** Newest first until one that is known, or that ended on the forge. */
  const discover = async (head: string) => {
    if (open.has(head)) return;
    for (const { oid } of await source.listCommits(COMMITS_BACK)) {
      if (open.has(oid)) return;
      const told = await forge.check('sync', oid);
      if (told?.status === 'completed' && oid !== head) return;
      open.set(oid, { commit: oid, since: clock.now(), told, toldAt: 0, deployment: null });
    }
  };

  const write = async (one: Open, body: CheckBody, view: View): Promise<Ms | null> => {
    const report: CheckReport = { ...body, kind: 'sync', commit: one.commit };
    const now = clock.now();
    const at = tellAt(one, report, now);
    if (at !== null && at > now) return at;
    if (at !== null) await forge.writeCheck(report);
    const told = at === null ? one : { ...one, told: report, toldAt: now };
    open.set(one.commit, told);
    const state = deploymentState(report);
    if (state !== one.deployment) {
      await forge.writeDeployment({
        commit: one.commit,
        environment: view.desired.cluster.name,
        state,
        description: deploymentWords(body),
        url: null,
      });
      open.set(one.commit, { ...told, deployment: state });
    }
    return null;
  };

  return {
    refuse: async (refused) => {
      if (refused !== null && !isSameRefusal(told, refused)) {
        await forge.writeCheck({ ...refusedCheck(refused), kind: 'sync', commit: refused.commit });
      }
      told = refused;
      return null;
    },
    tell: async (view) => {
      const { desired, live, plan, tree } = view;
      const head = desired.commit;
      await discover(head.oid);
      const due: (Ms | null)[] = [];
      await tryEach([...open.values()], async (one) => {
        if (one.commit === head.oid) {
          due.push(await write(one, syncCheck({ desired, live, plan, ledger: tree.ledger }), view));
        } else {
          const ended = endOf(one.commit, tree.ledger);
          const context = {
            cluster: desired.cluster.name,
            head,
            visibility: visibilityOf(desired),
          };
          await write(one, endedCheck(ended, context), view);
          open.delete(one.commit);
        }
      });
      return earliest(due);
    },
  };
};

const isSameRefusal = (told: Refused | null, { commit, message }: Refused): boolean =>
  told?.commit === commit && told.message === message;

const deploymentState = ({ status, conclusion }: CheckReport): DeploymentReport['state'] => {
  if (status !== 'completed') return status;
  switch (conclusion) {
    case 'success':
      return 'success';
    case 'cancelled':
      return 'inactive';
    case 'failure':
    case 'action_required':
    case null:
      return 'failure';
    default:
      return conclusion satisfies never;
  }
};
