// `purser backup FILE` and `purser restore FILE`: what a reconciler's machine alone knows, in one file.
// In: a root. Out: an archive that tar reads, for its owner's eyes only; or the same files, back in
// their places. Not here: the repository (git clone --mirror), volumes, logins (docs/OPERATIONS.md).

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { CommandSpec, Invocation } from './command.ts';
import { CommandError } from './command-error.ts';
import { makeFolder } from './make-folder.ts';
import { AUTHORITY_FOLDER, layoutOf, SIGNING_KEY } from './up/layout.ts';
import { readPid } from './up/process.ts';

const exec = promisify(execFile);

/** Below the root; what is there of it is kept. */
const KEPT: readonly { readonly path: string; readonly what: string }[] = [
  { path: AUTHORITY_FOLDER, what: 'the certificate authority, and who has joined' },
  { path: SIGNING_KEY, what: "Purser's signing key" },
  { path: `${SIGNING_KEY}.ledger`, what: 'which ledgers it signed' },
];

export const backup: CommandSpec = {
  usage: 'backup <file>',
  summary: 'keep what this machine alone knows: the authority, who has joined, the signing key',
  examples: [['purser backup /safe/shop.tgz', 'whoever has the file may pass for any node']],
  exits: '0 well, 1 there is nothing to keep, 2 an error',
  define: (command) => command,
  run: async ({ args, common, io }) => {
    const file = resolve(args[0] ?? '');
    const kept = KEPT.filter(({ path }) => existsSync(join(common.root, path)));
    if (kept.length === 0) {
      throw new CommandError(
        `in ${common.root} there is no key to keep: nothing has listened for other machines or signed there; name another place with --root`,
        1,
      );
    }
    if (existsSync(file)) throw new CommandError(`${file} is there already: name another file`);
    const paths = kept.map(({ path }) => path);
    const partial = `${file}.partial`;
    const before = process.umask(0o077);
    try {
      await tar([
        '--create',
        '--gzip',
        '--file',
        partial,
        '--directory',
        common.root,
        '--',
        ...paths,
      ]);
      // Read back whole: a disk may have been full.
      await tar(['--list', '--gzip', '--file', partial]);
      await rename(partial, file);
    } finally {
      process.umask(before);
      await rm(partial, { force: true });
    }
    say({ common, io }, { file, kept, verb: 'Kept' });
    if (!common.json) {
      io.out(
        'Not in it: the repository with its ledger, named volumes, logins (docs/OPERATIONS.md).',
      );
    }
    return 0;
  },
};

export const restore: CommandSpec = {
  usage: 'restore <file>',
  summary: 'bring back what `purser backup` kept, on a machine where nothing of it is',
  examples: [['purser restore /safe/shop.tgz', 'then start Purser as before; nodes come back']],
  define: (command) => command,
  run: async ({ args, common, io }) => {
    const file = resolve(args[0] ?? '');
    const { pidFile, root } = layoutOf(common.root);
    if ((await readPid(pidFile)) !== null) {
      throw new CommandError(`Purser runs in ${root}: stop it first (purser down, or Ctrl-C)`);
    }
    const kept = await keptIn(file);
    const there = kept.map(({ path }) => join(root, path)).filter((path) => existsSync(path));
    if (there.length > 0) {
      throw new CommandError(
        `${there.join(', ')} would be replaced: move what is there away first`,
      );
    }
    await makeFolder(root, 0o711);
    const folder = await mkdtemp(join(root, '.restore-'));
    try {
      const paths = kept.map(({ path }) => path);
      await tar([
        '--extract',
        '--gzip',
        '--no-same-owner',
        '--file',
        file,
        '--directory',
        folder,
        '--',
        ...paths,
      ]);
      for (const { path } of kept) {
        await chmod(join(folder, path), path === AUTHORITY_FOLDER ? 0o700 : 0o600);
        await rename(join(folder, path), join(root, path));
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
    say({ common, io }, { file, kept, verb: 'Back' });
    return 0;
  },
};

type Kept = typeof KEPT;

/** What an archive holds of ours. Throws CommandError when it holds anything else. */
const keptIn = async (file: string): Promise<Kept> => {
  const names = (await tar(['--list', '--gzip', '--file', file])).split('\n').filter(Boolean);
  const isOurs = (name: string) =>
    KEPT.some(({ path }) => name === path || new RegExp(`^${path}/([a-z.]+)?$`).test(name));
  const stranger = names.find((name) => !isOurs(name));
  if (stranger !== undefined || names.length === 0) {
    throw new CommandError(
      `${file} is no file of \`purser backup\`: ${stranger === undefined ? 'it is empty' : `it holds ${stranger}`}`,
    );
  }
  return KEPT.filter(({ path }) =>
    names.some((name) => name === path || name.startsWith(`${path}/`)),
  );
};

const tar = async (args: readonly string[]): Promise<string> => {
  try {
    return (await exec('tar', [...args])).stdout;
  } catch (error) {
    const said =
      typeof error === 'object' && error !== null && 'stderr' in error ? error.stderr : error;
    throw new CommandError(String(said).trim().split('\n')[0] ?? 'tar failed');
  }
};

interface Told {
  readonly file: string;
  readonly kept: Kept;
  readonly verb: string;
}

const say = (
  { common, io }: Pick<Invocation, 'common' | 'io'>,
  { file, kept, verb }: Told,
): void => {
  if (common.json) io.out(JSON.stringify({ file, kept: kept.map(({ path }) => path) }));
  else for (const { path, what } of kept) io.out(`${verb}: ${path}, ${what}`);
};
