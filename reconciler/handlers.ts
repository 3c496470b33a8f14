// What commands may ask of a running reconciler, by name (schema/control.ts).
// In: the parts of a reconciler. Out: a function a name. Not here: how commands reach them
// (edge/control.ts), tokens (doors.ts).

import type {
  CommitAnswer,
  CommitArgument,
  CopiesAnswer,
  CopiesArgument,
  EventAnswer,
  FileAnswer,
  FileArgument,
  HistoryArgument,
  HistoryCommit,
  RecordArgument,
  ResolveArgument,
  RollbackAnswer,
  RollbackArgument,
  StateAnswer,
} from '../schema/control.ts';
import type { LiveState } from '../schema/live.ts';
import type { ServicesAnswer } from '../schema/services.ts';
import type { Snapshot } from '../schema/snapshot.ts';
import { parseImageReference } from '../schema/image-reference.ts';
import type { LookupAnswer, SourceTree } from '../schema/source.ts';
import type { ReconcilerConfig } from './config.ts';
import type { Handler } from './edge/control.ts';
import type { GitSource } from './edge/git/source.ts';
import { shownRepository } from './edge/git/remote.ts';
import { withoutItems } from './edge/live-parts.ts';
import type { Events } from './events.ts';
import { shownServices } from './live/catalogue.ts';
import type { CatalogueMemo } from './live/catalogue-memo.ts';
import type { Loop } from './loop.ts';
import type { View } from './cycle.ts';
import type { RunningForge } from './forge.ts';
import type { RegistryPort } from './ports.ts';
import { rollbackTarget } from './rollback.ts';
import { MACHINE_AUTHOR } from './config.ts';
import { nodeFile, nodesMessage } from '../schema/node-file.ts';

export interface Handling {
  readonly config: ReconcilerConfig;
  readonly loop: Loop;
  readonly source: GitSource;
  readonly registry: RegistryPort;
  /** As the newest pass left it. */
  readonly services: CatalogueMemo;
  readonly events: Events;
  readonly now: () => number;
  /** Lists our key among signers; null: we have none. */
  readonly signer: string | null;
  readonly forging: () => Pick<RunningForge, 'failure' | 'notice'> | null;
}

export const handlersOf = (handling: Handling): Readonly<Record<string, Handler>> => ({
  state: async () => stateOf(handling),
  services: async () => servicesIn(handling),
  copies: async (argument) => copiesIn(handling, argument as CopiesArgument),
  snapshot: async () => snapshotOf(handling),
  file: (argument) => fileOf(handling, argument as FileArgument),
  events: async (): Promise<readonly EventAnswer[]> => handling.events.all(),
  commit: async (argument) => commit(handling, argument as CommitArgument),
  record: async (argument) => {
    const { records, ledger } = argument as RecordArgument;
    if (ledger !== undefined) await handling.source.acceptLedger(ledger);
    await handling.source.record(records);
    handling.loop.wake();
    return null;
  },
  history: async (argument) => history(handling, argument as HistoryArgument),
  resolve: async (argument) => resolve(handling, argument as ResolveArgument),
  rollback: async (argument) => rollback(handling, argument as RollbackArgument),
});

const stateOf = ({ config, loop, now, forging, signer }: Handling): StateAnswer => {
  const { view, failure, write, refused } = loop.state();
  const { url, branch, directory } = config.repository;
  return {
    cluster: config.cluster,
    repository: shownRepository(url),
    branch,
    directory,
    failure,
    ...(refused === null ? {} : { isRefused: true as const }),
    write,
    forge: forging()?.failure() ?? null,
    forgeNotice: forging()?.notice() ?? null,
    signer,
    view: view === null ? null : viewOf(view, now()),
  };
};

const copiesIn = (handling: Handling, { job }: CopiesArgument): CopiesAnswer => {
  const { desired, live } = viewIn(handling);
  const copies = live.nodes
    .flatMap(({ allocations }) => allocations)
    .filter(({ body }) => `${body.namespace}/${body.job}` === job)
    .map(({ node, allocation, body: { group, index, specHash, spec } }) => {
      const tasks = spec.tasks.map(({ name }) => name);
      return { node, allocation, group, index, specHash, tasks };
    });
  const heard = new Set(live.nodes.map(({ name }) => name));
  return {
    exists: copies.length > 0 || desired.jobs.some(({ id }) => id === job),
    complete: desired.nodes.every(({ name }) => heard.has(name)),
    copies,
  };
};

/** Throws while nothing was read. */
export const servicesIn = (
  handling: Pick<Handling, 'config' | 'loop' | 'services'>,
): ServicesAnswer => {
  viewIn(handling);
  const { services: memo } = handling;
  return {
    cluster: handling.config.cluster,
    services: shownServices(memo),
    leftOut: memo.last?.leftOut ?? 0,
  };
};

const viewOf = (
  { desired, told, plan, at }: View,
  now: number,
): NonNullable<StateAnswer['view']> => ({
  desired,
  live: shown(told()),
  plan,
  ageMs: now - at,
  wakesInMs: plan.wakeAt === null ? null : Math.max(0, plan.wakeAt - now),
});

/** Without the orders that were sent: the same copies once more, which nobody looks at. */
const shown = ({ upForMs, nodes }: LiveState): LiveState => ({
  upForMs,
  nodes: nodes.map((node) => ({
    ...node,
    sent: node.sent === null ? null : withoutItems(node.sent),
  })),
});

const snapshotOf = (handling: Handling): Snapshot => {
  const { tree, live } = viewIn(handling);
  return { format: 1, tree: plain(tree), live, takenAt: new Date().toISOString() };
};

const viewIn = ({ loop }: Pick<Handling, 'loop'>): View => {
  const { view, failure } = loop.state();
  if (view === null) {
    throw new Error(
      failure ?? 'the reconciler has not read its repository yet: try again in a moment',
    );
  }
  return view;
};

/** Maps that can be written as text, without what only saves the reconciler time. */
const plain = (tree: SourceTree): SourceTree => {
  const { differences: _differences, lastSynced, ...rest } = tree;
  return {
    ...rest,
    files: new Map(tree.files),
    lastSynced: lastSynced && { ...lastSynced, files: new Map(lastSynced.files) },
  };
};

/** A file as it stands at HEAD; what a command edits. */
const fileOf = async (handling: Handling, { path }: FileArgument): Promise<FileAnswer> => {
  const { tree } = viewIn(handling);
  const file = tree.files.get(path);
  const head = tree.head.oid;
  if (file?.kind === 'text') return { head, text: file.text, blob: file.blob };
  // What waits for an owner can be edited on.
  const held = tree.held?.find((one) => one.path === path);
  if (!held?.blob) return { head, text: null, blob: null };
  return { head, text: await handling.source.readFile(path), blob: held.blob };
};

const commit = async ({ source, loop }: Handling, ask: CommitArgument): Promise<CommitAnswer> => {
  try {
    return { commit: await source.commit(ask) };
  } finally {
    // Also where somebody was quicker: what they pushed is to be read.
    loop.wake();
  }
};

/** Lists a machine that joins; the id of the commit, null where Git lists it already. */
export const listNode = async (handling: Handling, node: string): Promise<string | null> => {
  const { tree, desired } = viewIn(handling);
  if (desired.nodes.some(({ name }) => name === node)) return null;
  const edit = { path: `nodes/${node}.yaml`, content: nodeFile(node), base: null };
  const message = nodesMessage([node]);
  return (
    await commit(handling, { head: tree.head.oid, edits: [edit], message, author: MACHINE_AUTHOR })
  ).commit;
};

const history = async (
  { source }: Handling,
  { limit, job }: HistoryArgument,
): Promise<readonly HistoryCommit[]> => {
  const path = job === null ? undefined : `jobs/${job}.yaml`;
  const commits = await source.listCommits(limit, path);
  return commits.map(({ oid, author, authoredAt, message, trailers }) => ({
    oid,
    author: author.name,
    email: author.email,
    subject: message.split('\n')[0] ?? '',
    at: authoredAt,
    trailers,
  }));
};

/** Rules 3: only registries that policy names are ever asked, by commands too. */
const resolve = async (
  { loop, registry }: Handling,
  { reference }: ResolveArgument,
): Promise<LookupAnswer> => {
  const allowed = loop.state().view?.desired.cluster.registries ?? [];
  const name = parseImageReference(reference)?.registry;
  if (name !== undefined && !allowed.includes(name)) {
    const message =
      `registry ${name} is not asked, as cluster.yaml at HEAD does not allow it: ` +
      `commit \`- ${name}\` under \`policies.registries\` there first`;
    return { kind: 'failed', why: 'not-allowed', message, sinceMs: 0 };
  }
  return registry.resolve({ job: '', group: '', task: '', commit: '', reference });
};

const rollback = async (handling: Handling, { job }: RollbackArgument): Promise<RollbackAnswer> => {
  const { tree } = viewIn(handling);
  const target = await rollbackTarget({ tree, job, complete: handling.source.complete });
  return { head: tree.head.oid, target };
};
