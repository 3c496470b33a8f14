// The door of the Git edge: SourcePort for a local repository, an http(s) or an ssh remote. In:
// options. Out: trees, histories, commits, ledger records. What a read hands out is the same object
// as long as nothing changed in Git. Not here: what the files mean (compile), registries' digests
// (the loop's look-ups).

import { existsSync } from 'node:fs';
import type { MergeFacts } from '../../../schema/forge.ts';
import type { Ledger } from '../../../schema/ledger.ts';
import type { Asks, CommitInfo, SourceTree } from '../../../schema/source.ts';
import type { CommitAsk, SourcePort } from '../../ports.ts';
import type { Base, Tips } from './base.ts';
import { sameTips } from './base.ts';
import type { SignCommit } from './build.ts';
import { makeCommit, offerCommit } from './commit.ts';
import { entryAt } from './entry.ts';
import { broken, LostObject, RefusedHead } from './failure.ts';
import type { FileRow } from './folders.ts';
import type { Commit, Identity } from './format.ts';
import { normalDirectory, within } from './format.ts';
import type { Judgement } from './judgement.ts';
import { createJudgement } from './judgement.ts';
import { createLedgerPlaces } from './ledger-place.ts';
import { ledgerRows } from './ledger-store.ts';
import { ANCESTRY_COMMITS, UNSYNCED_COMMITS } from './limits.ts';
import { contains } from './line.ts';
import type { Step } from './step.ts';
import type { Notes } from './notes.ts';
import { createNotes } from './notes.ts';
import type { GitSourceOptions } from './options.ts';
import { createBase } from './options.ts';
import { createRecorder } from './recorder.ts';
import { someBranches } from './refs.ts';
import type { RewriteGuard } from './rewrite.ts';
import { createRewriteGuard } from './rewrite.ts';
import { withSignature } from './signed-commit.ts';
import { sshSign } from './sshsig.ts';
import type { Store } from './store.ts';

export interface GitSource extends SourcePort {
  /** Asks the remote now: a webhook came. Wakes every watcher. */
  readonly refresh: () => Promise<void>;
  /** The commit under a branch of its own, for a pull request; nothing where that branch exists. */
  readonly offer: (ask: CommitAsk, branch: string) => Promise<void>;
  /** Commits on the first-parent line, newest first; with a path, those that change it. */
  readonly listCommits: (limit: number, path?: string) => Promise<readonly CommitInfo[]>;
  /** The text of one file at HEAD, before anything else is known; null where there is none. */
  readonly readFile: (path: string) => Promise<string | null>;
  /** Head and files of any commit of the repository; null where it is not there. For previews. */
  readonly at: (commit: string) => Promise<Pick<SourceTree, 'head' | 'files'> | null>;
  /** People whose verified signature a commit bears, in lower case; nobody without a policy. */
  readonly signedBy: (commit: string) => Promise<readonly string[]>;
  /** What a commit is as a merge; null: it is none. */
  readonly mergeOf: (commit: string) => Promise<MergeFacts | null>;
  /** Notes on commits (`refs/notes/purser/<cluster>`). */
  readonly notes: Notes;
  /** What was read last, files and ledger, by blob id: nothing is read for it. */
  readonly texts: () => ReadonlyMap<string, string>;
  /** What was walked of the branch's line, oldest first: nothing is read for it. */
  readonly walked: () => readonly Step[];
  /** A person has looked at the ledger as it stands, and goes on from there. Throws GitFailure. */
  readonly acceptLedger: Judgement['acceptLedger'];
  /** Whether the commit is signed with our own key. */
  readonly isOwn: (commit: string) => Promise<boolean>;
  readonly close: () => void;
}

/** Everything of the last read that may be handed out again. */
interface Remembered {
  readonly tips: Tips;
  readonly tree: SourceTree;
  /** The newest commit that the ledger calls synced. */
  readonly synced: string | null;
}

/** `base`: in place of the one that the options name. */
export const createGitSource = (
  options: GitSourceOptions,
  base: Base = createBase(options),
): GitSource => {
  const directory = normalDirectory(options.directory);
  const { refs } = base;
  const epochSeconds = () => Math.floor((options.epochMs ?? Date.now)() / 1000);
  const wakes = new Set<() => void>();
  const guard = createRewriteGuard({ base, branch: options.branch, log: options.log });
  const judgement = createJudgement(base, directory, options);
  const making = { sign: signerOf(options), by: () => machine(options.cluster, epochSeconds()) };
  const reader = createReader({ base, options, directory, guard, judgement });
  const { read, record } = createReadings({ base, options, directory, judgement, reader, making });
  const inTurn = createTurns();
  const { onto, prove } = judgement;
  const branch = { base, ref: refs.branch, directory, sign: making.sign, onto, prove };
  const head = () => headOf(base, options);
  const committing = () => ({ ...branch, epochSeconds: epochSeconds() });
  return {
    read: () => base.attempt(read),
    complete: (tree, asks) => base.attempt(() => complete(base, tree, asks)),
    record: (records) =>
      records.length === 0 ? Promise.resolve() : base.attempt(() => record(records)),
    commit: (ask: CommitAsk) => inTurn(() => base.attempt(() => makeCommit(committing(), ask))),
    offer: (ask, name) => inTurn(() => base.attempt(() => offerCommit(committing(), ask, name))),
    watch: (wake) => {
      wakes.add(wake);
      const stop = base.watch((tips) => {
        if (tips === null || reader.isNews(tips)) wake();
      });
      return () => {
        wakes.delete(wake);
        return stop();
      };
    },
    refresh: async () => {
      await base.refresh();
      for (const wake of wakes) wake();
    },
    listCommits: (limit, path) =>
      base.attempt(async () => base.store().line.commits(await head(), limit, path ?? null)),
    readFile: (path) =>
      base.attempt(async () => readFileAt(base, await head(), within(directory, path))),
    at: (commit) => base.attempt(() => headAt(base, commit)),
    signedBy: (commit) => base.attempt(() => judgement.signedBy(commit)),
    mergeOf: (commit) => base.attempt(() => judgement.mergeOf(commit)),
    isOwn: (commit) => base.attempt(() => judgement.isOwn(commit)),
    acceptLedger: judgement.acceptLedger,
    notes: createNotes({
      base,
      ref: refs.notes,
      areTaken: () => refs.place() === 'ref',
      ...making,
    }),
    texts: () => textsOf([...(reader.last()?.files ?? []), ...ledgerRows(reader.last()?.ledger)]),
    walked: () => base.store().line.walked(),
    close: base.close,
  };
};

interface Readings {
  readonly base: Base;
  readonly options: GitSourceOptions;
  readonly directory: string;
  readonly judgement: Judgement;
  readonly reader: ReturnType<typeof createReader>;
  readonly making: { readonly sign: SignCommit | null; readonly by: () => Identity };
}

/** What reads and writes the ledger, at the place that it has. */
const createReadings = (readings: Readings) => {
  const { base, options, directory, judgement, reader, making } = readings;
  const recorder = createRecorder({
    base,
    refs: base.refs,
    directory,
    cluster: options.cluster,
    branch: options.branch,
    log: options.log,
    ...making,
    counted: judgement.counted,
    wrote: judgement.wrote,
    atHead: (path) => isAtHead(reader.last(), path),
  });
  const places = createLedgerPlaces({
    base,
    directory,
    judgement,
    pinned: options.ledger !== undefined,
    readOnly: options.readOnly === true,
    by: making.by,
    alone: recorder.alone,
  });
  const read = async (): Promise<SourceTree> => {
    await places.settle();
    if (options.readOnly !== true) await recorder.prove();
    const tree = await reader.read();
    return (await places.follow(tree)) ? reader.read() : tree;
  };

  /** A commit that is refused keeps no record away: a person resumes with one. */
  const record = async (records: Ledger): Promise<void> => {
    await places.settle().catch((error: unknown) => {
      if (!(error instanceof RefusedHead)) throw error;
    });
    await recorder.record(records);
  };
  return { read, record };
};

const textsOf = (rows: Iterable<FileRow>): ReadonlyMap<string, string> => {
  const texts = new Map<string, string>();
  for (const [, file] of rows) if (file.kind === 'text') texts.set(file.blob, file.text);
  return texts;
};

/** Reads the tree at the tips; the same one while they stand. */
const createReader = (reading: Omit<Reading, 'tips' | 'last'>) => {
  const { base } = reading;
  let last: Remembered | null = null;
  let taken: Tips | null = null;
  /** The history is read once there is nothing better to do: the first plan must not wait for it. */
  let warmed = false;
  return {
    read: async (): Promise<SourceTree> => {
      const tips = await base.tips();
      taken = tips;
      if (last === null || !sameTips(last.tips, tips)) {
        last = await readTree({ ...reading, tips, last });
      } else if (!warmed) {
        warmed = true;
        void warm(base, last.tree);
      }
      return last.tree;
    },
    last: (): SourceTree | null => last?.tree ?? null,
    /** Of a watcher: not what the newest read has found already. */
    isNews: (tips: Tips): boolean => taken === null || !sameTips(tips, taken),
  };
};

const headOf = async (base: Base, { branch }: GitSourceOptions): Promise<string> => {
  const tips = await base.tips();
  if (tips.branch === null) throw missingBranch(base, branch);
  return tips.branch;
};

/** Reads the history in the background, so that the first commit that needs it finds it read. */
const warm = async (base: Base, tree: SourceTree): Promise<void> => {
  // A failure is met again, and told, by whoever asks for a history.
  await base
    .store()
    .line.warm(tree.head.oid)
    .catch(() => undefined);
};

const signerOf = ({ signingKey: key = null }: GitSourceOptions): SignCommit | null =>
  key === null ? null : (data) => withSignature(data, sshSign(key, data));

const machine = (cluster: string, epochSeconds: number): Identity => ({
  name: 'Purser',
  email: `purser@${cluster}`,
  epochSeconds,
});

/** Commits of the machine go one after another: each is made on top of the one before. */
const createTurns = () => {
  let turn: Promise<unknown> = Promise.resolve();
  return <Value>(act: () => Promise<Value>): Promise<Value> => {
    const mine = turn.then(act, act);
    turn = mine.catch(() => null);
    return mine;
  };
};

/**
 * `jobs/shop/web.jsonl` in the ledger is `jobs/shop/web.yaml` at HEAD; before the first read all
 * jobs count as there.
 */
const isAtHead = (tree: SourceTree | null, ledgerPath: string): boolean =>
  tree === null || tree.files.has(decodeURIComponent(ledgerPath).replace(/\.jsonl$/, '.yaml'));

const missingBranch = (base: Base, branch: string) => {
  const { repository } = base.store();
  if (!existsSync(repository.gitDir)) {
    return broken(`${base.name} is gone: put it back. Containers are left as they are meanwhile`);
  }
  const others = someBranches(repository);
  const there = others.length === 0 ? 'it has none yet' : `it has ${others.join(', ')}`;
  const where = base.local ? there : 'check its name';
  const how = base.local ? `Make it again: git branch ${branch} COMMIT` : 'Push it again';
  return broken(
    `${base.name}: there is no branch ${branch} (${where}). ${how}, or start Purser with another ` +
      '--branch. Containers are left as they are meanwhile',
  );
};

interface Reading {
  readonly base: Base;
  readonly options: GitSourceOptions;
  readonly directory: string;
  readonly guard: RewriteGuard;
  readonly judgement: Judgement;
  readonly tips: Tips;
  readonly last: Remembered | null;
}

const readTree = async (reading: Reading): Promise<Remembered> => {
  const { base, options, tips, last } = reading;
  if (tips.branch === null) throw missingBranch(base, options.branch);
  const store = base.store();
  const { accepted, refused, ledger } = await reading.judgement.of(tips.branch, tips.ledger);
  const head = await store.folders.commit(accepted);
  const synced = ledger === last?.tree.ledger ? last.synced : newestSynced(ledger);
  await reading.guard.check({ head: head.oid, synced, ledger });
  reading.judgement.settle(head.oid);
  const foreign = reading.judgement.foreign();
  const files = await store.files.read(head.tree);
  const lastSynced = synced === null || synced === head.oid ? null : await filesAt(base, synced);
  const tree: SourceTree = {
    branch: options.branch,
    directory: reading.directory,
    head,
    ...(refused === null ? {} : { refused }),
    ...(foreign.length === 0 ? {} : { foreign }),
    unsynced: await unsyncedOf(store, head, synced),
    touched: synced === null ? 'unknown' : await store.line.touched(head.oid, synced),
    local: base.local,
    files,
    ledger,
    histories: new Map(),
    lastSynced,
    lookups: new Map(),
    differences: [last?.tree.files, lastSynced?.files].flatMap((from) => {
      const paths = from && store.files.differing(from, files);
      return from && paths ? [{ from, to: files, paths }] : [];
    }),
  };
  return { tips, tree, synced };
};

/** Back to the synced commit, newest first; usually HEAD alone, or nothing. */
const unsyncedOf = async (
  { folders }: Store,
  head: Commit,
  synced: string | null,
): Promise<readonly CommitInfo[]> => {
  const found: Commit[] = [];
  let next: Commit | null = head;
  while (next !== null && next.oid !== synced && found.length < UNSYNCED_COMMITS) {
    found.push(next);
    next = next.parent === null ? null : await folders.commit(next.parent);
  }
  return found;
};

const newestSynced = (ledger: Ledger): string | null =>
  ledger.findLast((record) => record.kind === 'synced')?.commit ?? null;

const headAt = async (
  base: Base,
  commit: string,
): Promise<Pick<SourceTree, 'head' | 'files'> | null> => {
  const { folders, files } = base.store();
  if (!(await folders.has(commit))) return null;
  const head = await folders.commit(commit);
  return { head, files: await files.read(head.tree) };
};

/** null when the commit is gone (a rewrite, and Git's clean-up after it). */
const filesAt = async (base: Base, commit: string): Promise<SourceTree['lastSynced']> => {
  const { folders, files } = base.store();
  if (!(await folders.has(commit))) return null;
  try {
    return { commit, files: await files.read((await folders.commit(commit)).tree) };
  } catch (error) {
    if (error instanceof LostObject) return null;
    throw error;
  }
};

const complete = async (base: Base, tree: SourceTree, asks: Asks): Promise<SourceTree> => {
  const known = new Set(tree.contained);
  const commits = (asks.commits ?? []).filter((oid) => !known.has(oid));
  const changes = asks.changes ?? [];
  if (asks.histories.length + commits.length + changes.length === 0) return tree;
  // A path that is asked again is asked with more paths beside it: the new answer replaces the old.
  const { line } = base.store();
  const found = await line.histories(tree.head.oid, asks.histories);
  const changed = await line.changes(tree.head.oid, changes);
  return {
    ...tree,
    histories: new Map([...tree.histories, ...found]),
    ...(changed.size === 0 ? {} : { changes: new Map([...(tree.changes ?? []), ...changed]) }),
    contained: [...known, ...(await containedOf(base, tree.head.oid, commits))],
  };
};

/**
 * Those that HEAD contains. A walk that was cut says no: nothing is sent on a guess (rules 10.3).
 */
const containedOf = async (
  base: Base,
  head: string,
  commits: readonly string[],
): Promise<readonly string[]> => {
  const { folders } = base.store();
  const found: string[] = [];
  for (const oid of commits) {
    if (!/^[0-9a-f]{40}$/.test(oid) || !(await folders.has(oid))) continue;
    if ((await contains(folders, [head, oid], ANCESTRY_COMMITS)) === 'yes') found.push(oid);
  }
  return found;
};

const readFileAt = async (base: Base, head: string, path: string): Promise<string | null> => {
  const { folders } = base.store();
  const entry = await entryAt(folders, (await folders.commit(head)).tree, path);
  if (entry === null) return null;
  const file = await folders.file(entry);
  return file.kind === 'text' ? file.text : null;
};
