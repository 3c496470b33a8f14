// What must hold of counts that are the machine's, and of those that are not (rules 7).
// In: orders as they leave, commits of the machine. Out: violations.
// Not here: how many copies there are at rest (settle.ts), at most or at least (check.ts).

import type { NodeOrders } from '../../schema/orders.ts';
import type { Files } from '../../schema/source.ts';
import type { Context } from './check-context.ts';
import { isBeingJudged } from './check-policies.ts';
import { countsOf, saidIn, scalePath } from './drafts.ts';
import type { RepoCommit } from './fake/git.ts';
import { inForce, resolvedDraft } from './human.ts';
import { idOf } from './truth.ts';

/**
 * No slot goes that the count holds: a deploy never resets it, and while no file says it, whatever
 * lives within the bounds is the count.
 */
export const checkScaleDown = (context: Context, { commit, items }: NodeOrders): void => {
  const { human, truth, fail, stopped } = context;
  const index = human.intents.findIndex(({ oid }) => oid === commit);
  if (index < 0) return;
  for (const item of items) {
    // A stop that was ordered before and is still under way says nothing about this commit.
    if (item.kind !== 'stop' || item.reason !== 'scale-down') continue;
    const body = truth.bodies.get(item.allocation);
    if (stopped.has(item.allocation) || body === undefined) continue;
    const draft = inForce(human.intents, index, idOf(body));
    if (draft === undefined || draft.stopped) continue;
    const held = resolvedDraft(human, index, draft.id) ?? draft;
    const kept = Math.min(countsOf(draft).max, countsOf(held).max);
    if (body.index >= kept || isBeingJudged(context, draft.id)) continue;
    fail('count', `${item.allocation}, slot ${body.index}, goes where ${kept} count`);
  }
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
