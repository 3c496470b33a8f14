// A job that was wanted at the last synced commit and is gone from HEAD (rules 1.3, 8.1).
// In: its path, the files of that commit. Out: a DesiredJob that stands as removed, with its
// content of that commit.
// Not here: whether its removal waits for approval (reconciler/plan/guard).

import type { DesiredJob } from '../../schema/desired.ts';
import { deploymentId } from '../../schema/ids.ts';
import type { Files } from '../../schema/source.ts';
import { settingsAt, type Settings } from './cluster.ts';
import { draftJob, jobNames } from './draft.ts';
import { settledRecord, type JobLedger } from './ledger-index.ts';
import type { Reader } from './read.ts';
import { imageKey } from './spec.ts';
import { isValid, versionOf } from './versions.ts';

export interface RemovedInput {
  readonly path: string;
  readonly lastSynced: { readonly commit: string; readonly files: Files };
  readonly settings: Settings;
  readonly ledger: JobLedger;
  readonly read: Reader;
}

/** null: its content was not valid there, so nothing is known that could be kept. */
export const removedJob = (input: RemovedInput): DesiredJob | null => {
  const { path, lastSynced, ledger, read } = input;
  const { namespace, job } = jobNames(path);
  const settings = settingsAt(lastSynced.files, namespace, { before: input.settings, read });
  const { defaults } = settings;
  const draft = draftJob({ path, files: lastSynced.files, defaults }, read);
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
  const { spec } = versionOf(draft, texts, { ledger, scale });
  const record = settledRecord(ledger, spec.specHash);
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
    settled: record !== null,
    failed: null,
    reverted: null,
    isRollback: false,
    fallback: null,
    revert: { kind: 'impossible', why: 'the job is gone from HEAD' },
    unresolved: null,
    lines: new Map(),
  };
};
