// What must hold of counts that are the machine's, and of those that are not (rules 7).
// In: orders as they leave, commits of the machine. Out: violations.
// Not here: how many copies there are at rest (settle.ts), at most or at least (check.ts).

import type { NodeOrders } from '../../schema/orders.ts';
import type { Files } from '../../schema/source.ts';
import type { Context } from './check-context.ts';
import { countsOf, saidIn, scalePath, type JobDraft } from './drafts.ts';
import type { RepoCommit } from './fake/git.ts';
import { inForce, type Human } from './human.ts';
import { idOf } from './truth.ts';

/**
 * No slot goes that the count holds: a deploy never resets it, and while no file says it, whatever
 * lives within the bounds is the count.
 */
export const checkScaleDown = (
  { human, truth, fail, stopped }: Context,
  { commit, items }: NodeOrders,
): void => {
  const index = human.intents.findIndex(({ oid }) => oid === commit);
  if (index < 0) return;
  for (const item of items) {
    // A stop that was ordered before and is still under way says nothing about this commit.
    if (item.kind !== 'stop' || item.reason !== 'scale-down') continue;
    const body = truth.bodies.get(item.allocation);
    if (stopped.has(item.allocation) || body === undefined) continue;
    const draft = inForce(human.intents, index, idOf(body));
    if (draft === undefined || draft.stopped) continue;
    const kept = Math.min(countsOf(draft).max, heldCount(human, index, draft));
    if (body.index >= kept) continue;
    fail('count', `${item.allocation}, slot ${body.index}, goes where ${kept} count`);
  }
};

/** What counts while an image is not resolved is the content before, with its bounds (rules 3). */
const heldCount = ({ intents, repo }: Human, index: number, { id, said }: JobDraft): number => {
  const isResolved = ({ pinned, version }: JobDraft): boolean =>
    pinned ||
    repo.ledger.some(
      (entry) =>
        entry.kind === 'digest' && entry.job === id && entry.reference.endsWith(`:v${version}`),
    );
  let meaning = intents[index] ?? null;
  for (; meaning !== null; meaning = meaning.before) {
    const draft = meaning.intent.jobs.get(id);
    if (draft?.broken === false && isResolved(draft)) return countsOf({ ...draft, said }).max;
  }
  return 0;
};

/**
 * A revert never touches a count, wherever it stands. A count is written down only where none
 * stood, and within its bounds.
 */
export const checkCountCommit = ({ human, fail }: Context, { info, files }: RepoCommit): void => {
  const trailer = (name: string): string | undefined =>
    info.trailers.find(([key]) => key === name)?.[1];
  const id = trailer('Purser-Job') ?? '';
  const at = human.intents.findLastIndex(({ oid }) => oid === info.parent);
  const before = human.repo.commits.find(({ info: { oid } }) => oid === info.parent)?.files;
  const draft = inForce(human.intents, at, id);
  if (at < 0 || before === undefined || draft === undefined) return;
  const [was, now] = [countIn(before, id), countIn(files, id)];
  if (trailer('Purser-Reverts') !== undefined) {
    const [old, line] = [countLine(before, draft.path), countLine(files, draft.path)];
    if (now !== was) fail('count', `a revert of ${id} made its count ${now} of ${was}`);
    if (old !== line) fail('count', `a revert of ${id} made \`${line}\` of \`${old}\``);
    return;
  }
  if (now === was || now === null) return;
  if (was !== null) fail('count', `the machine made the count of ${id} ${now} of ${was}`);
  // People may have moved them while it was written.
  const known = human.intents.flatMap(({ intent }) => intent.jobs.get(id)?.bounds ?? []);
  if (known.some(({ min, max }) => now >= min && now <= max)) return;
  fail('count', `${now} was written down for ${id}, outside its bounds`);
};

const textOf = (files: Files, path: string): string => {
  const file = files.get(path);
  return file?.kind === 'text' ? file.text : '';
};

const countIn = (files: Files, id: string): number | null =>
  saidIn(id, textOf(files, scalePath(id)));

const countLine = (files: Files, path: string): string =>
  /^count:.*$/m.exec(textOf(files, path))?.[0] ?? '';
