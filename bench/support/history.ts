// A large history in a bare repository, made by `git fast-import`: many job files in folders, one
// file changed in each commit. In: a seed and sizes. Out: a repository, and further commits on a
// side branch, ready to be renamed over the watched one. Not here: what is measured.

import { execFileSync } from 'node:child_process';
import path from 'node:path';

export interface History {
  readonly folder: string;
  /** Path of a job file. */
  readonly pathOf: (job: number) => string;
  /** A commit on top of the newest that changes this job; the branch does not move. */
  readonly change: (job: number, text: string) => string;
  /** A commit on top of a given one that changes these jobs, as a pull request; no branch moves. */
  readonly pull: (from: string, changes: ReadonlyMap<number, string>) => string;
}

export interface HistoryAsk {
  readonly root: string;
  readonly jobs: number;
  readonly commits: number;
  readonly folders: number;
  readonly others: Readonly<Record<string, string>>;
  /** Text of a job file in its nth version. */
  readonly text: (job: number, version: number) => string;
}

/** Any step that is prime to the number of files visits all of them in turn. */
export const STRIDE = 7919;

export const createHistory = (ask: HistoryAsk): History => {
  const { jobs, commits, folders, text } = ask;
  const folder = path.join(ask.root, 'repository.git');
  execFileSync('git', ['init', '--quiet', '--bare', '--initial-branch=main', folder]);
  const pathOf = (job: number): string =>
    `jobs/team-${String(job % folders).padStart(3, '0')}/job-${String(job).padStart(5, '0')}.yaml`;
  const files = Array.from({ length: jobs }, (_, job) => [pathOf(job), text(job, 0)] as const);
  const parts = [
    commitOf({ at: 0, ref: MAIN, from: null, files: [...Object.entries(ask.others), ...files] }),
  ];
  for (let at = 1; at < commits; at += 1) {
    const job = (at * STRIDE) % jobs;
    parts.push(commitOf({ at, ref: MAIN, from: null, files: [[pathOf(job), text(job, at)]] }));
  }
  feed(folder, parts.join(''), []);
  let newest = tipOf(folder, MAIN);
  let at = commits;
  return {
    folder,
    pathOf,
    change: (job, changed) => {
      at += 1;
      const files = [[pathOf(job), changed]] as const;
      // Left as loose objects, as a commit by hand or a small push leaves them.
      const loose = ['-c', 'fastimport.unpackLimit=100'];
      feed(folder, commitOf({ at, ref: NEXT, from: newest, files }), loose);
      newest = tipOf(folder, NEXT);
      return newest;
    },
    pull: (from, changes) => {
      at += 1;
      const files = [...changes].map(([job, changed]) => [pathOf(job), changed] as const);
      const loose = ['-c', 'fastimport.unpackLimit=200'];
      feed(folder, commitOf({ at, ref: PULL, from, files }), loose);
      return tipOf(folder, PULL);
    },
  };
};

const MAIN = 'refs/heads/main';
const NEXT = 'refs/bench/next';
const PULL = 'refs/pull/1/head';

const tipOf = (folder: string, ref: string): string =>
  execFileSync('git', ['-C', folder, 'rev-parse', ref], { encoding: 'utf8' }).trim();

interface CommitAsk {
  readonly at: number;
  readonly ref: string;
  readonly from: string | null;
  readonly files: readonly (readonly [string, string])[];
}

const commitOf = ({ at, ref, from, files }: CommitAsk): string => {
  const rows = files.map(([file, text]) => `M 100644 inline ${file}\n${data(text)}`).join('');
  const parent = from === null ? '' : `from ${from}\n`;
  const by = `committer Bench <bench@example.org> ${1_700_000_000 + at} +0000`;
  return `commit ${ref}\n${by}\n${data(`c${at}`)}${parent}${rows}\n`;
};

const data = (text: string): string => `data ${Buffer.byteLength(text)}\n${text}\n`;

const feed = (folder: string, input: string, flags: readonly string[]): void => {
  execFileSync('git', ['-C', folder, ...flags, 'fast-import', '--quiet', '--force'], { input });
};
