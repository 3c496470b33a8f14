// `purser logs JOB|ALLOC`: what the tasks printed.

import { pc } from './colours.ts';
import type { LiveAllocation } from '../schema/live.ts';
import { attach, toTerminal } from './attach.ts';
import type { CommandSpec } from './command.ts';
import { text } from './command.ts';
import { CommandError } from './command-error.ts';
import type { ReadyState } from './state.ts';
import { copiesOf, findCopy, findJob, readyState, refuseUnknownTask, shortSlot } from './state.ts';

export const logs: CommandSpec = {
  usage: 'logs <job-or-allocation>',
  summary: 'show what tasks printed',
  completes: 'job',
  examples: [
    ['purser logs web', 'all copies of a job, the last 100 lines of each'],
    ['purser logs -f web', 'goes on until Ctrl-C'],
    ['purser logs --previous "web[0]"', 'the run before the last restart'],
  ],
  exits: '0, 1 nothing to show, 2 an error',
  define: (command) =>
    command
      .option('-f, --follow', 'go on with what is printed from now on')
      .option('-n, --tail <lines>', 'lines from the end of each copy', '100')
      .option('-p, --previous', 'the run before the current one')
      .option('-t, --task <task>', 'one task of the group (default: all)'),
  run: async ({ args, options, common, io }) => {
    const state = await readyState(common);
    const copies = copiesFor(state, args[0] ?? '');
    const wanted = text(options['task']);
    if (wanted !== null) refuseUnknownTask(copies, wanted);
    const tasks = copies.flatMap((copy) =>
      copy.body.spec.tasks
        .filter(({ name }) => wanted === null || name === wanted)
        .map(({ name }) => ({ copy, task: name })),
    );
    if (tasks.length === 0)
      throw new CommandError(`${args[0] ?? ''} has no copies, so there are no logs`, 1);
    const tail = Number(options['tail']);
    if (!Number.isInteger(tail) || tail < 0) throw new CommandError('--tail takes a whole number');
    const codes = await Promise.all(
      tasks.map(async ({ copy, task }) => {
        const name = tasks.length > 1 ? `${shortSlot(copy)} ${task}` : null;
        const { node, allocation } = copy;
        const follow = options['follow'] === true;
        const previous = options['previous'] === true;
        try {
          return await attach({
            common,
            signal: io.signal,
            input: false,
            write: writer(name, common.json),
            ask: { kind: 'logs', node, allocation, task, tail, follow, previous },
          });
        } catch (error) {
          // One of several has nothing to show yet, or its node is silent: the others go on.
          if (name === null || !(error instanceof CommandError)) throw error;
          io.err(`${name}: ${error.message}`);
          return null;
        }
      }),
    );
    const shown = codes.filter((code) => code !== null);
    return shown.length === 0 ? 1 : Math.max(...shown);
  },
};

/** A job's copies, or the one allocation that is named. */
const copiesFor = (state: ReadyState, name: string): readonly LiveAllocation[] => {
  const isJob = state.view.desired.jobs.some(({ id, spec }) => id === name || spec.job === name);
  return isJob ? copiesOf(state, findJob(state, name).id) : [findCopy(state, name)];
};

/** Whole lines, with the copy's name before each where several are shown. */
const writer = (prefix: string | null, json: boolean) => {
  let rest = '';
  return async (stream: 'stdout' | 'stderr', data: Uint8Array) => {
    if (prefix === null && !json) return toTerminal(stream, data);
    const lines = (rest + Buffer.from(data).toString('utf8')).split('\n');
    rest = lines.pop() ?? '';
    const mark = (line: string) =>
      json ? JSON.stringify({ copy: prefix, line }) : `${pc.cyan(prefix ?? '')} ${line}`;
    const whole = lines.map((line) => `${mark(line)}\n`).join('');
    return toTerminal(stream, Buffer.from(whole));
  };
};
