// The versions of a job along its history: what each commit meant, and which commit brought what in
// (rules 1.1, 2, 3).
// In: drafts of the commits on the first-parent line, the job's ledger. Out: moments, newest first,
// and what is read off them. Not here: reading Git (the loop), what follows from a version
// (job.ts).

import { lazily } from '../../schema/lazily.ts';
import type { CommitInfo, Files, History } from '../../schema/source.ts';
import type { JobSpec } from '../../schema/spec.ts';
import type { Settings } from './cluster.ts';
import type { Draft, ImageUse } from './draft.ts';
import {
  recordedDigest,
  settledDigest,
  settledRecord,
  type JobLedger,
  type SettledRecord,
} from './ledger-index.ts';
import { imageKey, jobSpec, type Found, type JobContent } from './spec.ts';

/** A draft with its digests. */
export interface Version {
  readonly draft: Draft;
  readonly spec: JobSpec;
  readonly unresolved: readonly ImageUse[];
}

/**
 * One commit that changed what the job is made of. Worked out when asked: of a job that was changed
 * fifty times, nobody looks past the version that settled last.
 */
export interface Moment {
  readonly commit: CommitInfo;
  readonly files: Files;
  readonly settings: Settings;
  /**
   * What counted from this commit on: its own content, or the last valid one before it (rules
   * 1.3).
   */
  readonly version: Version | null;
  /** The commit's own content is valid. */
  readonly valid: boolean;
  /** Where each image's text came in, by `imageKey`. */
  readonly texts: Texts;
}

interface Origin {
  readonly reference: string;
  /** The commit that brought the text in (rules 3). */
  readonly commit: string;
  /** The history was cut before that commit could be seen: any record of the text will do. */
  readonly cut: boolean;
}
export type Texts = ReadonlyMap<string, Origin>;

const NONE: Texts = new Map();
export const NO_TEXTS = (): Texts => NONE;

export interface VersionInput {
  readonly ledger: JobLedger;
  readonly scale: Found['scale'];
}

/** Of a draft that needs no texts, as long as the rest is the same. */
const known = new WeakMap<Draft, VersionInput & { readonly version: Version }>();

/**
 * The version of a draft. Without `texts` only what is pinned or has settled can be resolved; they
 * are asked for where something else has to be.
 */
export const versionOf = (
  draft: Draft & { readonly content: JobContent },
  texts: () => Texts,
  { ledger, scale }: VersionInput,
): Version => {
  const old = known.get(draft);
  if (old?.ledger === ledger && old.scale === scale) return old.version;
  let needsTexts = false;
  const further = (): Texts => {
    needsTexts = true;
    return texts();
  };
  const digests = new Map<string, string>();
  const unresolved: ImageUse[] = [];
  for (const use of draft.images) {
    const digest = use.image.digest ?? digestOf(use, further, ledger);
    if (digest === null) unresolved.push(use);
    else digests.set(imageKey(use.group, use.task), digest);
  }
  const version = { draft, unresolved, spec: jobSpec(draft.content, { digests, scale }) };
  if (!needsTexts) known.set(draft, { ledger, scale, version });
  return version;
};

/**
 * Rules 3. Settled versions are asked first: once a version with the text has settled, every later
 * return of the text
 * takes that digest, so a look-up recorded for another commit can only be older than any such mark
 * or equal to it.
 * That is what lets a job whose version has settled do without its history (rules 12.4).
 */
const digestOf = (use: ImageUse, texts: () => Texts, ledger: JobLedger): string | null => {
  const settled = settledDigest(ledger, use);
  if (settled !== null) return settled;
  const origin = texts().get(imageKey(use.group, use.task));
  if (origin === undefined) return null;
  return recordedDigest(ledger, use, (commit) => origin.cut || commit === origin.commit);
};

export interface MomentReaders {
  /** What counts before the oldest commit that is known. */
  readonly first: Settings;
  readonly settingsAt: (files: Files, before: () => Settings) => Settings;
  /** null: the file was not there. */
  readonly draftAt: (files: Files, settings: Settings) => Draft | null;
}

/** Newest first, as the history is; what came before carries over. */
export const momentsOf = (
  history: History,
  readers: MomentReaders,
  input: VersionInput,
): readonly Moment[] => {
  const moments: Moment[] = [];
  let before: Moment | null = null;
  for (const { commit, files } of history.entries.toReversed()) {
    const cut = before === null && !history.complete;
    before = momentOf({ commit, files, cut, before }, readers, input);
    moments.push(before);
  }
  return moments.toReversed();
};

interface Step extends Pick<Moment, 'commit' | 'files'> {
  readonly cut: boolean;
  readonly before: Moment | null;
}

const momentOf = (
  { commit, files, cut, before }: Step,
  { first, settingsAt, draftAt }: MomentReaders,
  input: VersionInput,
): Moment => {
  const settings = lazily(() => settingsAt(files, () => before?.settings ?? first));
  const draft = lazily(() => draftAt(files, settings()));
  const valid = lazily(() => {
    const own = draft();
    return own !== null && isValid(own) ? own : null;
  });
  const texts = lazily((): Texts => {
    if (draft() === null) return NONE;
    const [own, older] = [valid(), before?.texts ?? NONE];
    return own === null ? older : originsOf(own, older, { commit: commit.oid, cut });
  });
  const version = lazily((): Version | null => {
    if (draft() === null) return null;
    const own = valid();
    return own === null ? (before?.version ?? null) : versionOf(own, texts, input);
  });
  return {
    commit,
    files,
    get settings() {
      return settings();
    },
    get version() {
      return version();
    },
    get valid() {
      return valid() !== null;
    },
    get texts() {
      return texts();
    },
  };
};

/** A text that stood there before keeps the commit that brought it in. */
const originsOf = (draft: Draft, before: Texts, now: Omit<Origin, 'reference'>): Texts =>
  new Map(
    draft.images.map(({ group, task, reference }) => {
      const key = imageKey(group, task);
      const older = before.get(key);
      return [key, older?.reference === reference ? older : { reference, ...now }];
    }),
  );

/** The texts of HEAD's draft: those of the newest moment, which is HEAD's content. */
export const textsAt = (draft: Draft, moments: readonly Moment[], head: string): Texts =>
  originsOf(draft, moments[0]?.texts ?? NONE, { commit: head, cut: false });

export const isValid = (draft: Draft): draft is Draft & { readonly content: JobContent } =>
  draft.content !== null;

/** A version among the moments: where it was met, walking back. */
export interface Place {
  readonly moments: readonly Moment[];
  readonly from: number;
  /** The moments go back to the beginning of the job. */
  readonly isWhole: boolean;
}

/**
 * Rules 1.1: where the version differs from the parent's, walking back from its place. `known`: a
 * commit that is known to be one at which it does.
 */
export const introducedAt = ({ moments, from }: Place, known: string | null): number => {
  const hash = moments[from]?.version?.spec.specHash;
  let at = from;
  while (moments[at]?.commit.oid !== known && isAt(moments[at + 1], hash)) at += 1;
  return at;
};

const isAt = (moment: Moment | undefined, hash: string | undefined): boolean =>
  hash !== undefined && moment?.version?.spec.specHash === hash;

/** Did the version stand before the commit that brought it in? As far as anybody can see. */
export const stoodBefore = ({ moments, from, isWhole }: Place, introduced: number): boolean => {
  const hash = moments[from]?.version?.spec.specHash;
  return !isWhole || moments.slice(introduced + 1).some((moment) => isAt(moment, hash));
};

export interface SettledVersion {
  readonly version: Version;
  readonly record: SettledRecord;
  /** Where the walk met it: its content as it stood then. */
  readonly moment: Moment;
  /** The same, as a place among the moments. */
  readonly at: number;
}

/** Rules 6.3: the first settled version met walking back, the given one excluded. */
export const newestSettled = (
  moments: readonly Moment[],
  from: number,
  { ledger, except }: { readonly ledger: JobLedger; readonly except: string },
): SettledVersion | null => {
  for (let at = from; at < moments.length; at += 1) {
    const moment = moments[at];
    const version = moment?.version;
    if (!moment?.valid || !version || version.spec.specHash === except) continue;
    const record = settledRecord(ledger, version.spec.specHash);
    if (record !== null) return { version, record, moment, at };
  }
  return null;
};
