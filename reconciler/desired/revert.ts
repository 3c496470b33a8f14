// What a failed version would go back to, as edits of files (rules 6.3).
// In: the job at HEAD, the newest settled version before it. Out: a RevertTarget whose edits were
// compiled and give exactly that version, with HEAD's fields that change in place; or why there is
// none. Not here: whether the version has failed, and the commit itself (reconciler/plan/rollback).

import type { FileEdit, RevertTarget } from '../../schema/desired.ts';
import { canonical } from '../../schema/hash.ts';
import { withFiles } from '../../schema/files.ts';
import type { CommitInfo, Files } from '../../schema/source.ts';
import { editYaml } from '../../schema/yaml-edit.ts';
import { settingsAt } from './cluster.ts';
import { draftJob, type Draft } from './draft.ts';
import type { JobInput } from './job-input.ts';
import { judged } from './policy.ts';
import { atomicEdits, isAtomic } from './revert-atomic.ts';
import { sameInPlace, transferEdits } from './revert-edits.ts';
import {
  isValid,
  versionOf,
  NO_TEXTS,
  type Moment,
  type SettledVersion,
  type Version,
} from './versions.ts';

export interface RevertFacts {
  readonly head: Version;
  /** What it stands in: HEAD, or the last commit that counts. */
  readonly from: Pick<Moment, 'files' | 'settings'>;
  readonly settled: SettledVersion | null;
  /** The commit that introduced HEAD's version. */
  readonly introduced: CommitInfo | null;
}

/** Worked out when first asked: most versions settle, and nobody ever asks. */
export const revertTarget = (input: JobInput, facts: RevertFacts): (() => RevertTarget) => {
  const { head, from, settled, introduced } = facts;
  const known = (target: RevertTarget) => () => target;
  if (settled === null) {
    return known(impossible(`no earlier version of ${head.spec.id} has settled`));
  }
  if (introduced !== null && isAtomic(introduced)) {
    return known(atomicTarget(input, { ...facts, settled, commit: introduced.oid }));
  }
  // Which other jobs use a file is asked now: it is compared when the next tree is looked at.
  const configs = configEdits(input, head, settled);
  if ('why' in configs) return known(impossible(configs.why));
  const { path, files, settings, read, ledger, scale } = input;
  const { record, moment } = settled;
  const then = { files: moment.files, settings: moment.settings };
  const back = { ...configs, from, record, moment: then };
  let target: RevertTarget | null = null;
  return () => (target ??= tried({ path, files, settings, read, ledger, scale }, back));
};

/** What is kept until somebody asks: no parsed documents, and no tree. */
type Trying = Pick<JobInput, 'path' | 'files' | 'settings' | 'read' | 'ledger' | 'scale'>;

interface Back extends Pick<SettledVersion, 'record'>, Pick<RevertFacts, 'from'> {
  readonly moment: Pick<Moment, 'files' | 'settings'>;
  /** Of the other files that go back. */
  readonly edits: readonly FileEdit[];
}

const tried = (input: Trying, { from, record, moment, edits: others }: Back): RevertTarget => {
  const { commit, specHash } = record;
  const head = draftIn(from, input);
  const settled = draftIn(moment, input);
  const files = withEdits(input.files, others);
  for (const text of head && settled ? candidates(head, settled) : []) {
    const job = jobEdit(input, text);
    const whole = withEdits(files, job);
    if (head && givesVersion(input, head, { files: whole, specHash, inPlace: true })) {
      const edits = [...others, ...job];
      if (edits.length > 0) return { kind: 'possible', commit, specHash, edits };
    }
  }
  return impossible(whyNot(input, { record, moment }));
};

const draftIn = ({ files, settings }: RevertFacts['from'], { path, read }: Trying): Draft | null =>
  draftJob({ path, files, defaults: settings.defaults }, read);

interface AtomicFacts extends RevertFacts {
  readonly settled: SettledVersion;
  readonly commit: string;
}

/**
 * The whole commit goes back, or nothing: the job's own file too if nobody changed it since, else
 * only its version, so that nothing of a later commit is lost.
 */
const atomicTarget = (input: JobInput, facts: AtomicFacts): RevertTarget => {
  const { head, settled, commit } = facts;
  const { commit: to, specHash } = settled.record;
  const whole = atomicEdits(input, commit);
  if ('why' in whole) return impossible(whole.why);
  const files = withEdits(input.files, whole.edits);
  const { settings: today, read } = input;
  const { evidence } = today;
  const settings = settingsAt(files, input.namespace, { before: () => today, evidence, read });
  const then = { ...input, files, settings };
  const texts = whole.ownChanged ? candidates(head.draft, settled.version.draft) : [null];
  for (const text of texts) {
    const own = text === null ? [] : jobEdit(input, text);
    const edits = [...whole.edits, ...own];
    const result = { files: withEdits(files, own), specHash, inPlace: text !== null };
    if (edits.length > 0 && givesVersion(then, head.draft, result)) {
      return { kind: 'possible', commit: to, specHash, edits, whole: true };
    }
  }
  const oid = commit.slice(0, 12);
  return impossible(
    `reverting commit ${oid} as a whole (Purser-Atomic) does not give version ` +
      `${specHash.slice(0, 12)}; revert by hand`,
  );
};

const impossible = (why: string): RevertTarget => ({ kind: 'impossible', why });

/** Files that either version uses go back, unless another job uses them too. */
const configEdits = (
  { path: own, files, sharedBy }: JobInput,
  head: Version,
  { version, moment }: SettledVersion,
): { readonly edits: readonly FileEdit[] } | { readonly why: string } => {
  const edits: FileEdit[] = [];
  const needed = new Set(version.draft.sources);
  for (const path of new Set([...version.draft.sources, ...head.draft.sources])) {
    const now = files.get(path);
    const then = moment.files.get(path);
    if (now?.blob === then?.blob) continue;
    // A file that HEAD's version alone uses and that was there before is not this version's to
    // change.
    if (then !== undefined && !needed.has(path)) continue;
    const other = sharedBy(path, own);
    if (other !== null) {
      if (!needed.has(path)) continue;
      return { why: `${path} has changed since, and ${other} uses it too` };
    }
    if (then?.kind === 'refused') return { why: `${path} cannot be read in that version` };
    edits.push({ path, content: then?.text ?? null, base: now?.blob ?? null });
  }
  return { edits };
};

/**
 * Texts that may be the answer, the best first: the old text as it was, where nothing but the
 * version has changed
 * since; HEAD's text with the version's fields put back, which keeps what people wrote since; the
 * old text with HEAD's
 * in-place fields, where whole levels were written out or folded in between.
 */
const candidates = (head: Draft, settled: Draft): readonly string[] => {
  const [from, to] = [settled.document, head.document];
  if (from.file.kind !== 'text' || to.file.kind !== 'text') return [];
  if (from.value === null || to.value === null) return [];
  const back = transferEdits({ from: from.value, to: to.value, fields: 'version' });
  const forward = transferEdits({ from: to.value, to: from.value, fields: 'in-place' });
  const edited = [
    back && editYaml(to.file.text, back),
    forward && editYaml(from.file.text, forward),
  ];
  return [from.file.text, ...edited.flatMap((edit) => (edit?.kind === 'ok' ? [edit.text] : []))];
};

const jobEdit = ({ path, files }: Trying, text: string): readonly FileEdit[] => {
  const now = files.get(path);
  if (now?.kind === 'text' && now.text === text) return [];
  return [{ path, content: text, base: now?.blob ?? null }];
};

/**
 * The blob's id is not known before the commit is made; the content names it well enough for one
 * comparison.
 */
const withEdits = (files: Files, edits: readonly FileEdit[]): Files =>
  withFiles(
    files,
    new Map(
      edits.map(({ path, content }) => [
        path,
        content === null
          ? null
          : { kind: 'text', blob: `edit of ${path}: ${content}`, text: content },
      ]),
    ),
  );

interface Result {
  readonly files: Files;
  readonly specHash: string;
  /** HEAD's in-place fields must be left as they are. */
  readonly inPlace: boolean;
}

/** Rules 6.3: the result must compile to exactly that version. */
const givesVersion = (
  input: Trying,
  head: Draft,
  { files, specHash, inPlace }: Result,
): boolean => {
  const { path, settings } = input;
  const draft = draftJob({ path, files, defaults: settings.defaults }, input.read);
  const result = draft && judged(draft, settings);
  if (!result || !isValid(result) || result.long === null || head.long === null) return false;
  const version = versionOf(result, NO_TEXTS, input);
  if (version.spec.specHash !== specHash) return false;
  return !inPlace || sameInPlace(result.long, head.long);
};

const whyNot = (
  { settings }: Trying,
  { moment, record }: Pick<Back, 'record' | 'moment'>,
): string => {
  const version = record.specHash.slice(0, 12);
  return canonical(moment.settings.defaults) === canonical(settings.defaults)
    ? `putting its fields back does not give version ${version}; revert by hand`
    : `\`defaults\` in cluster.yaml have changed since version ${version}, and other jobs have them too`;
};
