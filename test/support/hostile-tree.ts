// Commits that no careful person makes: links, submodules, odd names, thousands of files, without a
// work tree that would refuse them. In: entries of a tree over a branch. Out: a commit on a branch of
// its own. Not here: what is done with it.

import { execFileSync } from 'node:child_process';
import { git } from './git-repo.ts';

export interface TreeItem {
  readonly path: string;
  readonly data: string | Buffer;
  /** A link: `data` is where it leads. A submodule: `data` is its commit. */
  readonly kind?: 'link' | 'submodule';
}

export interface HostileCommit {
  readonly branch: string;
  readonly items: readonly TreeItem[];
  readonly message?: string;
  readonly author?: string;
}

/** On top of `main`, by git's own importer. */
export const commitTree = (folder: string, commit: HostileCommit): string => {
  const { branch, items, message = branch, author = 'Ada' } = commit;
  const parts: Buffer[] = [];
  const say = (...texts: readonly (string | Buffer)[]) =>
    void parts.push(...texts.map((text) => Buffer.from(text)));
  const who = `${author} <ada@example.org> 1700000000 +0000`;
  say(`commit refs/heads/${branch}\nauthor ${who}\ncommitter ${who}\n`);
  say(`data ${Buffer.byteLength(message)}\n`, message, '\nfrom refs/heads/main^0\n');
  for (const { path, data, kind } of items) {
    if (kind === 'submodule') {
      say(`M 160000 ${String(data)} ${quoted(path)}\n`);
      continue;
    }
    say(`M ${kind === 'link' ? '120000' : '100644'} inline ${quoted(path)}\n`);
    say(`data ${Buffer.byteLength(data)}\n`, data, '\n');
  }
  execFileSync('git', ['-C', folder, 'fast-import', '--quiet', '--force'], {
    input: Buffer.concat(parts),
    maxBuffer: 1024 * 1024,
  });
  return git(folder, 'rev-parse', branch);
};

/** As C writes it: any byte may stand in it. */
const quoted = (path: string): string =>
  `"${[...Buffer.from(path)].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('')}"`;
