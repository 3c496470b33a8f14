// What must hold of every order and every machine commit (architecture, simulation; the numbers are
// of the rules).
// In: orders as they leave, commits of the machine. Out: violations. Not here: what must hold of
// what runs (check.ts), at rest (settle.ts).

import type { LedgerRecord } from '../../schema/ledger.ts';
import type { AllocationBody, NodeOrders } from '../../schema/orders.ts';
import { slotName } from '../../schema/ids.ts';
import type { Ms } from '../../schema/spec.ts';
import type { Context } from './check.ts';
import type { RepoCommit } from './fake/git.ts';
import type { JobDraft } from './drafts.ts';
import type { Human } from './human.ts';
import { idOf, tagOf } from './truth.ts';

/** An order made before a record was read may be on its way for so long. */
const RECORD_SEEN_MS: Ms = 30_000;

/** 1.3 and 8: a tree without jobs, or a broken file, stops nothing. */
export const checkStops = ({ human, truth, fail, stopped }: Context, orders: NodeOrders): void => {
  const index = human.intents.findIndex(({ oid }) => oid === orders.commit);
  const jobs = human.intents[index]?.intent.jobs;
  if (jobs === undefined) return;
  for (const item of orders.items) {
    // A stop that was ordered before and is still under way says nothing about this commit.
    if (item.kind !== 'stop' || stopped.has(item.allocation)) continue;
    stopped.add(item.allocation);
    const body = truth.bodies.get(item.allocation);
    if (body === undefined) continue;
    const removal = item.reason === 'job-removed';
    if (removal && jobs.size === 0) {
      fail('empty', `${item.allocation} is removed by an empty tree`);
    }
    if ((removal || item.reason === 'scale-down') && !mayRemove(human, body)) {
      fail('guard', `${slotName(body)} has a named volume and is removed without approval`);
    }
    const draft = jobs.get(idOf(body));
    const broken = draft?.broken === true;
    if (item.reason === 'rollout' && draft !== undefined && isSame(draft, body)) {
      fail('unchanged', `${item.allocation} is replaced although its version is the wanted one`);
    }
    if (broken && removal) {
      fail('held', `${item.allocation} is removed while its file is broken`);
    }
  }
};

/** Rules 8.1: the removal of a slot with a named volume waits for a person. */
const mayRemove = ({ repo }: Human, body: AllocationBody): boolean =>
  body.spec.volumes.length === 0 ||
  repo.ledger.some((entry) => entry.kind === 'approval' && entry.slots.includes(slotName(body)));

const MIB = 1024 * 1024;

/** The copy is what the draft wants (2.1): same bytes, same size. */
const isSame = ({ version, memoryMiB }: JobDraft, { spec }: AllocationBody): boolean =>
  spec.tasks.every(
    ({ image, memoryBytes }) =>
      tagOf(image.reference) === `v${version}` && memoryBytes === memoryMiB * MIB,
  );

/** 6.2: a failed deployment gets no new copies where a settled version exists. */
export const checkFailed = (context: Context, orders: NodeOrders): void => {
  const { human, truth, fail, failedAt, ordered, stopped } = context;
  for (const item of orders.items) {
    if (item.kind === 'run') stopped.delete(item.allocation);
    if (item.kind !== 'run' || ordered.has(item.allocation)) continue;
    ordered.add(item.allocation);
    const { body } = item;
    const since = failedAt.get(body.deployment);
    if (since === undefined || truth.time.now() - since < RECORD_SEEN_MS) continue;
    const settled = human.repo.ledger.some(
      (entry) =>
        entry.kind === 'settled' && entry.job === idOf(body) && entry.specHash !== body.specHash,
    );
    if (settled) fail('failed', `${item.allocation} starts for ${body.deployment}, which failed`);
  }
};

/** 6.4: at most one machine revert a deployment, and only of one that failed and never settled. */
export const checkRevert = (
  { reverted, fail }: Context,
  { info }: RepoCommit,
  ledger: readonly LedgerRecord[],
): void => {
  const trailer = (name: string): string | undefined =>
    info.trailers.find(([key]) => key === name)?.[1];
  const deployment = trailer('Purser-Deployment');
  if (trailer('Purser-Reverts') === undefined || deployment === undefined) return;
  if (reverted.has(deployment)) fail('revert', `${deployment} was reverted twice`);
  reverted.add(deployment);
  const failed = ledger.find((entry) => entry.kind === 'failed' && entry.deployment === deployment);
  if (failed?.kind !== 'failed') {
    fail('revert', `${deployment} was reverted without a failed record`);
    return;
  }
  const settled = ledger.some(
    (entry) =>
      entry.kind === 'settled' && entry.job === failed.job && entry.specHash === failed.specHash,
  );
  if (settled) fail('revert', `${deployment} was reverted although its version had settled`);
};
