// Rules 1.1 and 2.3: the deployment of a version is that of the newest commit at which it differs
// from its parent's, whatever settled, failed or was thrown away before. In: views, what people
// meant by each commit. Out: violations; at rest, copies and jobs that are not marked so. It walks
// the line of what was meant, and knows neither files nor ledger. Not here: everything else at rest
// (settle.ts).

import type { View } from '../../reconciler/cycle.ts';
import type { DesiredJob } from '../../schema/desired.ts';
import type { CheckOptions, Context } from './check-context.ts';
import type { JobDraft } from './drafts.ts';
import type { Human, Meaning } from './human.ts';

type Seen = Pick<CheckOptions, 'truth' | 'human'>;

export const checkIntroduced = ({ human, fail }: Context, { desired }: View): void => {
  const head = human.intents.findLast(({ oid }) => oid === desired.commit.oid);
  if (head === undefined || desired.standing.kind !== 'ok') return;
  for (const job of desired.jobs) {
    if (job.standing.kind !== 'head') continue;
    const expected = introducedBy(head, job.id);
    if (job.commit.oid === expected) continue;
    const [is, should] = [job.commit.oid, expected ?? 'none'].map((oid) => oid.slice(0, 8));
    fail('introduced', `${job.id} is said to come by commit ${is}, and came by ${should}`);
  }
};

/** Down the line from HEAD to the oldest commit in a row that means this version. */
const introducedBy = (head: Meaning, job: string): string | null => {
  const version = versionAt(head, job);
  if (version === null) return null;
  let at = head;
  while (at.before !== null && versionAt(at.before, job) === version) at = at.before;
  return at.oid;
};

/**
 * What forms the version (rules 2.1); a broken file keeps what stood there before it (1.3). Where
 * HEAD's file waits for nobody, its history is as it was written.
 */
const versionAt = (meaning: Meaning, job: string): string | null => {
  let at: Meaning | null = meaning;
  while (at?.written.jobs.get(job)?.broken === true) at = at.before;
  const draft = at?.written.jobs.get(job);
  return draft === undefined ? null : formed(draft);
};

const formed = ({ version, pinned, memoryMiB, volume, hostPort }: JobDraft): string =>
  JSON.stringify([version, pinned, memoryMiB, volume, hostPort]);

/**
 * A job that is called settled has a mark of this very deployment in the ledger, and its copies
 * bear its label. One on a drained node is on its way, and is left as it is.
 */
export const unmarked = (world: Seen, { plan, desired }: View): readonly string[] =>
  plan.deployments.flatMap(({ job, deployment, status }) => {
    const found = desired.jobs.find(({ id }) => id === job);
    if (status !== 'settled' || found?.standing.kind !== 'head') return [];
    const copies = staying(world, found);
    if (copies.length === 0) return [];
    const isMarked = isInLedger(world.human, deployment);
    const others = copies.filter(({ body }) => body.deployment !== deployment);
    return [
      ...(isMarked ? [] : [`${job}: no mark says that ${deployment} settled`]),
      ...others.map(
        ({ allocation, body }) => `${allocation} is labelled ${body.deployment}, not ${deployment}`,
      ),
    ];
  });

const staying = ({ truth, human }: Seen, { id }: DesiredJob) =>
  truth.copiesOf(id).filter(({ node }) => human.intent().nodes.get(node.name)?.drain === false);

const isInLedger = ({ repo }: Human, deployment: string): boolean =>
  repo.ledger.some((entry) => entry.kind === 'settled' && entry.deployment === deployment);
