// `purser history [JOB]`: the commits of the branch with what became of them: settled, failed,
// reverted.
// In: commits and the ledger. Out: lines, newest first. The machine's commits are marked: they have
// a trailer.

import { pc } from './colours.ts';
import { MACHINE_AUTHOR } from '../reconciler/config.ts';
import type { HistoryCommit } from '../schema/control.ts';
import type { Ledger } from '../schema/ledger.ts';
import type { Snapshot } from '../schema/snapshot.ts';
import type { CommandSpec } from './command.ts';
import { text } from './command.ts';
import { CommandError } from './command-error.ts';
import { ask, findJob, readyState } from './state.ts';
import { table } from './table.ts';

export const history: CommandSpec = {
  usage: 'history [job]',
  summary: 'show the commits, who made them, and whether their versions settled',
  completes: 'job',
  examples: [
    ['purser history', 'the last 30 commits of the branch'],
    ['purser history web', 'those that changed one job'],
  ],
  define: (command) => command.option('-n, --tail <count>', 'the newest so many', '30'),
  run: async ({ args, options, common, io }) => {
    const limit = Number(text(options['tail']));
    if (!Number.isInteger(limit) || limit < 1)
      throw new CommandError('--tail takes a number from 1');
    const [name] = args;
    const job = name === undefined ? null : findJob(await readyState(common), name).id;
    const [commits, snapshot] = await Promise.all([
      ask<readonly HistoryCommit[]>(common, 'history', { limit, job }),
      ask<Snapshot>(common, 'snapshot'),
    ]);
    const { ledger } = snapshot.tree;
    const marks = marksOf(ledger, job);
    const entries = commits.map((commit) => ({
      ...commit,
      at: new Date(commit.at * 1000).toISOString(),
      machine: isMachine(commit),
      marks: marks.get(commit.oid) ?? [],
    }));
    if (common.json) {
      io.out(JSON.stringify(entries, null, 2));
      return 0;
    }
    const rows = entries.map((entry) => [
      pc.yellow(entry.oid.slice(0, 10)),
      entry.at.slice(0, 16).replace('T', ' '),
      entry.machine ? pc.magenta(`${entry.author} (machine)`) : entry.author,
      entry.marks.map((mark) => coloured(mark, job === null ? ` ${mark.job}` : '')).join(', '),
      entry.subject,
    ]);
    io.out(
      table([['COMMIT', 'TIME (UTC)', 'AUTHOR', 'BECAME', 'SUBJECT'], ...rows], {
        columns: io.columns,
      }),
    );
    return 0;
  },
};

interface Mark {
  /** `returned`: it brought a version back that had settled before. */
  readonly kind: 'settled' | 'failed' | 'reverted' | 'returned';
  readonly job: string;
  /** The commit with which the version settled first; of `returned` alone. */
  readonly sameAs?: string;
}

/**
 * Commit that introduced a version, or brought it back → what became of it. A job that failed and
 * was reverted is shown as reverted.
 */
const marksOf = (ledger: Ledger, job: string | null): ReadonlyMap<string, readonly Mark[]> => {
  const failed = new Map<string, string>();
  const marks = new Map<string, Map<string, Omit<Mark, 'job'>>>();
  const mark = (commit: string, id: string, found: Omit<Mark, 'job'>) => {
    const mine = marks.get(commit) ?? new Map<string, Omit<Mark, 'job'>>();
    marks.set(commit, mine.set(id, found));
  };
  for (const record of ledger) {
    if (!('job' in record) || (job !== null && record.job !== job)) continue;
    switch (record.kind) {
      case 'returned':
      case 'settled': {
        const { sameAs } = record;
        if (sameAs !== undefined) mark(record.commit, record.job, { kind: 'returned', sameAs });
        else if (record.kind === 'settled') mark(record.commit, record.job, { kind: 'settled' });
        break;
      }
      case 'failed':
        failed.set(record.deployment, record.commit);
        mark(record.commit, record.job, { kind: 'failed' });
        break;
      case 'reverted': {
        const introduced = failed.get(record.deployment);
        if (introduced !== undefined) mark(introduced, record.job, { kind: 'reverted' });
        break;
      }
      case 'digest':
      case 'volume':
        break;
      default:
        record satisfies never;
    }
  }
  return new Map(
    [...marks].map(([commit, byJob]) => [
      commit,
      [...byJob].map(([id, found]) => ({ job: id, ...found })),
    ]),
  );
};

const coloured = ({ kind, sameAs }: Mark, rest: string): string => {
  if (kind === 'returned') return pc.green(`back to ${(sameAs ?? '').slice(0, 10)}`) + rest;
  return (kind === 'settled' ? pc.green : pc.red)(kind) + rest;
};

/** The machine's commits bear its own name. */
const isMachine = ({ email }: HistoryCommit): boolean => email === MACHINE_AUTHOR.email;
