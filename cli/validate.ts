// `purser validate [DIR]`: every problem of a folder's files, without a cluster and without Git.
// In: a folder. Out: `file:line:column code what how`; exit code 0 none, 1 warnings only, 2 errors.
// Digests are not looked up, and what only history or a registry can tell is left to `purser plan`.

import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pc } from './colours.ts';
import { problemLine } from '../reconciler/render/plan-text.ts';
import { many } from '../reconciler/render/words.ts';
import type { Problem } from '../schema/problems.ts';
import type { Files, SourceTree } from '../schema/source.ts';
import type { CommandSpec } from './command.ts';
import { CommandError } from './command-error.ts';

export const validate: CommandSpec = {
  usage: 'validate [folder]',
  summary: 'check the files of a cluster: every mistake, with line and remedy',
  examples: [
    ['purser validate', 'the folder you are in'],
    ['purser validate clusters/eu', 'another one; works without a cluster and in CI'],
  ],
  exits: '0 no problems, 1 warnings only, 2 errors',
  define: (command) => command,
  run: async ({ args, common, io }) => {
    const folder = resolve(args[0] ?? '.');
    const there = await stat(join(folder, 'cluster.yaml')).catch(() => null);
    if (there === null) {
      throw new CommandError(
        `${folder} has no cluster.yaml: name the folder of a cluster, or make one with \`purser init\``,
      );
    }
    const { readFolder } = await import('../reconciler/edge/git/folder-on-disk.ts');
    const files = await readFolder(folder);
    const problems = await problemsIn(files);
    const errors = problems.filter(({ severity }) => severity === 'error').length;
    if (common.json) io.out(JSON.stringify({ folder, files: files.size, problems }, null, 2));
    else {
      for (const problem of problems) io.out(lineOf(problem));
      if (problems.length > 0) io.out('');
      io.out(countWords(files.size, errors, problems.length - errors));
    }
    if (errors > 0) return 2;
    return problems.length > 0 ? 1 : 0;
  },
};

const lineOf = (problem: Problem): string => {
  const mark = problem.severity === 'error' ? pc.red('error  ') : pc.yellow('warning');
  return `${mark} ${problemLine(problem)}`;
};

const countWords = (files: number, errors: number, warnings: number): string => {
  const found =
    errors + warnings === 0
      ? 'no problems'
      : `${many(errors, 'error')}, ${many(warnings, 'warning')}`;
  return `${many(files, 'file')}: ${found}`;
};

/** As a first commit of these files would be compiled. */
const problemsIn = async (files: Files): Promise<readonly Problem[]> => {
  const { asks, compile } = await import('../reconciler/desired/compile.ts');
  const author = { name: 'validate', email: 'validate@localhost' };
  const head = {
    oid: '0'.repeat(40),
    parent: null,
    author,
    authoredAt: 0,
    message: '',
    trailers: [],
  };
  const tree: SourceTree = {
    branch: 'main',
    directory: '',
    head,
    local: true,
    files,
    ledger: [],
    histories: new Map(),
    lastSynced: null,
    lookups: new Map(),
  };
  const histories = asks(tree).histories.map(({ path, with: others }) => {
    const paths = new Set([path, ...others]);
    const entry = { commit: head, files: new Map([...files].filter(([name]) => paths.has(name))) };
    return [path, { path, entries: [entry], complete: true }] as const;
  });
  return compile({ ...tree, histories: new Map(histories) }).problems;
};
