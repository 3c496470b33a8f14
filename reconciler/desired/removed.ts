// A job that was wanted at the last synced commit and is gone from HEAD (rules 1.3, 8.1).
// In: its path, the files of that commit, its history where that content was not valid. Out: a
// DesiredJob that stands as removed, with the content that counted in that commit.
// Not here: whether its removal waits for approval (reconciler/plan/guard), copies of one of which
// nothing valid is known (reconciler/plan/strays).

import type { DesiredJob } from '../../schema/desired.ts';
import { deploymentId } from '../../schema/ids.ts';
import type { Asks, Files, History } from '../../schema/source.ts';
import { settingsAt, type Settings } from './cluster.ts';
import { draftJob, jobNames } from './draft.ts';
import { countedIn } from './held-files.ts';
import { neededPaths } from './histories.ts';
import { introducedRecord, settledRecord, type JobLedger } from './ledger-index.ts';
import type { Reader } from './read.ts';
import { imageKey } from './spec.ts';
import { isValid, versionOf, type Version } from './versions.ts';

export interface RemovedInput {
  readonly path: string;
  readonly lastSynced: { readonly commit: string; readonly files: Files };
  readonly settings: Settings;
  readonly ledger: JobLedger;
  readonly read: Reader;
  /** Read only where the content in the last synced commit was not valid. */
  readonly history: History | undefined;
}

export interface Removed {
  /** null: no content of it is known that was valid, or its history is not read yet. */
  readonly job: DesiredJob | null;
  /** Histories that are still lacking; while there is no job nobody can say what goes. */
  readonly histories: Asks['histories'];
}

export const removedJob = (input: RemovedInput): Removed => {
  const { path, lastSynced, history, read } = input;
  const version = versionIn(input, lastSynced.files);
  if (version !== null) return { job: jobWith(input, version), histories: [] };
  const histories = neededPaths({ path, files: lastSynced.files, history, read }, []);
  const held = heldVersion(input);
  return { job: held && jobWith(input, held), histories };
};

/**
 * Rules 1.3: what counted in a commit whose content was not valid is the newest valid one before
 * it. A file that was gone in between begins anew.
 */
const heldVersion = (input: RemovedInput): Version | null => {
  const { path, lastSynced, history } = input;
  if (history === undefined) return null;
  const blob = lastSynced.files.get(path)?.blob;
  const from = history.entries.findIndex(({ files }) => files.get(path)?.blob === blob);
  if (from < 0) return null;
  for (const { files } of countedIn(history).entries.slice(from)) {
    if (!files.has(path)) return null;
    const version = versionIn(input, files);
    if (version !== null && version.unresolved.length === 0) return version;
  }
  return null;
};

/** null: the content of these files is not valid. */
const versionIn = (input: RemovedInput, files: Files): Version | null => {
  const { path, lastSynced, ledger, read } = input;
  const { namespace, job } = jobNames(path);
  const { defaults } = settingsAt(files, namespace, {
    before: () => input.settings,
    evidence: input.settings.evidence,
    read,
  });
  const draft = draftJob({ path, files, defaults }, read);
  if (draft === null || !isValid(draft)) return null;
  // Which commit brought the texts in is not known without the history, and it was synced: any
  // record will do.
  const texts = new Map(
    draft.images.map(({ group, task, reference }) => [
      imageKey(group, task),
      { reference, commit: lastSynced.commit, cut: true },
    ]),
  );
  const scalePath = `scale/${namespace}/${job}.yaml`;
  const scaleFile = lastSynced.files.get(scalePath);
  const scale = (scaleFile && read('scale', scalePath, scaleFile).value) ?? {};
  return versionOf(draft, () => texts, { ledger, scale });
};

const jobWith = (input: RemovedInput, { spec }: Version): DesiredJob => {
  const { path, lastSynced, ledger } = input;
  const { namespace, job } = spec;
  const settled = settledRecord(ledger, spec.specHash) !== null;
  const record = settled ? introducedRecord(ledger, spec.specHash) : null;
  const commit = record?.commit ?? lastSynced.commit;
  const cluster = input.settings.cluster.name;
  const key = { cluster, namespace, job, specHash: spec.specHash, commit };
  return {
    id: spec.id,
    file: path,
    spec,
    standing: { kind: 'removed' },
    deployment: record?.deployment ?? deploymentId(key),
    commit: { oid: commit, author: '', email: '', subject: '' },
    settled,
    failed: null,
    reverted: null,
    isRollback: false,
    fallback: null,
    revert: { kind: 'impossible', why: 'the job is gone from HEAD' },
    unresolved: null,
    lines: new Map(),
  };
};
