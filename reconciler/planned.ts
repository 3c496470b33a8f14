// A foreseen change as it is told: summary, rehearsal, written fields, effects, the snapshot's name.
// One making for pull requests, `purser plan` and notes, so that they say the same. In: what was
// foreseen, files before and after. Out: the parts of a PullPlan. Not here: foreseeing (preview),
// words (render), commits.

import { compile } from './desired/compile.ts';
import { fieldChanges } from './desired/field-changes.ts';
import { fieldLines } from './desired/field-lines.ts';
import { createReader, type Reader } from './desired/read.ts';
import { effectsOf } from './plan/effects.ts';
import { rehearse } from './plan/rehearse.ts';
import { unaged } from '../schema/ageing.ts';
import { openChanges, type Behind, type OwnedChange } from '../schema/behind.ts';
import { ANNOTATIONS_LIMIT, type CheckBody } from '../schema/forge.ts';
import { sha256 } from '../schema/hash.ts';
import { compareText } from '../schema/ids.ts';
import type { LiveNode, LiveState } from '../schema/live.ts';
import { ownersOf, parseOwners } from '../schema/owners.ts';
import type { PullPlan, RefusedInPull } from '../schema/pull-plan.ts';
import type { Files } from '../schema/source.ts';
import type { Summary } from '../schema/summary.ts';
import { createMemos } from './memos.ts';
import { previewWith, resolveWithin, type Foreseen, type PreviewAsk } from './preview.ts';
import { groupOf } from './render/places.ts';
import { planCheck } from './render/plan-check.ts';
import { summarize } from './render/summary.ts';

export type Planned = Omit<Extract<PullPlan, { kind: 'planned' }>, 'kind' | 'base' | 'head'>;

export interface PlannedInput {
  readonly foreseen: Foreseen;
  readonly before: Files;
  readonly after: Files;
  /** That differ between the two. */
  readonly paths: Iterable<string>;
  readonly read: Reader;
}

export const plannedOf = ({ foreseen, before, after, paths, read }: PlannedInput): Planned => {
  const { preview, after: forecast } = foreseen;
  const { live, base, change } = preview;
  const summary = withLines(summarize(preview), after, read);
  const changed = new Set(summary.jobs.map(({ job }) => job));
  const written = [...paths].flatMap((path) => /^jobs\/(.+)\.yaml$/.exec(path)?.[1] ?? []);
  const jobs = [...new Set([...changed, ...written])];
  return {
    summary,
    rehearsal: rehearse({ before: base.desired, live, after: forecast, changed }),
    fields: fieldChanges({ before, after, jobs, read }),
    effects: effectsOf(base, change),
    ...ownedIn(base.desired.cluster.owners, paths, after),
    snapshot: nameOf(live),
  };
};

/** Of the groups that remarks are made of: no more files are looked at again. */
const withLines = (summary: Summary, files: Files, read: Reader): Summary => {
  const groups = summary.blocked.flatMap((blocked) =>
    blocked.kind === 'no-node' ? [groupOf(blocked.slot)] : [],
  );
  const asked = new Set([...new Set(groups)].slice(0, ANNOTATIONS_LIMIT));
  const places = (summary.places ?? []).map((place) => {
    const file = asked.has(`${place.job}/${place.group}`) ? files.get(place.file) : undefined;
    if (file === undefined) return place;
    return { ...place, lines: fieldLines(read('job', place.file, file), place.group) };
  });
  return { ...summary, places };
};

/** By the rules of the base: a change cannot admit itself. */
const ownedIn = (
  written: string | undefined,
  paths: Iterable<string>,
  files: Files,
): { readonly owned?: readonly OwnedChange[] } => {
  if (written === undefined) return {};
  const of = ownersOf(parseOwners(written).rules);
  const owned = [...paths]
    .map((path) => ({ path, blob: files.get(path)?.blob ?? null, owners: of(path) }))
    .filter(({ owners }) => owners.length > 0)
    .toSorted((a, b) => compareText(a.path, b.path));
  return owned.length === 0 ? {} : { owned };
};

/** How a change goes onto the branch, as far as it can be known without a forge. */
export interface Arrival {
  /** The commit that was named, or the one that edits would be. */
  readonly head: string;
  /** False: edits, of which nobody knows yet how their commit will be signed. */
  readonly isCommitted: boolean;
  /** `merged`: the tree is that of the merge, or it stands as it is. */
  readonly merge:
    | { readonly kind: 'merged' }
    | { readonly kind: 'untouched' }
    | { readonly kind: 'conflict'; readonly files: readonly string[] };
  /** Commits of it that the signature policy would not accept, oldest first. */
  readonly refusals: readonly RefusedInPull[];
  /** Who wrote its commits. */
  readonly authors: Behind['authors'];
  /** What could not be looked at, for people. */
  readonly unknown: readonly string[];
}

/** A change as `purser plan` shows it, judged by what judges a pull request. */
export interface JudgedPlan {
  readonly kind: Arrival['merge']['kind'];
  readonly base: string;
  readonly head: string;
  /** As the check of a pull request ends. */
  readonly conclusion: CheckBody['conclusion'];
  /** `3 start, 3 stop`. */
  readonly title: string;
  /** Changed files that no owner has let through, as far as the ledger and the commits tell. */
  readonly waits: readonly OwnedChange[];
  /** What the check may know and this does not; empty: it says the same. */
  readonly unknown: readonly string[];
  /** null: it cannot be merged as it stands. */
  readonly plan: (Planned & Pick<Arrival, 'refusals'>) | null;
  /** Files that conflict. */
  readonly files: readonly string[];
}

/** The plan of a preview that is made once, judged as the check of a pull request is. */
export const previewPlan = async (
  ask: PreviewAsk & { readonly arrival: Arrival },
): Promise<JudgedPlan> => {
  const { snapshot, arrival, change } = ask;
  const { head, merge } = arrival;
  const base = snapshot.tree.head.oid;
  const memos = createMemos();
  const stands = compile(snapshot.tree, memos.compile);
  const { cluster, approvals } = stands;
  const isUnsigned = !arrival.isCommitted && cluster.verify !== undefined;
  // With `head` the commit to come vouches for those below it.
  const refusals = isUnsigned && cluster.verify === 'head' ? [] : arrival.refusals;
  const approved = new Set(approvals.flatMap(({ slots }) => slots));
  const context = { cluster: cluster.name, directory: snapshot.tree.directory, approved };
  const common = { kind: merge.kind, base, head };
  if (merge.kind === 'conflict') {
    const { title, conclusion } = planCheck({ ...common, ...merge }, context);
    const { unknown } = arrival;
    return { ...common, title, conclusion, waits: [], unknown, plan: null, files: merge.files };
  }
  const resolve = resolveWithin(cluster.registries, ask.source.resolve);
  const source = { ...ask.source, resolve };
  const foreseen = await previewWith({ ...memos, now: 0 }, { snapshot, change, source });
  const [before, after] = [snapshot.tree.files, change.files];
  const paths = differingPaths(before, after);
  const read = createReader(memos.compile.reads);
  const planned = plannedOf({ foreseen, before, after, paths, read });
  const { owned = [] } = planned;
  const behind = { authors: arrival.authors, approvals: [] };
  const judging = { ownApproval: cluster.ownApproval, given: approvals };
  const open = openChanges(owned, behind, judging);
  const plan: PullPlan =
    merge.kind === 'untouched'
      ? { ...common, kind: 'untouched', refusals }
      : { ...common, kind: 'planned', ...planned, refusals };
  const { title, conclusion } = planCheck(plan, { ...context, open });
  const unknown = [
    ...(owned.length === 0 ? [] : [REVIEWS]),
    ...(isUnsigned ? [UNSIGNED] : []),
    ...arrival.unknown,
  ];
  const told = { ...planned, refusals };
  return { ...common, title, conclusion, waits: open, unknown, plan: told, files: [] };
};

/** Only a forge can say it. */
const REVIEWS =
  'who opens and who reviews a pull request with it: owners are looked for among the authors of ' +
  'its commits and the approvals in the ledger';
const UNSIGNED = 'whether the commit of these edits will be signed as the policy asks';

/** Where nobody has compared them already. */
const differingPaths = (before: Files, after: Files): readonly string[] =>
  before === after
    ? []
    : [...new Set([...before.keys(), ...after.keys()])].filter(
        (path) => before.get(path)?.blob !== after.get(path)?.blob,
      );

const names = new WeakMap<ReturnType<typeof unaged>, string>();

/** Of all that a plan looks at, but ages. */
const nameOf = ({ nodes }: LiveState): string =>
  sha256(nodes.map((node) => `${headOf(node)} ${copiesName(node)}`).join('\n')).slice(0, 16);

const headOf = ({ name, connected, capacity, attributes, portsTaken, volumes }: LiveNode): string =>
  JSON.stringify([name, connected, capacity, attributes, portsTaken, volumes]);

const copiesName = (node: LiveNode): string => {
  const copies = unaged(node);
  const known = names.get(copies);
  if (known !== undefined) return known;
  const made = sha256(
    copies
      .map(({ allocation, body, phase, health, everHealthy, stopping }) =>
        [allocation, body.specHash, phase, health, everHealthy, stopping].join(' '),
      )
      .join('\n'),
  );
  names.set(copies, made);
  return made;
};
