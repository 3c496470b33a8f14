// A process that makes a machine commit and kills itself right before the Nth change that it makes
// to the disk. In: a repository, a file, its next text, N, as arguments. Out: exit 0 where it came
// to its end, SIGKILL where not. Not here: what must be true after that (git-killed.test).

import fs from 'node:fs';
import { createGitSource } from '../../reconciler/edge/git/source.ts';

const [repository = '', cacheDir = '', file = '', text = '', at = ''] = process.argv.slice(2);

let left = Number(at);
type Call = (...args: unknown[]) => unknown;
const countIn = (place: object, names: readonly string[]): void => {
  const calls = place as Record<string, Call>;
  for (const name of names) {
    const real = calls[name];
    if (real === undefined) throw new Error(`no ${name}`);
    calls[name] = (...args) => {
      left -= 1;
      if (left === 0) process.kill(process.pid, 'SIGKILL');
      return real.apply(place, args);
    };
  }
};

const source = createGitSource({
  repository,
  branch: 'main',
  directory: '',
  cluster: 'ship',
  log: { info: () => {}, warn: () => {}, error: () => {} },
  cacheDir,
});
const { head, files } = await source.read();
const both = ['writeFile', 'rename', 'rm', 'link', 'copyFile', 'appendFile', 'mkdir', 'unlink'];
countIn(
  fs,
  both.map((name) => `${name}Sync`),
);
countIn(fs.promises, both);
await source.commit({
  head: head.oid,
  edits: [{ path: file, content: text, base: files.get(file)?.blob ?? null }],
  message: 'Revert web',
  author: { name: 'Purser', email: 'purser@localhost' },
});
source.close();
