// What a change would do: the plan of the change beside the plan of what stands, so that pending
// work is not blamed on the change. In: a snapshot, the changed tree, and how to complete what
// compile asks for. Out: waves of plans.
// Records nothing and sends nothing: it is given no port that could. Not here: words (render),
// where trees come from.

import { asks, compile } from './desired/compile.ts';
import { forecast } from './plan/forecast.ts';
import { plan } from './plan/plan.ts';
import { sha256 } from '../schema/hash.ts';
import type { LedgerRecord } from '../schema/ledger.ts';
import type { LiveState } from '../schema/live.ts';
import type { Preview, PreviewSide } from '../schema/preview.ts';
import type { Snapshot } from '../schema/snapshot.ts';
import type { Asks, CommitInfo, DigestAsk, Files, SourceTree } from '../schema/source.ts';
import type { LookupAnswer } from '../schema/source.ts';
import { lookupKey } from '../schema/source.ts';
import { ASK_ROUNDS } from './config.ts';
import { asksPast } from './cycle.ts';

/** How a preview learns what compile still lacks. */
export interface PreviewSource {
  /** The tree with the histories that were asked. */
  readonly complete: (tree: SourceTree, asks: Asks) => Promise<SourceTree>;
  /** Which digest a tag has; null where nobody can be asked. */
  readonly resolve: (ask: DigestAsk) => Promise<LookupAnswer | null>;
}

/**
 * A tree as if the branch stood at `head` with these files; the past, and what commits changed
 * against it, are asked anew.
 */
export const changedTree = (base: SourceTree, head: CommitInfo, files: Files): SourceTree => {
  const synced = base.ledger.findLast((record) => record.kind === 'synced')?.commit ?? null;
  const lastSynced =
    base.lastSynced ??
    (synced === base.head.oid ? { commit: base.head.oid, files: base.files } : null);
  const isSynced = lastSynced?.commit === head.oid;
  const contained = [...(base.contained ?? []), base.head.oid];
  return {
    ...base,
    head,
    files,
    contained,
    histories: new Map(),
    changes: new Map(),
    lastSynced: isSynced ? null : lastSynced,
  };
};

export interface PreviewAsk {
  readonly snapshot: Snapshot;
  /** The snapshot's own tree: what stands is shown as it is. */
  readonly change: SourceTree;
  readonly source: PreviewSource;
}

export const preview = async ({ snapshot, change, source }: PreviewAsk): Promise<Preview> => {
  const { live, tree } = snapshot;
  const same = change === tree;
  const whole = await completed(change, source);
  const base = sideOf(tree, live);
  return {
    live,
    base,
    change: sideOf(whole.tree, live),
    same,
    assumed: whole.assumed,
  };
};

/** `now` only dates `wakeAt`, which a preview does not show. */
const sideOf = (tree: SourceTree, live: LiveState): PreviewSide => {
  const desired = compile(tree);
  return { desired, waves: forecast(desired, live, 0), first: plan(desired, live, 0) };
};

interface Completed {
  readonly tree: SourceTree;
  readonly assumed: readonly string[];
}

/** The rounds of the loop; a digest that is found stands in the ledger, of this preview alone. */
const completed = async (change: SourceTree, source: PreviewSource): Promise<Completed> => {
  const assumed = new Set<string>();
  let tree = change;
  // One round more than the loop has: it finds its digests in the ledger in a later pass.
  for (let round = 0; round <= ASK_ROUNDS; round += 1) {
    const wanted = asks(tree);
    const open = wanted.digests.filter((ask) => !tree.lookups.has(lookupKey(ask)));
    const found = tree.lookups;
    if (!asksPast(wanted) && open.length === 0) break;
    if (asksPast(wanted)) tree = await source.complete(tree, wanted);
    const answers = await Promise.all(
      open.map(async (ask) => ({ ask, answer: await source.resolve(ask) })),
    );
    for (const { ask, answer } of answers) if (answer === null) assumed.add(ask.reference);
    tree = withAnswers({ ...tree, lookups: found }, answers);
  }
  return { tree, assumed: [...assumed].toSorted() };
};

interface Answered {
  readonly ask: DigestAsk;
  readonly answer: LookupAnswer | null;
}

const withAnswers = (tree: SourceTree, answers: readonly Answered[]): SourceTree => {
  const lookups = new Map(tree.lookups);
  const records: LedgerRecord[] = [];
  for (const { ask, answer } of answers) {
    const digest = answer === null ? standIn(ask) : digestOf(answer);
    if (digest === null && answer !== null) lookups.set(lookupKey(ask), answer);
    if (digest !== null) records.push({ kind: 'digest', ...ask, digest });
  }
  return { ...tree, lookups, ledger: [...tree.ledger, ...records] };
};

const digestOf = (answer: LookupAnswer): string | null =>
  answer.kind === 'digest' ? answer.digest : null;

/** A digest that no image has: the version is one that never ran. */
const standIn = ({ reference }: DigestAsk): string => `sha256:${sha256(`assumed ${reference}`)}`;
