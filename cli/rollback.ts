// `purser rollback JOB`: the job's version goes back to the newest one before it that settled, by
// an ordinary commit.
// In: a job. Out: a commit, and the rollout followed. Count and other fields that change in place
// stay (rules 6.3).

import type { FileEdit } from '../schema/desired.ts';
import type { RollbackAnswer } from '../schema/control.ts';
import type { CommandSpec } from './command.ts';
import { CommandError } from './command-error.ts';
import { ask, findJob, readyState } from './state.ts';
import { followJob, tell, write } from './write.ts';

export const rollback: CommandSpec = {
  usage: 'rollback <job>',
  summary: 'go back to the version before (writes a commit)',
  completes: 'job',
  examples: [
    ['purser rollback web', 'to the newest version before this one that settled'],
    ['git revert COMMIT', 'does the same for a whole commit: nothing overrides it'],
  ],
  exits: '0 it settled, 1 it did not or there is nothing to go back to, 2 an error',
  define: (command) => command.option('-d, --detach', 'do not wait for the rollout'),
  run: async (invocation) => {
    const { args, common, io, options } = invocation;
    const job = findJob(await readyState(common), args[0] ?? '');
    const { head, target } = await ask<RollbackAnswer>(common, 'rollback', { job: job.id });
    if (target.kind === 'impossible') {
      throw new CommandError(`${job.id} cannot be rolled back by a command: ${target.why}`, 1);
    }
    const [from, to] = [job.spec.specHash.slice(0, 12), target.specHash.slice(0, 12)];
    const message = [
      `Roll back ${job.id} to ${to}`,
      '',
      `Its fields that form the version go back to those of commit ${target.commit.slice(0, 12)},`,
      'which settled. Everything else in the file stays.',
      '',
      `Purser-Job: ${job.id}`,
      `Purser-Rolls-Back: ${job.commit.oid}`,
      '',
    ].join('\n');
    const commit = await write({ common, edits: target.edits, head, message });
    tell(invocation, commit, `Roll back ${job.id} from ${from} to ${to}`);
    if (!common.json) {
      io.out(`  changed: ${target.edits.map(pathOf).join(', ')}`);
      io.out('  stays: count, update, restart, labels, placement and all other jobs');
    }
    if (options['detach'] === true) return 0;
    return followJob(invocation, job.id, commit);
  },
};

const pathOf = ({ path, content }: FileEdit): string =>
  content === null ? `${path} (removed)` : path;
