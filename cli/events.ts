// `purser events [-f] [JOB]`: what happened since the reconciler started: commits, steps, health,
// nodes.
// In: a control connection. Out: lines, oldest first. What is older is Git (rules 10.5).

import { pc } from './colours.ts';
import type { EventAnswer } from '../schema/control.ts';
import { plainLine } from '../schema/plain.ts';
import { connect } from './client.ts';
import type { CommandSpec } from './command.ts';
import { text } from './command.ts';
import { CommandError } from './command-error.ts';
import { findJob, readyState } from './state.ts';

export const events: CommandSpec = {
  usage: 'events [job]',
  summary: 'show what happened: commits, starts and stops, health, nodes',
  completes: 'job',
  examples: [
    ['purser events', 'the last 50'],
    ['purser events -f web', 'those of one job, until Ctrl-C'],
    ['purser events -n 2000 --json', 'all that are kept, a JSON object a line'],
  ],
  define: (command) =>
    command
      .option('-f, --follow', 'go on with what happens from now on')
      .option('-n, --tail <count>', 'the last so many', '50'),
  run: async ({ args, options, common, io }) => {
    const tail = Number(text(options['tail']));
    if (!Number.isInteger(tail) || tail < 0) throw new CommandError('--tail takes a whole number');
    const [name] = args;
    const job = name === undefined ? null : findJob(await readyState(common), name).id;
    const wanted = (all: readonly EventAnswer[]) =>
      all.filter((event) => job === null || event.job === job || event.kind === 'commit');
    const show = common.json ? jsonLine : textLine;
    const control = await connect(common.socket);
    try {
      const first = wanted(await control.call<readonly EventAnswer[]>('events'));
      for (const event of tail === 0 ? [] : first.slice(-tail)) io.out(show(event));
      if (options['follow'] !== true) return 0;
      let last = first.at(-1);
      for await (const all of control.watch<readonly EventAnswer[]>('events', io.signal)) {
        for (const event of after(wanted(all), last)) {
          io.out(show(event));
          last = event;
        }
      }
      return 0;
    } finally {
      control.close();
    }
  },
};

/** The events behind the last one shown; all of them when it is no longer kept. */
const after = (
  all: readonly EventAnswer[],
  last: EventAnswer | undefined,
): readonly EventAnswer[] => {
  if (last === undefined) return all;
  const at = all.findLastIndex(
    (event) => event.at === last.at && event.message === last.message && event.kind === last.kind,
  );
  return all.slice(at + 1);
};

const jsonLine = (event: EventAnswer): string =>
  JSON.stringify({ ...event, at: new Date(event.at).toISOString() });

const textLine = ({ at, kind, message }: EventAnswer): string =>
  `${pc.dim(clockTime(at))}  ${kind.padEnd(10)}  ${plainLine(message)}`;

/** Local time of day, as people read logs: `14:03:59`. */
const clockTime = (at: number): string => new Date(at).toTimeString().slice(0, 8);
