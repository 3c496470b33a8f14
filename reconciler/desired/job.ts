// One job: what its file at HEAD, its history and its ledger make of it.
// In: JobInput. Out: JobOutcome, which is the DesiredJob with problems, owed records and what still
// has to be asked.
// The order of questions is the order of the rules: valid? (1.3) resolved? (3) settled? (2.4) else
// since when, and what came before (1.1, 5.5, 6.3). Not here: which jobs there are (compile.ts),
// jobs that are gone (removed.ts).

import type { DesiredJob } from '../../schema/desired.ts';
import { lazily } from '../../schema/lazily.ts';
import type { LedgerRecord } from '../../schema/ledger.ts';
import { pointerOf } from '../../schema/places.ts';
import type { Problem } from '../../schema/problems.ts';
import { lookupKey, type DigestAsk, type History } from '../../schema/source.ts';
import { pausedAt } from './automation.ts';
import { settingsAt } from './cluster.ts';
import { draftJob, type Draft } from './draft.ts';
import { countedIn } from './held-files.ts';
import { neededPaths } from './histories.ts';
import { fallbackOf, identityOf, returnedRecord, type Identity } from './identity.ts';
import {
  failedRecord,
  mayBeThrownAway,
  revertCommit,
  settledRecord,
  markedVersions,
  type SettledRecord,
} from './ledger-index.ts';
import type { JobInput, JobOutcome } from './job-input.ts';
import { judged } from './policy.ts';
import { problemAt } from './problem.ts';
import { isAtomic } from './revert-atomic.ts';
import { revertTarget } from './revert.ts';
import { imageKey } from './spec.ts';
import {
  isValid,
  momentsOf,
  newestSettled,
  textsAt,
  versionOf,
  NO_TEXTS,
  type Moment,
  type Version,
} from './versions.ts';

export const compileJob = (input: JobInput): JobOutcome => {
  const { path, files, settings, read } = input;
  const draft = draftJob({ path, files, defaults: settings.defaults }, read);
  const head = draft && judged(draft, settings);
  const found = head && isValid(head) ? validAtHead(input, head) : heldJob(input, head);
  const outcome = withReturn(input, withChange(input, found));
  const { namespaceHeld } = input;
  if (outcome.job === null || namespaceHeld === null) return outcome;
  return { ...outcome, job: { ...outcome.job, standing: { kind: 'held', why: namespaceHeld } } };
};

/** A commit that is to be reverted as a whole is read only where there is something to go back to. */
const withChange = ({ history, changes }: JobInput, outcome: JobOutcome): JobOutcome => {
  const { job } = outcome;
  if (job === null || job.settled || job.fallback === null) return outcome;
  const oid = job.commit.oid;
  const introduced = history?.entries.find(({ commit }) => commit.oid === oid)?.commit;
  if (introduced === undefined || !isAtomic(introduced)) return outcome;
  const change = changes?.get(oid);
  if (change === undefined) return { ...outcome, changes: [oid] };
  const paths = (change.files ?? []).map(({ path }) => path);
  return { ...outcome, sources: [...new Set([...outcome.sources, ...paths])] };
};

/** A version that came back is another deployment (rules 2.3), of which the ledger has to know. */
const withReturn = (input: JobInput, outcome: JobOutcome): JobOutcome => {
  const record = outcome.job && returnedRecord(outcome.job, input);
  return record === null ? outcome : { ...outcome, owed: [...outcome.owed, record] };
};

type ValidDraft = Parameters<typeof versionOf>[0];

const validAtHead = (input: JobInput, draft: ValidDraft): JobOutcome => {
  const { ledger, history, path } = input;
  const quick = versionOf(draft, NO_TEXTS, input);
  const record = quick.unresolved.length === 0 ? settledRecord(ledger, quick.spec.specHash) : null;
  const isKnown =
    record !== null &&
    !input.touches([path, ...draft.sources]) &&
    !mayBeThrownAway(ledger, { specHash: quick.spec.specHash, synced: input.synced });
  const known = () => settledJob(input, quick, identityOf(quick.spec, null, input));
  if (isKnown && !isBackAgain(ledger, record)) {
    return outcomeOf(draft, { job: known(), isPlain: true });
  }
  const histories = neededPaths(input, draft.sources);
  if (history === undefined) {
    const why = `the history of ${path} is not read yet`;
    const job = { ...known(), standing: { kind: 'held', why } as const };
    return outcomeOf(draft, { job, histories, pending: true });
  }
  const paused = pausedJob(input, draft, histories);
  if (paused !== null) return paused;
  if (isKnown) return outcomeOf(draft, { job: known(), histories });
  const moments = momentsFor(input, history);
  const texts = lazily(() => textsAt(draft, moments, input.head.oid));
  const version = quick.unresolved.length === 0 ? quick : versionOf(draft, texts, input);
  if (version.unresolved.length > 0) {
    const looked = lookUp(input, version, { moments, history });
    return outcomeOf(draft, { ...looked, histories });
  }
  const job = unsettledJob(input, { version, moments, from: 0 });
  return outcomeOf(draft, { job, histories });
};

const outcomeOf = (draft: Draft | null, outcome: Partial<JobOutcome>): JobOutcome => ({
  job: null,
  owed: [],
  digests: [],
  histories: [],
  changes: [],
  pending: false,
  isPlain: false,
  sources: draft?.sources ?? [],
  ...outcome,
  problems: [...(draft?.problems ?? []), ...(outcome.problems ?? [])],
});

/** Each commit is read under its own settings: what was valid then was valid (rules 1.3). */
const momentsFor = (input: JobInput, history: History): readonly Moment[] => {
  const { path, namespace, settings, read } = input;
  const { evidence } = settings;
  return momentsOf(
    history,
    {
      first: settings,
      settingsAt: (files, before) => settingsAt(files, namespace, { before, evidence, read }),
      draftAt: (files, now) => {
        const draft = draftJob({ path, files, defaults: now.defaults }, read);
        return draft && judged(draft, now);
      },
    },
    input,
  );
};

interface Subject {
  readonly version: Version;
  readonly moments: readonly Moment[];
  /** Where among the moments the version stands. */
  readonly from: number;
}

const settledJob = (input: JobInput, version: Version, identity: Identity): DesiredJob => ({
  id: version.spec.id,
  file: input.path,
  spec: version.spec,
  standing: { kind: 'head' },
  deployment: identity.deployment,
  commit: identity.commit,
  settled: identity.settled,
  ...(identity.isUnmarked ? { isUnmarked: true } : {}),
  ...(identity.settled && isOnlySettled(input, version) ? { isOnlySettled: true } : {}),
  failed: null,
  reverted: null,
  isRollback: identity.isRollback,
  ...(identity.sameAs === null ? {} : { sameAs: identity.sameAs }),
  fallback: null,
  revert: {
    kind: 'impossible',
    why: `this version has settled; go back by hand with \`purser rollback ${version.spec.id}\``,
  },
  unresolved: null,
  lines: linesOf(version.draft),
  ...(input.settings.evidence === 'logs' ? { evidence: 'logs' } : {}),
});

const isOnlySettled = ({ ledger }: JobInput, { spec }: Version): boolean =>
  ledger.every((record) => record.kind !== 'settled' || record.specHash === spec.specHash);

/** Not settled: since which commit, what it would go back to, and whether it has failed already. */
const unsettledJob = (input: JobInput, { version, moments, from }: Subject): DesiredJob => {
  const { ledger } = input;
  const place = { moments, from, isWhole: input.history?.complete === true };
  const identity = identityOf(version.spec, place, input);
  if (identity.settled) return settledJob(input, version, identity);
  const settled = newestSettled(moments, from, { ledger, except: version.spec.specHash });
  const failed = failedRecord(ledger, identity.deployment);
  const { introduced } = identity;
  const { files, settings } = from === 0 ? input : (moments[from] ?? input);
  const stands = { files, settings };
  const revert = revertTarget(input, { head: version, from: stands, settled, introduced });
  return {
    ...settledJob(input, version, identity),
    marked: markedVersions(ledger),
    failed: failed && { evidence: failed.evidence },
    reverted: revertCommit(ledger, identity.deployment),
    fallback: settled && fallbackOf(settled, { spec: version.spec, place }, input),
    get revert() {
      return revert();
    },
  };
};

/** 1-based line of each group; the file's first line where a group has none of its own. */
const linesOf = ({ document, long }: Draft): ReadonlyMap<string, number> =>
  new Map(
    (long?.groups ?? []).map(({ name, pointer }) => [name, document.positions(pointer).key.line]),
  );

/**
 * Rules 1.3: invalid at HEAD, so the newest content before it that was valid is healed; nothing of
 * it rolls. Its images are looked up as HEAD's are (rules 3): it may have been valid for a second
 * only. Until they are known the content before counts, or where that has none either it waits. A
 * file that was gone in between begins anew.
 */
const heldJob = (input: JobInput, draft: Draft | null): JobOutcome => {
  const { history, path } = input;
  const histories = neededPaths(input, draft?.sources ?? []);
  if (history === undefined) return outcomeOf(draft, { histories, pending: true });
  const all = momentsFor(input, countedIn(history));
  const gone = all.findIndex(({ version }) => version === null);
  const moments = gone < 0 ? all : all.slice(0, gone);
  const last = moments.findIndex(({ valid }) => valid);
  const newest = moments[last]?.version;
  if (!newest) return outcomeOf(draft, { histories });
  const resolved = moments.findIndex(({ valid, version }) => valid && isResolved(version));
  const from = resolved < 0 ? last : resolved;
  const version = moments[from]?.version ?? newest;
  const { owed, digests, problems } = lookUps(input, newest, all);
  const job = unsettledJob(input, { version, moments: all, from });
  const file = input.files.get(path);
  const waits = file?.kind === 'refused' && file.why === 'owners' ? file.message : undefined;
  const why = waits ?? `${path} is not valid; its last valid content counts`;
  const lines = draft === null ? new Map<string, number>() : linesOf(draft);
  return outcomeOf(draft, {
    histories,
    owed,
    digests,
    // Their lines are those of an older content.
    problems: problems.map((problem) => ({ ...problem, line: 1, column: 1 })),
    job: { ...job, standing: { kind: 'held', why }, lines, ...NOTHING_TO_REVERT },
  });
};

/**
 * Another version has settled since this one did: somebody has brought it back, and the history
 * says who. It says no more than that: the deployment is the ledger's.
 */
const isBackAgain = (ledger: JobInput['ledger'], { specHash }: SettledRecord): boolean =>
  ledger.findLast((record) => record.kind === 'settled')?.specHash !== specHash;

/**
 * Rules 6.6: a program has written again what was reverted. What the revert put there counts until
 * a person has looked. null: it is not so.
 */
const pausedJob = (
  input: JobInput,
  draft: ValidDraft,
  histories: JobOutcome['histories'],
): JobOutcome | null => {
  const { history, settings, path } = input;
  const own = [path, ...draft.sources];
  const paused = history && pausedAt({ history, own }, settings.cluster.automation ?? []);
  if (!history || !paused) return null;
  const moments = momentsFor(input, countedIn(history));
  const from = moments.findIndex(
    ({ valid, version }, at) => at >= paused.at && valid && isResolved(version),
  );
  const version = moments[from]?.version;
  if (!version) return null;
  const { writer } = paused;
  const [commit, revert] = [writer.commit.slice(0, 12), writer.revert.slice(0, 12)];
  const job = unsettledJob(input, { version, moments, from });
  const why =
    `${writer.name} wrote it again (${commit}) after the revert ${revert}; held until a person's ` +
    `commit touches ${path}`;
  const problem = problemAt(draft.document, '', {
    code: 'automation-paused',
    message: `${writer.name} wrote this again (${commit}) after the revert ${revert}, so it is held.`,
    advice: `Once it is right, \`purser resume ${job.id}\` lets it roll out. Else revert it.`,
  });
  return outcomeOf(draft, {
    histories,
    problems: [problem],
    job: {
      ...job,
      standing: { kind: 'held', why },
      lines: linesOf(draft),
      ...NOTHING_TO_REVERT,
      automation: writer,
    },
  });
};

const NOTHING_TO_REVERT = {
  revert: { kind: 'impossible', why: 'the file at HEAD is not valid; correct it first' },
} as const;

const isResolved = (version: Version | null): boolean => version?.unresolved.length === 0;

/**
 * Rules 3: an image is not resolved, so the job is held. With a settled version behind it, that
 * version is what its
 * copies are healed at (`fallback`), and `spec` is HEAD's with the word `unresolved` in its hash,
 * so that it can fail
 * and be reverted. Else the last content that is resolved is held, as in 1.3; else there is nothing
 * but HEAD's.
 */
const lookUp = (
  input: JobInput,
  version: Version,
  { moments, history }: { readonly moments: readonly Moment[]; readonly history: History },
): Partial<JobOutcome> => {
  const looked = lookUps(input, version, moments);
  const standing = { kind: 'held', why: looked.why } as const;
  const job = { ...unsettledJob(input, { version, moments, from: 0 }), standing };
  const { owed, digests, problems } = looked;
  const counted = history.counted === undefined ? moments : momentsFor(input, countedIn(history));
  const from = counted.findIndex((moment) => isResolved(moment.version));
  const before = counted[from]?.version;
  const gone = counted.findIndex((moment) => moment.version === null);
  if (job.fallback !== null || !before || (gone >= 0 && gone < from)) {
    return { job: { ...job, unresolved: looked.unresolved }, owed, digests, problems };
  }
  const held = unsettledJob(input, { version: before, moments: counted, from });
  return { job: { ...held, standing, lines: job.lines }, owed, digests, problems };
};

interface LookedUp extends Pick<JobOutcome, 'owed' | 'digests' | 'problems'> {
  readonly unresolved: DesiredJob['unresolved'];
  readonly why: string;
}

/**
 * What the registries have answered. A digest counts only once its record is in the ledger (rules
 * 11).
 */
const lookUps = (input: JobInput, version: Version, moments: readonly Moment[]): LookedUp => {
  const { document } = version.draft;
  const owed: LedgerRecord[] = [];
  const digests: DigestAsk[] = [];
  const problems: Problem[] = [];
  let unresolved: DesiredJob['unresolved'] = null;
  const texts = lazily(() => textsAt(version.draft, moments, input.head.oid));
  const { registries } = input.settings.cluster;
  for (const { group, task, reference, image, line, column } of version.unresolved) {
    // Held content was valid under another policy: only what HEAD's names is ever asked.
    if (!registries.includes(image.registry)) continue;
    const commit = texts().get(imageKey(group, task))?.commit ?? input.head.oid;
    const ask: DigestAsk = { job: version.spec.id, group, task, reference, commit };
    const answer = input.lookups.get(lookupKey(ask));
    if (answer?.kind === 'digest') {
      owed.push({ kind: 'digest', ...ask, digest: answer.digest });
      continue;
    }
    // Failed look-ups are asked again; the loop decides when.
    digests.push(ask);
    if (answer === undefined) continue;
    const blame = answer.why === 'not-found' ? 'version' : 'platform';
    const message = `${reference}: ${answer.message}`;
    const found = { message, sinceMs: answer.sinceMs, blame } as const;
    unresolved = graver(unresolved, found);
    const problem = problemAt(document, pointerOf([]), { code: 'image-unresolved', message });
    problems.push({ ...problem, line, column });
  }
  const names = version.unresolved.map(({ reference }) => reference).join(', ');
  return { owed, digests, problems, unresolved, why: `unresolved image: ${names}` };
};

type Unresolved = NonNullable<DesiredJob['unresolved']>;

/** The version's fault before the platform's, the older before the younger. */
const graver = (a: Unresolved | null, b: Unresolved): Unresolved => {
  if (a === null) return b;
  if (a.blame !== b.blame) return a.blame === 'version' ? a : b;
  return a.sinceMs >= b.sinceMs ? a : b;
};
