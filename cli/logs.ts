// `purser logs JOB|GROUP|ALLOC`: what the tasks printed.
// In: a name. Out: lines, with the copy's name before each where several are shown. Not here:
// following copies that come and go (follow.ts).

import { pc } from './colours.ts';
import { isPoststop } from '../schema/lifecycle.ts';
import type { LiveAllocation } from '../schema/live.ts';
import type { TaskSpec } from '../schema/spec.ts';
import { attach } from './attach.ts';
import type { CommandSpec, Invocation } from './command.ts';
import { text } from './command.ts';
import { CommandError } from './command-error.ts';
import type { Copy } from './follow.ts';
import { follow } from './follow.ts';
import type { LineWriter } from './lines.ts';
import { lineWriter, rawWriter, tame } from './lines.ts';
import { jsonForTerminal } from '../schema/plain.ts';
import type { ReadyState } from './state.ts';
import { copiesOf, findCopy, findJob, readyState, refuseUnknownTask } from './state.ts';
import { shortSlot, slotNames } from './state.ts';

export const logs: CommandSpec = {
  usage: 'logs <job-or-allocation>',
  summary: 'show what tasks printed',
  completes: 'job',
  examples: [
    ['purser logs web', 'all copies of a job, the last 100 lines of each'],
    ['purser logs -f web', 'goes on until Ctrl-C, also with the copies that come meanwhile'],
    ['purser logs -f "web[0]"', 'one slot, whichever copy is in it; `job/group` works too'],
    ['purser logs --previous "web[0]"', 'the run before the last restart'],
  ],
  exits: '0, 1 nothing to show, 2 an error',
  define: (command) =>
    command
      .option('-f, --follow', 'go on with what is printed from now on, by new copies too')
      .option('-n, --tail <lines>', 'lines from the end of each copy', '100')
      .option('-p, --previous', 'the run before the current one')
      .option('-t, --task <task>', 'one task of the group (default: all)')
      .option('--no-prefix', "lines as they were printed, without the copy's name"),
  run: async (invocation) => {
    const { args, options, common } = invocation;
    const state = await readyState(common);
    const selection = selectionFor(state, args[0] ?? '');
    const copies = copiesOf(state, selection.job).filter(selection.holds);
    const wanted = text(options['task']);
    if (wanted !== null) refuseUnknownTask(copies, wanted);
    const tail = Number(options['tail']);
    if (!Number.isInteger(tail) || tail < 0) throw new CommandError('--tail takes a whole number');
    // What ran before grows no more: there is nothing to go on with.
    const goesOn = options['follow'] === true && options['previous'] !== true;
    return goesOn ? goOn(invocation, selection, tail) : show(invocation, copies, tail);
  },
};

interface Selection {
  readonly kind: 'job' | 'group' | 'slot' | 'allocation';
  /** `<namespace>/<job>`. */
  readonly job: string;
  readonly holds: (copy: LiveAllocation) => boolean;
  /** The same of a copy that comes later. */
  readonly wants: (copy: Copy) => boolean;
}

/** A job, one of its groups as `job/group`, a slot as `job[index]`, or an allocation. */
const selectionFor = (state: ReadyState, name: string): Selection => {
  const { jobs } = state.view.desired;
  const ofGroup = jobs.flatMap(({ id, spec }) =>
    spec.groups
      .filter((group) => [`${spec.job}/${group.name}`, `${id}/${group.name}`].includes(name))
      .map((group) => ({ job: id, group: group.name })),
  );
  const [first, second] = ofGroup;
  const isJob = jobs.some(({ id, spec }) => id === name || spec.job === name);
  if (!isJob && first !== undefined && second === undefined) {
    return selection('group', first.job, ({ group }) => group === first.group);
  }
  if (isJob) return selection('job', findJob(state, name).id, () => true);
  const copy = findCopy(state, name);
  const { namespace, job, group, index } = copy.body;
  const id = `${namespace}/${job}`;
  return slotNames(copy).includes(name)
    ? selection('slot', id, (other) => other.group === group && other.index === index)
    : selection('allocation', id, ({ allocation }) => allocation === copy.allocation);
};

const selection = (
  kind: Selection['kind'],
  job: string,
  wants: (copy: Pick<Copy, 'group' | 'index' | 'allocation'>) => boolean,
): Selection => ({ kind, job, wants, holds: ({ body }) => wants(body) });

const goOn = async (
  { options, common, io }: Invocation,
  { kind, job, wants }: Selection,
  tail: number,
): Promise<number> => {
  const only = text(options['task']);
  await follow({
    common,
    job,
    tail,
    signal: io.signal,
    wants: (copy, task) => wants(copy) && (only === null || task === only),
    once: kind === 'allocation',
    writer: ({ group, index, allocation, tasks }, task) =>
      writerFor({
        // One copy at a time needs no name.
        name:
          isOnly(kind) && (only !== null || tasks.length === 1) ? null : nameOf(group, index, task),
        allocation,
        json: common.json,
        prefix: options['prefix'] !== false,
      }),
    say: (remark) => io.err(pc.dim(remark)),
  });
  return 0;
};

const isOnly = (kind: Selection['kind']): boolean => kind === 'allocation' || kind === 'slot';

const show = async (
  { options, common, io }: Invocation,
  copies: readonly LiveAllocation[],
  tail: number,
): Promise<number> => {
  const only = text(options['task']);
  const tasks = copies.flatMap((copy) =>
    copy.body.spec.tasks
      .filter((task) => (only === null ? hasTurn(copy, task) : task.name === only))
      .map(({ name }) => ({ copy, task: name })),
  );
  if (tasks.length === 0) throw new CommandError('there are no copies to read logs of', 1);
  const codes = await Promise.all(
    tasks.map(async ({ copy, task }) => {
      const name = tasks.length > 1 ? `${shortSlot(copy)} ${task}` : null;
      const { node, allocation } = copy;
      const previous = options['previous'] === true;
      const prefix = options['prefix'] !== false;
      const lines = writerFor({ name, allocation, json: common.json, prefix });
      try {
        const ask = {
          kind: 'logs',
          node,
          allocation,
          task,
          tail,
          follow: false,
          previous,
        } as const;
        const { write } = lines;
        return await attach({ common, signal: io.signal, input: false, write, ask });
      } catch (error) {
        // One of several has nothing to show yet, or its node is silent: the others go on.
        if (name === null || !(error instanceof CommandError)) throw error;
        io.err(`${name}: ${error.message}`);
        return null;
      } finally {
        await lines.flush();
      }
    }),
  );
  const shown = codes.filter((code) => code !== null);
  return shown.length === 0 ? 1 : Math.max(...shown);
};

/** A poststop task writes nothing before the end of its copy, and is not asked until then. */
const hasTurn = (copy: LiveAllocation, task: TaskSpec): boolean =>
  !isPoststop(task) ||
  copy.tasks.some(({ name, state }) => name === task.name && state !== 'pending');

const nameOf = (group: string, index: number, task: string) => `${group}[${index}] ${task}`;

interface Writing {
  /** Of the copy; null where there is one alone. */
  readonly name: string | null;
  readonly allocation: string;
  readonly json: boolean;
  readonly prefix: boolean;
}

const writerFor = ({ name, allocation, json, prefix }: Writing): LineWriter => {
  if (json) {
    return lineWriter((line) => jsonForTerminal(JSON.stringify({ copy: name, allocation, line })));
  }
  if (name === null) return rawWriter();
  return lineWriter((line) => (prefix ? `${pc.cyan(name)} ${tame(line)}` : tame(line)));
};
