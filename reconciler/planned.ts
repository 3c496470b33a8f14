// A foreseen change as it is told: summary, rehearsal, written fields, effects, the snapshot's name.
// One making for pull requests, `purser plan` and notes, so that they say the same. In: what was
// foreseen, files before and after. Out: the parts of a PullPlan. Not here: foreseeing (preview),
// words (render), commits.

import { fieldChanges } from './desired/field-changes.ts';
import { fieldLines } from './desired/field-lines.ts';
import { createReader, type Reader } from './desired/read.ts';
import { effectsOf } from './plan/effects.ts';
import { rehearse } from './plan/rehearse.ts';
import { unaged } from '../schema/ageing.ts';
import type { OwnedChange } from '../schema/behind.ts';
import { ANNOTATIONS_LIMIT } from '../schema/forge.ts';
import { sha256 } from '../schema/hash.ts';
import { compareText } from '../schema/ids.ts';
import type { LiveNode, LiveState } from '../schema/live.ts';
import { ownersOf, parseOwners } from '../schema/owners.ts';
import type { PullPlan } from '../schema/pull-plan.ts';
import type { Files } from '../schema/source.ts';
import type { Summary } from '../schema/summary.ts';
import { createMemos } from './memos.ts';
import { previewWith, type Foreseen, type PreviewAsk } from './preview.ts';
import { groupOf } from './render/places.ts';
import { planTitle } from './render/plan-title.ts';
import { judge, type Verdict } from './render/plan-verdict.ts';
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

/** The plan of a preview that is made once, with its judgement: what `purser plan` shows. */
export const previewPlan = async (ask: PreviewAsk): Promise<Judged> => {
  const memos = createMemos();
  const foreseen = await previewWith({ ...memos, now: 0 }, ask);
  const [before, after] = [ask.snapshot.tree, ask.change];
  const planned = plannedOf({
    foreseen,
    before: before.files,
    after: after.files,
    paths: differingPaths(before.files, after.files),
    read: createReader(memos.compile.reads),
  });
  const { approvals } = foreseen.preview.change.desired;
  const approved = new Set(approvals.flatMap(({ slots }) => slots));
  const verdict = judge(planned, { approved });
  return {
    ...planned,
    base: before.head.oid,
    head: after.head.oid,
    conclusion: verdict.conclusion,
    title: planTitle(planned.summary, verdict),
  };
};

export interface Judged extends Planned {
  readonly base: string;
  readonly head: string;
  /** As the check of a pull request ends. */
  readonly conclusion: Verdict['conclusion'];
  /** `3 start, 3 stop`. */
  readonly title: string;
}

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
