// Commands that change something make a commit, like anyone: edits of a file at HEAD, in the name
// of the person.
// In: what to change in which file. Out: a commit, made by the reconciler where it follows the
// rules of branches and work trees (rules 12). Not here: which fields (the commands).

import { execFile } from 'node:child_process';
import { hostname, userInfo } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { CommitAnswer, CommitArgument, FileAnswer, StateAnswer } from '../schema/control.ts';
import { OF_LEADER } from '../schema/control.ts';
import type { CommitRef, DesiredState, FileEdit } from '../schema/desired.ts';
import type { DeploymentView } from '../schema/plan.ts';
import type { YamlEdit } from '../schema/yaml-edit.ts';
import { blockedLines, STATUS_WORDS, waitingLines } from '../reconciler/render/words.ts';
import { connect } from './client.ts';
import type { Common, Io } from './command.ts';
import { CommandError, StaleError } from './command-error.ts';
import { ask } from './state.ts';

export interface Person {
  readonly name: string;
  readonly email: string;
}

/** Who runs this command: as git knows them, else the login on this machine. */
export const person = async (repository: string): Promise<Person> => {
  const git = (key: string) =>
    promisify(execFile)('git', ['-C', repository, 'config', key]).then(
      ({ stdout }) => stdout.trim(),
      () => '',
    );
  const [name, email] = await Promise.all([git('user.name'), git('user.email')]);
  const login = userInfo().username;
  return { name: name || login, email: email || `${login}@${hostname()}` };
};

export interface WriteAsk {
  readonly common: Common;
  readonly edits: readonly FileEdit[];
  readonly head: string;
  readonly message: string;
}

/** Makes the commit; its id. */
export const write = async ({ common, edits, head, message }: WriteAsk): Promise<string> => {
  const state = await ask<StateAnswer>(common, 'state');
  const author = await person(state.repository);
  const argument: CommitArgument = { edits, head, message, author };
  const { commit } = await ask<CommitAnswer>(common, 'commit', argument);
  return commit;
};

export interface EditAsk {
  readonly common: Common;
  /** Path in the cluster's directory. */
  readonly path: string;
  readonly edits: readonly YamlEdit[];
  readonly message: string;
  /** What a file that does not exist yet begins with; null: it must exist. */
  readonly fresh: string | null;
}

/** Edits one YAML file, comments kept; null when it says that already. */
export const editFile = async (options: EditAsk): Promise<string | null> => {
  const { common, path, edits, message } = options;
  const file = await ask<FileAnswer>(common, 'file', { path });
  const text = file.text ?? options.fresh;
  if (text === null) throw new CommandError(`${path} is not in the repository at HEAD`);
  const { editYaml } = await import('../schema/yaml-edit.ts');
  const edited = editYaml(text, edits);
  if (edited.kind === 'failed') {
    throw new CommandError(
      `${path} cannot be edited by a command: ${edited.why}. Edit it by hand and commit`,
    );
  }
  if (edited.text === file.text) return null;
  const edit: FileEdit = { path, content: edited.text, base: file.blob };
  return write({ common, edits: [edit], head: file.head, message });
};

/** What was pushed meanwhile is read within a second; a remote's takes one poll more. */
const LOOKS = 20;
const LOOK_AGAIN_MS = 250;

/** Does it again from the beginning where somebody else was quicker, for some seconds. */
export const lookingAgain = async <Value>(act: () => Promise<Value>): Promise<Value> => {
  for (let looks = 1; ; looks += 1) {
    try {
      return await act();
    } catch (error) {
      if (!(error instanceof StaleError) || looks === LOOKS) throw error;
      await pause(LOOK_AGAIN_MS);
    }
  }
};

export const tell = (
  { common, io }: { readonly common: Common; readonly io: Io },
  commit: string | null,
  message: string,
): void => {
  const answer = { commit, message };
  if (common.json) io.out(JSON.stringify(answer));
  else io.out(commit === null ? `${message}: nothing to change` : `${message}\n  commit ${commit}`);
};

/** Ways a rollout ends; a failed one may still be reverted. */
const OVER: ReadonlySet<string> = new Set(['settled', 'failed', 'paused', 'held', 'stopped']);

/** After a failure, the revert is a commit or two away. */
const REVERT_PATIENCE_MS = 60_000;

/**
 * Follows a job's deployment from a commit on until it is over; the exit code: 0 settled, 1 not.
 */
export const followJob = async (
  { common, io }: { readonly common: Common; readonly io: Io },
  job: string,
  commit: string,
): Promise<number> => {
  const control = await connect(common.socket);
  const say = (line: string) => {
    if (!common.json) io.out(line);
  };
  const giveUp = new AbortController();
  const signal = AbortSignal.any([io.signal, giveUp.signal]);
  let said = '';
  let followed: string | null = null;
  let patience: NodeJS.Timeout | null = null;
  try {
    for await (const { view } of control.watch<StateAnswer>('state', signal, OF_LEADER)) {
      if (view === null || (view.desired.commit.oid !== commit && followed === null)) continue;
      const deployment = view.plan.deployments.find((one) => one.job === job);
      if (deployment === undefined) continue;
      followed ??= deployment.deployment;
      if (deployment.deployment !== followed) return superseded(say, view.desired.commit);
      const line = lineOf(deployment);
      if (line !== said) say(line);
      said = line;
      const stuck = stuckReasons(view, deployment);
      for (const reason of stuck) say(`    ${reason}`);
      if (stuck.length > 0 || awaitsApproval(say, view.plan, job)) return 1;
      if (!OVER.has(deployment.status) || isAskingRegistry(view.desired, job)) continue;
      if (deployment.status === 'settled' && !isComplete(deployment)) continue;
      if (deployment.status === 'failed' && awaitsRevert(view.desired, job)) {
        patience ??= setTimeout(() => giveUp.abort(), REVERT_PATIENCE_MS);
        continue;
      }
      return deployment.status === 'settled' || deployment.status === 'stopped' ? 0 : 1;
    }
    return 1;
  } finally {
    if (patience !== null) clearTimeout(patience);
    control.close();
  }
};

const isComplete = ({ groups }: DeploymentView): boolean =>
  groups.every(({ healthy, wanted }) => healthy >= wanted);

/** Blocked, and nothing under way that could make room: why. Empty while there is hope. */
const stuckReasons = (
  { plan, live }: NonNullable<StateAnswer['view']>,
  { job, status }: DeploymentView,
): readonly string[] => {
  if (status !== 'blocked') return [];
  const moving = live.nodes.some(({ allocations }) =>
    allocations.some(({ phase, stopping }) => phase === 'pending' || stopping),
  );
  if (moving || plan.steps.length > 0) return [];
  return blockedLines(plan.blocked.filter((one) => one.job === job));
};

/** Fewer copies than the guards let go by themselves (rules 8.1): a person must say so. */
const awaitsApproval = (
  say: (line: string) => void,
  { guarded }: NonNullable<StateAnswer['view']>['plan'],
  job: string,
): boolean => {
  const lines = waitingLines({ blocked: [], guarded }, job);
  for (const line of lines) say(`    ${line}`);
  return lines.length > 0;
};

const superseded = (say: (line: string) => void, commit: CommitRef): number => {
  say(`  superseded by commit ${commit.oid.slice(0, 12)} of ${commit.author}: ${commit.subject}`);
  return 1;
};

/** Held for the moment until the registry has said which digest a tag has. */
const isAskingRegistry = ({ jobs }: DesiredState, job: string): boolean => {
  const found = jobs.find(({ id }) => id === job);
  return (
    found?.standing.kind === 'held' &&
    found.standing.why.startsWith('unresolved image') &&
    found.unresolved === null
  );
};

const awaitsRevert = ({ jobs }: DesiredState, job: string): boolean => {
  const found = jobs.find(({ id }) => id === job);
  return (
    found !== undefined &&
    found.spec.update.autoRevert &&
    !found.isRollback &&
    found.revert.kind === 'possible'
  );
};

const lineOf = ({ job, status, groups, reason }: DeploymentView): string => {
  const counts = groups.map(({ group, healthy, wanted }) => `${group} ${healthy}/${wanted}`);
  return `  ${job}: ${STATUS_WORDS[status]}, ${counts.join(', ')} healthy${reason === null ? '' : ` (${reason})`}`;
};
