// Reverts that the machine may not make itself, offered as pull requests, one for each deployment.
// In: a view, and what keeps the writer from writing. Out: a branch with the commit, and a pull
// request. The rollout stays stopped meanwhile (rules 6.3, 6.5). Once the branch has another version
// both go: merged later it would take back what came since. Not here: what a revert is
// (plan/proposals, desired/revert).

import type { DesiredJob } from '../schema/desired.ts';
import { plainLine, uncalling } from '../schema/plain.ts';
import type { Blocked } from '../schema/plan.ts';
import type { Ms } from '../schema/spec.ts';
import type { PullClose, PullRequest } from '../schema/forge.ts';
import { takenBack } from '../schema/taken-back.ts';
import { MACHINE_AUTHOR } from './config.ts';
import type { View } from './cycle.ts';
import { tryEach, type ForgeContext, type Part } from './forge-context.ts';
import type { CommitAsk } from './ports.ts';
import { code, commitCode } from './render/markdown.ts';
import { offerText } from './render/offer.ts';

interface Offer {
  readonly job: string;
  readonly deployment: string;
  readonly ask: CommitAsk;
}

export interface OfferedReverts {
  readonly offer: Part;
  /** Those whose version is not on the branch any more; `pulls`: what the forge shows. */
  readonly close: (view: View, pulls: readonly PullRequest[]) => Promise<null>;
}

const branchOf = (cluster: string, deployment: string): string =>
  `purser/${cluster}/revert-${deployment}`;

export const createOfferedReverts = (context: ForgeContext): OfferedReverts => {
  const { forge, source, log, loop } = context;
  const offered = new Set<string>();
  /**
   * Branches of ours that may be there. The forge is asked once, at the start, and what is offered
   * comes to it before it is pushed: none is left behind, however its pull request ended.
   */
  const branches = new Set<string>();
  let areAsked = false;

  const askOnce = async (prefix: string): Promise<void> => {
    if (areAsked) return;
    for (const branch of await forge.branches(prefix)) branches.add(branch);
    areAsked = true;
  };

  const offer = async (view: View, { job, deployment, ask }: Offer): Promise<void> => {
    const branch = branchOf(view.desired.cluster.name, deployment);
    branches.add(branch);
    await source.offer(ask, branch);
    const number = await forge.openPull({ branch, ...offerText(ask.message) });
    offered.add(deployment);
    log.info({ job, deployment, pull: number }, 'offered a revert as a pull request');
  };

  const offerAll = async (view: View): Promise<Ms | null> => {
    const { write } = loop.state();
    const refused = write?.consequence === 'broken' ? refusedReverts(view) : [];
    const open = [...refused, ...(await impossibleReverts(view, source.complete))];
    const wanted = new Set(open.map(({ deployment }) => deployment));
    for (const deployment of offered) if (!wanted.has(deployment)) offered.delete(deployment);
    const fresh = open.filter(({ deployment }) => !offered.has(deployment));
    await tryEach(fresh, (one) => offer(view, one));
    return null;
  };

  return {
    offer: offerAll,
    close: async (view, pulls) => {
      const prefix = branchOf(view.desired.cluster.name, '');
      await askOnce(prefix);
      const ours = pulls.filter((one) => !one.fromFork && one.headRef.startsWith(prefix));
      for (const { headRef } of ours) branches.add(headRef);
      await tryEach(doneWith(view, [...branches], ours), async (one) => {
        await forge.closePull(one);
        branches.delete(one.branch);
        log.info(
          { pull: one.pull, branch: one.branch },
          'removed the branch of a revert that nobody needs any more',
        );
      });
      return null;
    },
  };
};

/** Of those branches what the tracked branch has gone past; `pulls`: what is known of theirs. */
const doneWith = (
  { desired, tree, stale }: View,
  branches: readonly string[],
  pulls: readonly PullRequest[],
): readonly PullClose[] => {
  if (stale !== null) return [];
  const prefix = branchOf(desired.cluster.name, '');
  const wanted = new Set(desired.jobs.map(({ deployment }) => deployment));
  return branches.flatMap((branch) => {
    const deployment = branch.slice(prefix.length);
    const here = pulls.filter(({ headRef }) => headRef === branch);
    // One that is merged is done with, though the branch may not have been read since.
    const isMerged = here.some(({ state }) => state === 'merged');
    if (!isMerged && wanted.has(deployment)) return [];
    const pull = here.find(({ state }) => state === 'open')?.number ?? null;
    return [{ pull, branch, words: closingWords(deployment, { desired, tree }) }];
  });
};

const closingWords = (deployment: string, { desired, tree }: Pick<View, 'desired' | 'tree'>) => {
  const failed = tree.ledger.findLast(
    (record) => record.kind === 'failed' && record.deployment === deployment,
  );
  const name = failed?.kind === 'failed' ? failed.job : 'the job';
  const job = desired.jobs.find(({ id }) => id === name);
  const what =
    job === undefined
      ? `${code(name)} is not on the branch any more`
      : `the branch has another version of ${code(name)} since commit ${commitCode(job.commit.oid)}`;
  return `Closed by Purser: ${what}. There is nothing left to take back.`;
};

/** The branch cannot be written: the very commit, elsewhere (rules 6.5). */
const refusedReverts = ({ plan, desired }: View): readonly Offer[] =>
  plan.proposals.flatMap((proposal) => {
    if (proposal.kind !== 'revert') return [];
    const { job, deployment, edits, message } = proposal;
    const head = desired.commit.oid;
    return [{ job, deployment, ask: { head, edits, message, author: MACHINE_AUTHOR } }];
  });

/** Going back does not give a version that settled: the inverse of the commit (rules 6.3). */
const impossibleReverts = async (
  { plan, desired, tree }: View,
  complete: ForgeContext['source']['complete'],
): Promise<readonly Offer[]> => {
  const jobs = plan.blocked.flatMap((blocked) => stalledJob(desired.jobs, blocked));
  if (jobs.length === 0) return [];
  const changes = [...new Set(jobs.map(({ commit }) => commit.oid))];
  const read = await complete(tree, { digests: [], histories: [], changes });
  return jobs.flatMap((job) => {
    const files = read.changes?.get(job.commit.oid)?.files ?? null;
    const back = files === null ? null : takenBack(files, { byFields: false });
    if (back === null || back.edits.length === 0) return [];
    if (back.changed.length + back.unwritable.length > 0) return [];
    const message = messageOf(job, desired.cluster.name);
    const ask = { head: tree.head.oid, edits: back.edits, message, author: MACHINE_AUTHOR };
    return [{ job: job.id, deployment: job.deployment, ask }];
  });
};

/** Where people switched `auto_revert` off, they want no revert offered either. */
const stalledJob = (jobs: readonly DesiredJob[], blocked: Blocked): readonly DesiredJob[] => {
  if (blocked.kind !== 'waiting' || blocked.why !== 'revert-impossible') return [];
  const job = jobs.find(({ id }) => id === blocked.job);
  return job === undefined || !job.spec.update.autoRevert ? [] : [job];
};

const messageOf = (job: DesiredJob, cluster: string): string => {
  const reason = plainLine(job.failed?.evidence.reason ?? 'it failed');
  const message = [
    `Take back commit ${job.commit.oid.slice(0, 12)}, by which ${job.id} failed`,
    '',
    asSentence(reason),
    job.revert.kind === 'impossible'
      ? asSentence(`The machine does not revert it by itself: ${job.revert.why}`)
      : '',
    'All that the commit changed goes back, but for counts.',
    '',
    `Purser-Reverts: ${job.commit.oid}`,
    `Purser-Cluster: ${cluster}`,
    `Purser-Job: ${job.id}`,
    `Purser-Deployment: ${job.deployment}`,
    `Purser-Reason: ${reason}`,
    '',
  ].join('\n');
  return uncalling(message);
};

const asSentence = (sentence: string): string =>
  /[.?!]$/.test(sentence) ? sentence : `${sentence}.`;
