// What a change would do: the plan of the change beside the plan of what stands, so that pending
// work is not blamed on the change. In: a snapshot, the changed tree, and how to complete what
// compile asks for. Out: waves of plans.
// Records nothing and sends nothing: it is given no port that could. Not here: words (render),
// where trees come from.

import { asks, compile } from './desired/compile.ts';
import { heldIn, withHeld } from './desired/held-files.ts';
import type { CompileMemo } from './desired/memo.ts';
import { touchedWith } from './desired/touched.ts';
import { forecastWith, type Forecast } from './plan/forecast.ts';
import { copyPlanMemo, type PlanMemo } from './plan/memo.ts';
import { planWith } from './plan/plan.ts';
import type { DesiredState } from '../schema/desired.ts';
import { sha256 } from '../schema/hash.ts';
import { parseImageReference } from '../schema/image-reference.ts';
import type { LedgerRecord } from '../schema/ledger.ts';
import type { LiveState } from '../schema/live.ts';
import type { Preview, PreviewSide } from '../schema/preview.ts';
import type { Snapshot } from '../schema/snapshot.ts';
import type { Asks, CommitInfo, DigestAsk, Files, SourceTree } from '../schema/source.ts';
import type { LookupAnswer } from '../schema/source.ts';
import { lookupKey } from '../schema/source.ts';
import type { Ms } from '../schema/spec.ts';
import { ASK_ROUNDS } from './config.ts';
import { asksPast } from './cycle.ts';
import { createMemos } from './memos.ts';
import { completeScreened } from './screened-histories.ts';

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
  const { held: heldThere = [], owed: _, ...rest } = base;
  const held = heldIn(files, heldThere);
  return {
    ...rest,
    ...(held.length === 0 ? {} : { held }),
    head,
    files: withHeld(files, held),
    contained,
    histories: new Map(),
    changes: new Map(),
    ...touchedIn(base, files),
    lastSynced: isSynced ? null : lastSynced,
  };
};

const touchedIn = (base: SourceTree, files: Files): Pick<SourceTree, 'touched'> => {
  const touched = touchedWith(base, files);
  return touched === undefined ? {} : { touched };
};

export interface PreviewAsk {
  readonly snapshot: Snapshot;
  /** The snapshot's own tree: what stands is shown as it is. */
  readonly change: SourceTree;
  readonly source: PreviewSource;
  /** What stands, foreseen with the same memo and instant; absent: it is foreseen here. */
  readonly base?: Side;
}

export const preview = async (ask: PreviewAsk): Promise<Preview> =>
  (await previewWith({ ...createMemos(), now: 0 }, ask)).preview;

/** What one preview leaves for the next; it changes how long the next one takes. */
export interface PreviewMemo {
  readonly compile: CompileMemo;
  readonly plan: PlanMemo;
  /** On a clock that never goes back. */
  readonly now: Ms;
}

export interface Foreseen {
  readonly preview: Preview;
  /** The change done, as far as it can be foreseen. */
  readonly after: Forecast;
}

export const previewWith = async (
  memo: PreviewMemo,
  { snapshot, change, source, base = standingWith(memo, snapshot) }: PreviewAsk,
): Promise<Foreseen> => {
  const { live, tree } = snapshot;
  const same = change === tree;
  const whole = await completed(change, source, memo.compile);
  const after = whole.tree === tree ? base : sideOf(memo, compile(whole.tree, memo.compile), live);
  const { assumed } = whole;
  return {
    preview: { live, base: base.side, change: after.side, same, assumed },
    after: after.forecast,
  };
};

/** What stands, foreseen; the memo of plans knows it afterwards. */
export const standingWith = (
  memo: PreviewMemo,
  { tree, live }: Pick<Snapshot, 'tree' | 'live'>,
): Side => {
  const stands = compile(tree, memo.compile);
  planWith(memo.plan)(stands, live, memo.now);
  return sideOf(memo, stands, live);
};

export interface Side {
  readonly side: PreviewSide;
  readonly forecast: Forecast;
}

/** The memo of plans stays with what is: each side is foreseen with a copy of it. */
const sideOf = ({ plan: memo, now }: PreviewMemo, desired: DesiredState, live: LiveState): Side => {
  const forecast = forecastWith(copyPlanMemo(memo), { desired, live, now });
  const side: PreviewSide = { desired, waves: forecast.waves, first: forecast.first };
  return { side, forecast };
};

export interface Completed {
  readonly tree: SourceTree;
  readonly assumed: readonly string[];
}

/** The rounds of the loop; a digest that is found stands in the ledger, of this preview alone. */
export const completed = async (
  change: SourceTree,
  source: PreviewSource,
  memo: CompileMemo,
): Promise<Completed> => {
  const assumed = new Set<string>();
  let tree = change;
  // One round more than the loop has: it finds its digests in the ledger in a later pass.
  for (let round = 0; round <= ASK_ROUNDS; round += 1) {
    const wanted = asks(tree, memo);
    const open = wanted.digests.filter((ask) => !tree.lookups.has(lookupKey(ask)));
    const found = tree.lookups;
    if (!asksPast(wanted) && open.length === 0) break;
    if (asksPast(wanted))
      tree = await completeScreened({ complete: source.complete })(tree, wanted);
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

/**
 * Whatever a change writes into cluster.yaml: only registries that the base names are asked. The
 * rest counts as not known, which the summary lists.
 */
export const resolveWithin =
  (registries: readonly string[], resolve: PreviewSource['resolve']): PreviewSource['resolve'] =>
  async (ask) => {
    const name = parseImageReference(ask.reference)?.registry;
    return name !== undefined && registries.includes(name) ? resolve(ask) : null;
  };

/** A digest that no image has: the version is one that never ran. */
const standIn = ({ reference }: DigestAsk): string => `sha256:${sha256(`assumed ${reference}`)}`;
