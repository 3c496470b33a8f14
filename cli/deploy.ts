// `purser deploy JOB[/GROUP[/TASK]]=IMAGE`: a new image, pinned to the digest that its tag has now,
// by a commit.
// In: a job and an image. Out: a commit, and the rollout followed to its end: exit code 1 when it
// failed or was reverted. `JOB=:TAG` keeps the repository. Not here: rolling (the reconciler).

import type { DesiredJob } from '../schema/desired.ts';
import type { FileAnswer } from '../schema/control.ts';
import type { Json } from '../schema/hash.ts';
import { parseImageReference } from '../schema/image-reference.ts';
import type { LookupAnswer } from '../schema/source.ts';
import type { CommandSpec, Common } from './command.ts';
import { CommandError } from './command-error.ts';
import type { ReadyState } from './state.ts';
import { ask, findJob, readyState } from './state.ts';
import { editFile, followJob, lookingAgain, tell } from './write.ts';

export const deploy: CommandSpec = {
  usage: 'deploy <job=image>',
  summary: 'roll out an image (writes a commit with its digest, and follows the rollout)',
  completes: 'job',
  examples: [
    ['purser deploy web=registry.example/web:1.4.3', 'a job with one task'],
    ['purser deploy web=:1.4.3', 'another tag of the same repository'],
    ['purser deploy shop/web/api/server=:2.0', 'one task of one group'],
  ],
  exits: '0 it settled, 1 it did not or was reverted, 2 an error',
  define: (command) => command.option('-d, --detach', 'do not wait for the rollout'),
  run: async (invocation) => {
    const { args, common, options } = invocation;
    const [, name, written] = /^([^=]+)=(.+)$/.exec(args[0] ?? '') ?? [];
    if (name === undefined || written === undefined) {
      throw new CommandError(
        'write JOB=IMAGE, such as web=registry.example/web:1.4.3 or web=:1.4.3',
      );
    }
    const place = findTask(await readyState(common), name);
    const reference = referenceOf(written, place.image);
    const pinned = await pin(common, reference);
    const pointer = await pointerTo(common, place);
    const message = `Deploy ${place.job.id} ${shortName(reference)}`;
    const edits = [{ pointer, value: pinned }];
    const commit = await lookingAgain(() =>
      editFile({ common, path: place.job.file, edits, message, fresh: null }),
    );
    tell(invocation, commit, message);
    if (commit === null || options['detach'] === true) return 0;
    return followJob(invocation, place.job.id, commit);
  },
};

interface TaskPlace {
  readonly job: DesiredJob;
  readonly group: string;
  readonly task: string;
  /** As written at HEAD. */
  readonly image: string;
}

/** `web`, `shop/web`, `web/GROUP`, `web/GROUP/TASK`, each with or without the namespace. */
export const findTask = (state: ReadyState, name: string): TaskPlace => {
  const parts = name.split('/');
  for (let cut = parts.length; cut > 0; cut -= 1) {
    const jobName = parts.slice(0, cut).join('/');
    const known = state.view.desired.jobs.some(
      ({ id, spec }) => id === jobName || spec.job === jobName,
    );
    if (!known) continue;
    const [group, task] = parts.slice(cut);
    return taskOf(findJob(state, jobName), group ?? null, task ?? null);
  }
  return taskOf(findJob(state, name), null, null);
};

const taskOf = (job: DesiredJob, groupName: string | null, taskName: string | null): TaskPlace => {
  const { groups } = job.spec;
  const group = groups.find(({ name }) => name === groupName) ?? only(groups, groupName);
  if (group === undefined) throw which(job.id, 'group', groups);
  const task = group.tasks.find(({ name }) => name === taskName) ?? only(group.tasks, taskName);
  if (task === undefined) throw which(`${job.id}/${group.name}`, 'task', group.tasks);
  return { job, group: group.name, task: task.name, image: task.image.reference };
};

const only = <Item>(items: readonly Item[], named: string | null): Item | undefined =>
  named === null && items.length === 1 ? items[0] : undefined;

const which = (
  place: string,
  what: string,
  items: readonly { readonly name: string }[],
): CommandError =>
  new CommandError(
    `name the ${what} as well: ${items.map(({ name }) => `${place}/${name}=IMAGE`).join(' or ')}`,
  );

/** `:1.4.3` → the same repository with another tag. */
const referenceOf = (written: string, current: string): string => {
  const repository = current.replace(/@.*$/, '').replace(/:[^/:]*$/, '');
  const reference = written.startsWith(':') ? `${repository}${written}` : written;
  if (parseImageReference(reference) !== null) return reference;
  throw new CommandError(
    `\`${reference}\` is not an image reference: write registry, repository and tag, such as registry.example/web:1.4.3`,
  );
};

/** `tag@sha256:…`: what runs is what was looked at now. */
const pin = async (common: Common, reference: string): Promise<string> => {
  if (reference.includes('@sha256:')) return reference;
  const answer = await ask<LookupAnswer>(common, 'resolve', { reference });
  if (answer.kind === 'digest') return `${reference}@${answer.digest}`;
  throw new CommandError(`${answer.message}; nothing was committed`, 1);
};

const shortName = (reference: string): string =>
  reference.replace(/@.*$/, '').split('/').at(-1) ?? reference;

/** Groups and tasks are optional levels: the field stands where the file has it. */
const pointerTo = async (common: Common, { job, group, task }: TaskPlace): Promise<string> => {
  const { text } = await ask<FileAnswer>(common, 'file', { path: job.file });
  const { readYaml, valueOf } = await import('../schema/yaml.ts');
  const read = readYaml(text ?? '');
  const whole = read.kind === 'tree' ? valueOf(read.root) : null;
  const groups = member(whole, 'groups');
  const inGroup = groups === undefined ? '' : `/groups/${group}`;
  const groupValue = groups === undefined ? whole : member(groups, group);
  const tasks = member(groupValue, 'tasks');
  return `${inGroup}${tasks === undefined ? '' : `/tasks/${task}`}/image`;
};

const member = (value: Json | undefined, name: string): Json | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, Json>>)[name]
    : undefined;
