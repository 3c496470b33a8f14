// The people of the simulation: they deploy good and bad versions, revert, scale, drain, delete,
// and make mistakes.
// In: the repository, chance. Out: commits, and for every commit what people meant by it.
// Not here: faults of machines and networks (faults.ts), what must hold (check.ts).

import type { Behaviour, Registry } from './fake/registry.ts';
import { GOOD } from './fake/registry.ts';
import type { Repo, RepoCommit } from './fake/git.ts';
import { byPerson, createRepo } from './fake/git.ts';
import {
  contentOf,
  heldAfter,
  newestThatCounts,
  OWNERS,
  policyFiles,
  UNSIGNED,
  type Makers,
  type Person,
  type Policy,
  type Signed,
} from './policies.ts';
import {
  jobFile,
  nodeFile,
  nodePath,
  pushImage,
  saidIn,
  scaleFile,
  scalePath,
  type JobDraft,
  type NodeDraft,
} from './drafts.ts';
import type { Random, SimTime } from './time.ts';

/** What people mean by one commit. */
export interface Intent {
  readonly jobs: ReadonlyMap<string, JobDraft>;
  readonly nodes: ReadonlyMap<string, NodeDraft>;
  /** Scale files, by job; they outlive their jobs. */
  readonly counts: ReadonlyMap<string, number>;
  readonly policy: Policy;
}

/** What one commit means. */
export interface Meaning {
  /** When it was pushed, or began to count. */
  at: number;
  readonly oid: string;
  /** What counts of it: a file that no owner has let through is as one that is broken. */
  intent: Intent;
  /** What stands in its files. */
  readonly written: Intent;
  readonly signed: Signed;
  readonly makers: Makers;
  readonly blobs: ReadonlyMap<string, string>;
  held: ReadonlyMap<string, string | null>;
  /** It was the newest commit that counts. */
  isCounting: boolean;
  /** What the commit before it on the branch means. */
  readonly before: Meaning | null;
}

export interface Human {
  readonly repo: Repo;
  /** Meaning of each commit that counts, in the order in which they began to. */
  readonly intents: readonly Meaning[];
  readonly intent: () => Intent;
  /** Of all commits that were ever pushed, also those that nobody acts on. */
  readonly meanings: readonly Meaning[];
  /** What stands at the tip of the branch, whether it counts or not. */
  readonly written: () => Intent;
  /** Signs what people commit. */
  readonly habits: { sign: () => Signed; makers: () => Makers };
  /** When an owner approved what had waited, by job. */
  readonly letThroughAt: ReadonlyMap<string, number>;
  /** An owner approves what waits of these jobs, and did not write it. */
  readonly approveFiles: (jobs: readonly string[]) => void;
  readonly commit: (change: Partial<Intent>, message: string) => void;
  /** Changes one job. */
  readonly edit: (id: string, change: Partial<JobDraft>, message: string) => void;
  /** Writes or removes a scale file, or changes the count where it is people's (rules 7). */
  readonly scale: (id: string, count: number | null) => void;
  readonly drain: (node: string, drain: NodeDraft['drain']) => void;
  /** One thing that people do. */
  readonly act: () => void;
  /** Goes back to an earlier commit by force, and makes another one on it. */
  readonly rewrite: () => void;
  /** Throws away what does not count, and commits the same anew, signed. */
  readonly amend: (signed: Signed) => void;
  /** Accepts the tip of the branch as it is. */
  readonly vouch: () => void;
  /** Lets syncing go on after that, where it stopped (rules 12.1). */
  readonly resume: () => void;
  /** Ends what no cluster can serve: an emptied tree, a rewritten branch that nobody resumed. */
  readonly tidy: () => void;
}

export interface HumanOptions {
  readonly time: SimTime;
  readonly registry: Registry;
  readonly first: Intent;
  readonly local: boolean;
}

export const createHuman = ({ time, registry, first, local }: HumanOptions): Human => {
  const random = time.random.fork('human');
  const rewrites = time.random.fork('rewrites');
  const intents: Meaning[] = [];
  const meanings: Meaning[] = [];
  const resumed = new Set<string>();
  const letThroughAt = new Map<string, number>();
  const given = new Map<string, readonly Person[]>();
  const habits: Human['habits'] = { sign: () => UNSIGNED, makers: () => BY_ADA };
  let isRewritten = false;
  const repo = createRepo({ time, first: filesOf(registry, first), local });
  const count = (): void => {
    const head = meanings.at(-1);
    if (head === undefined) return;
    const counts = newestThatCounts(head, resumed);
    const news: Meaning[] = counts === intents.at(-1) ? [] : [counts];
    for (let at = counts.before; at !== null && !intents.includes(at); at = at.before) {
      news.unshift(at);
    }
    counts.isCounting = true;
    for (const one of news) one.at = time.now();
    intents.push(...news);
  };
  const remember = (commit: RepoCommit, intent: Intent, makers: Makers): void => {
    const { info, signed } = commit;
    const before = meanings.find(({ oid }) => oid === info.parent) ?? null;
    const { oid } = info;
    const written = withSaid(intent);
    const made = { written, makers, blobs: blobsOf(commit) };
    const held = before === null ? new Map<string, null>() : heldAfter(before, made, given);
    const meant = { ...made, intent: withHeld(written, before, held), held, signed, before };
    meanings.push({ at: time.now(), oid, ...meant, isCounting: false });
    count();
  };
  const intent = (): Intent => intents.at(-1)?.intent ?? first;
  const written = (): Intent => meanings.at(-1)?.written ?? first;
  remember(repo.head(), first, BY_ADA);
  repo.onMachineCommit((commit) =>
    remember(commit, afterMachine(meanings, written(), commit), BY_MACHINE),
  );
  repo.onRecord((record) => {
    if (record.kind !== 'resume') return;
    resumed.add(record.commit);
    count();
  });

  const editsTo = (before: Intent, after: Intent): ReadonlyMap<string, string | null> => {
    const [old, next] = [filesOf(registry, before), filesOf(registry, after)];
    const edits = new Map<string, string | null>();
    for (const path of old.keys()) if (!next.has(path)) edits.set(path, null);
    for (const [path, text] of next) if (old.get(path) !== text) edits.set(path, text);
    return edits;
  };
  const commit = (change: Partial<Intent>, message: string): void => {
    const before = written();
    const after = { ...before, ...change };
    const made = byPerson(editsTo(before, after), message, habits.sign());
    remember(repo.push(made), after, habits.makers());
  };
  const edit = (id: string, change: Partial<JobDraft>, message: string): void => {
    const draft = written().jobs.get(id);
    if (draft === undefined) return;
    commit({ jobs: new Map(written().jobs).set(id, { ...draft, ...change }) }, message);
  };
  const scale = (id: string, count: number | null): void => {
    const draft = written().jobs.get(id);
    if (count !== null && draft !== undefined && draft.bounds === null) {
      return edit(id, { count }, `Scale ${id}`);
    }
    const counts = new Map(written().counts);
    if (count === null) counts.delete(id);
    else counts.set(id, count);
    return commit({ counts }, count === null ? `Forget the count of ${id}` : `Scale ${id}`);
  };
  const drain = (node: string, how: NodeDraft['drain']): void => {
    const nodes = new Map(written().nodes).set(node, { name: node, drain: how });
    const words = how === 'volumes' ? ' with volumes' : '';
    commit({ nodes }, `${how === false ? 'Undrain' : 'Drain'} ${node}${words}`);
  };
  const rewrite = (): void => {
    const back = rewrites.between(1, MOST_REWRITTEN);
    const to = repo.commits.at(-1 - back) ?? repo.commits[0];
    const meant = meanings.find(({ oid }) => oid === to?.info.oid)?.written;
    const [job] = [...(meant?.jobs.values() ?? [])];
    if (to === undefined || meant === undefined || job === undefined) return;
    const remark = job.remark + 1;
    const after = { ...meant, jobs: new Map(meant.jobs).set(job.id, { ...job, remark }) };
    const edits = new Map([[job.path, filesOf(registry, after).get(job.path) ?? null]]);
    remember(
      repo.rewrite(to.info.oid, byPerson(edits, 'Another history', habits.sign())),
      after,
      BY_ADA,
    );
    isRewritten = true;
  };
  /** A reconciler asks for it that had accepted what is gone, synced or not (rules 12.1). */
  const resume = (): void => {
    if (local || !isRewritten) return;
    isRewritten = false;
    const { oid } = repo.head().info;
    const at = new Date(time.now()).toISOString();
    repo.record([{ kind: 'resume', commit: oid, by: 'ada', at }]);
  };
  const amend = (signed: Signed): void => {
    const [to, after] = [intents.at(-1), written()];
    if (to === undefined || to.oid === repo.head().info.oid) return;
    const change = byPerson(editsTo(to.written, after), 'The same, signed', signed);
    remember(repo.rewrite(to.oid, change), after, habits.makers());
  };
  const vouch = (): void => {
    const { oid } = repo.head().info;
    const at = new Date(time.now()).toISOString();
    if (intents.at(-1)?.oid === oid) return;
    repo.record([{ kind: 'resume', commit: oid, by: 'ada', at }]);
  };
  const approveFiles = (jobs: readonly string[]): void => {
    const tip = meanings.at(-1);
    for (const job of jobs) {
      if (tip?.held.has(job) !== true) continue;
      const blob = tip.blobs.get(job) ?? null;
      const by = OWNERS.find((owner) => !authorsOf(tip, job).includes(owner));
      if (by === undefined) continue;
      const at = new Date(EPOCH_MS + time.now()).toISOString();
      const files = [{ path: `jobs/${job}.yaml`, blob }];
      const who = { by: `${by} <1+${by}@forge>`, as: [`@${by}`], at, used: false };
      const id = `files-${time.now()}-${job}`;
      const { oid } = tip;
      repo.record([{ kind: 'approval', id, commit: oid, slots: [], nodes: [], files, ...who }]);
      letThrough(meanings, tip, job);
      letThroughAt.set(job, time.now());
      given.set(contentOf(job, blob), [...(given.get(contentOf(job, blob)) ?? []), by]);
    }
  };
  let emptied: Intent['jobs'] | null = null;
  const human: Human = {
    repo,
    intents,
    intent,
    meanings,
    written,
    habits,
    commit,
    edit,
    scale,
    drain,
    rewrite,
    amend,
    vouch,
    approveFiles,
    letThroughAt,
    resume,
    act: () => {
      if (emptied !== null) return human.tidy();
      if (random.chance(0.03)) {
        emptied = written().jobs;
        return commit({ jobs: new Map() }, 'Oops');
      }
      act(human, random);
    },
    tidy: () => {
      resume();
      if (emptied !== null) commit({ jobs: emptied }, 'Bring back the jobs');
      emptied = null;
      vouch();
    },
  };
  return human;
};

/**
 * What the cluster is held to by the commit with that index: a broken file keeps its last valid
 * content, whatever else was written into it; one that was gone in between begins anew (rules 1.3).
 */
export const inForce = (
  intents: readonly Meaning[],
  index: number,
  job: string,
): JobDraft | undefined => {
  let meaning: Meaning | null = intents.at(Math.min(index, intents.length - 1)) ?? null;
  while (meaning?.intent.jobs.get(job)?.broken === true) meaning = meaning.before;
  const held = meaning?.intent.jobs.get(job);
  // The scale file is a file of its own, and is read whatever stands in the job's.
  const said = intents.at(Math.min(index, intents.length - 1))?.intent.counts.get(job) ?? null;
  return held === undefined || held.said === said ? held : { ...held, said };
};

/**
 * The same, where an image that is not resolved leaves the content before it in force (rules 3).
 * undefined: nothing of it was ever resolved.
 */
export const resolvedDraft = (
  { intents, repo }: Human,
  index: number,
  job: string,
): JobDraft | undefined => {
  const said = intents[index]?.intent.counts.get(job) ?? null;
  const isResolved = ({ pinned, version }: JobDraft): boolean =>
    pinned ||
    repo.ledger.some(
      (entry) =>
        entry.kind === 'digest' && entry.job === job && entry.reference.endsWith(`:v${version}`),
    );
  let meaning = intents[index] ?? null;
  for (; meaning !== null; meaning = meaning.before) {
    const draft = meaning.intent.jobs.get(job);
    if (draft?.broken === false && isResolved(draft)) return { ...draft, said };
  }
  return undefined;
};

const withSaid = (intent: Intent): Intent => ({
  ...intent,
  jobs: new Map(
    [...intent.jobs].map(([id, draft]) => [id, { ...draft, said: intent.counts.get(id) ?? null }]),
  ),
});

const BY_ADA: Makers = { author: 'ada', approvals: [] };
const BY_MACHINE: Makers = { author: 'machine', approvals: [] };

/** 2026-01-01, where the commits of the repository begin. */
export const EPOCH_MS = 1_767_225_600_000;

const blobsOf = ({ files }: RepoCommit): ReadonlyMap<string, string> =>
  new Map(
    [...files].flatMap(([path, { blob }]) => {
      const job = /^jobs\/(.*)\.yaml$/.exec(path)?.[1];
      return job === undefined ? [] : [[job, blob] as const];
    }),
  );

/** A file that waits for its owners keeps what was before, as one that is broken. */
const withHeld = (
  written: Intent,
  before: Meaning | null,
  held: ReadonlyMap<string, string | null>,
): Intent => {
  if (held.size === 0) return written;
  const jobs = new Map(written.jobs);
  for (const job of held.keys()) {
    const draft = written.jobs.get(job) ?? before?.intent.jobs.get(job);
    if (draft !== undefined) jobs.set(job, { ...draft, broken: true });
  }
  return { ...written, jobs };
};

/** Who wrote what stands in the job's file at the tip. */
const authorsOf = (tip: Meaning, job: string): readonly string[] => {
  let at = tip;
  while (at.before !== null && at.before.blobs.get(job) === tip.blobs.get(job)) at = at.before;
  return [at.makers.author];
};

const letThrough = (meanings: readonly Meaning[], tip: Meaning, job: string): void => {
  const blob = tip.blobs.get(job);
  for (let at: Meaning | null = tip; at?.blobs.get(job) === blob && at !== null; at = at.before) {
    if (at.held.has(job)) at.held = new Map([...at.held].filter(([name]) => name !== job));
  }
  // Oldest first: what is held of a deletion looks at the commit before.
  for (const one of meanings) one.intent = withHeld(one.written, one.before, one.held);
};

/** Commits that a person throws away at once. */
const MOST_REWRITTEN = 4;

const filesOf = (
  registry: Registry,
  { jobs, nodes, counts, policy }: Intent,
): ReadonlyMap<string, string> =>
  new Map([
    ...policyFiles(policy),
    ...[...nodes.values()].map((node) => [nodePath(node.name), nodeFile(node)] as const),
    ...[...counts].map(([id, count]) => [scalePath(id), scaleFile(id, count)] as const),
    ...[...jobs.values()].map(
      (draft) => [draft.path, jobFile(draft, pushImage(registry, draft))] as const,
    ),
  ]);

/**
 * A machine's revert brings back the version of an older draft; count and the like stay (rules
 * 6.3).
 */
const afterMachine = (intents: readonly Meaning[], now: Intent, commit: RepoCommit): Intent => {
  const id = commit.info.trailers.find(([key]) => key === 'Purser-Job')?.[1] ?? '';
  const draft = now.jobs.get(id);
  const file = draft === undefined ? undefined : commit.files.get(draft.path);
  if (draft === undefined || file?.kind !== 'text') return now;
  const { text } = file;
  const scale = commit.files.get(scalePath(id));
  const said = scale?.kind === 'text' ? saidIn(id, scale.text) : null;
  if (said !== draft.said) {
    const counts = new Map(now.counts);
    if (said === null) counts.delete(id);
    else counts.set(id, said);
    return { ...now, counts };
  }
  const older = intents
    .toReversed()
    .map(({ written }) => written.jobs.get(id))
    .find(
      (known) =>
        known !== undefined &&
        text.includes(`:v${known.version}`) &&
        text.includes(`memory: ${known.memoryMiB}MiB`),
    );
  if (older === undefined) return now;
  const { version, behaviour, pinned, memoryMiB } = older;
  const jobs = new Map(now.jobs).set(id, { ...draft, version, behaviour, pinned, memoryMiB });
  return { ...now, jobs };
};

const act = (human: Human, random: Random): void => {
  const { jobs, nodes } = human.written();
  const ids = [...jobs.keys()];
  const id = ids[random.between(0, Math.max(0, ids.length - 1))];
  const draft = id === undefined ? undefined : jobs.get(id);
  if (id === undefined || draft === undefined) return;
  const roll = random.unit();
  if (roll < 0.28) return deploy(human, id, goodBehaviour(random));
  if (roll < 0.5) return deploy(human, id, badBehaviour(random));
  if (roll < 0.58) return revert(human, id);
  if (roll < 0.68) return human.scale(id, random.between(0, 4));
  if (roll < 0.76) {
    const node = [...nodes.values()][random.between(0, nodes.size - 1)];
    if (node !== undefined) human.drain(node.name, node.drain === false);
    return undefined;
  }
  if (roll < 0.8) return remove(human, id);
  if (roll < 0.87) return human.edit(id, { broken: !draft.broken }, `Edit ${id} in a hurry`);
  if (roll < 0.91) return human.edit(id, { paused: !draft.paused }, `Pause or resume ${id}`);
  if (roll < 0.94) return human.edit(id, { stopped: !draft.stopped }, `Stop or start ${id}`);
  if (roll < 0.97) return human.edit(id, { remark: draft.remark + 1 }, `A comment in ${id}`);
  const order = draft.order === 'stop-first' ? 'start-first' : 'stop-first';
  return human.edit(id, { order, maxParallel: random.between(1, 2) }, `Policy of ${id}`);
};

export const deploy = (human: Human, id: string, behaviour: Behaviour): void => {
  const versions = human.meanings.flatMap(({ written }) => written.jobs.get(id)?.version ?? []);
  const version = 1 + Math.max(...versions);
  const name = behaviour === GOOD ? 'version' : describeBehaviour(behaviour);
  human.edit(id, { version, behaviour, broken: false }, `Deploy ${id} v${version}: ${name}`);
};

/** Back to the version that the file had before the present one. */
const revert = (human: Human, id: string): void => {
  const now = human.written().jobs.get(id);
  const older = human.meanings
    .toReversed()
    .map(({ written }) => written.jobs.get(id))
    .find((draft) => draft !== undefined && draft.version !== now?.version);
  if (older === undefined) return;
  const { version, behaviour, pinned, memoryMiB } = older;
  human.edit(id, { version, behaviour, pinned, memoryMiB }, `Revert ${id} to v${version}`);
};

const remove = (human: Human, id: string): void => {
  const jobs = new Map(human.written().jobs);
  if (jobs.size < 2) return;
  jobs.delete(id);
  human.commit({ jobs }, `Delete ${id}`);
};

export const goodBehaviour = (random: Random): Behaviour => ({
  ...GOOD,
  healthyAfterMs: random.between(100, 8_000),
  stopsAfterMs: random.chance(0.15) ? null : random.between(50, 3_000),
});

export const badBehaviour = (random: Random): Behaviour =>
  random.pick<Behaviour>([
    { ...GOOD, crash: { afterMs: random.between(50, 15_000), code: 1, outOfMemory: false } },
    { ...GOOD, crash: { afterMs: random.between(500, 9_000), code: 137, outOfMemory: true } },
    { ...GOOD, healthyAfterMs: null },
    { ...GOOD, healthyAfterMs: 120_000 },
    { ...GOOD, commandFound: false },
    { ...GOOD, pull: 'not-found' },
    { ...GOOD, pull: 'never' },
  ]);

const describeBehaviour = (behaviour: Behaviour): string => {
  if (behaviour.crash !== null) return `crashes after ${behaviour.crash.afterMs} ms`;
  if (!behaviour.commandFound) return 'without its command';
  if (behaviour.pull !== 'ok') return `image ${behaviour.pull}`;
  return `healthy after ${behaviour.healthyAfterMs} ms`;
};
