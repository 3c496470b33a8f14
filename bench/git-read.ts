// How long a commit takes to become a SourceTree: 10,000 job files, 10,000 commits, one file
// changed. In: nothing, or the number of folders (100). Out: numbers on standard output, with this
// program's commit. Not here: what plan makes of the tree.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { GitSource } from '../reconciler/edge/git/source.ts';
import { createGitSource } from '../reconciler/edge/git/source.ts';

const FILES = 10_000;
const COMMITS = 10_000;
const ROUNDS = 300;

const main = async (): Promise<void> => {
  const folders = Number(process.argv[2] ?? 100);
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'purser-bench-git-'));
  try {
    execFileSync('git', ['init', '--quiet', '--bare', '--initial-branch=main', root]);
    feed(root, history(folders), []);
    const log = { info: () => {}, warn: console.warn, error: console.error };
    const source = createGitSource({
      repository: root,
      branch: 'main',
      directory: '',
      cluster: 'bench',
      log,
      cacheDir: root,
    });
    await measure(source, root, folders);
    source.close();
  } finally {
    fs.rmSync(root, { recursive: true, force: true });
  }
};

const measure = async (source: GitSource, root: string, folders: number): Promise<void> => {
  const start = performance.now();
  const first = await source.read();
  const read = performance.now();
  await source.complete(first, ask(pathOf(0, folders)));
  const walked = performance.now();
  const reads: number[] = [];
  const histories: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const file = pathOf((round * 7919) % FILES, folders);
    // Left as loose objects, as a commit by hand or a small push leaves them.
    feed(root, commit(COMMITS + round, [[file, body(round, 'new')]], true), [
      '-c',
      'fastimport.unpackLimit=100',
    ]);
    const began = performance.now();
    const tree = await source.read();
    const treeRead = performance.now();
    await source.complete(tree, ask(file));
    reads.push(treeRead - began);
    histories.push(performance.now() - treeRead);
  }
  const version = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' });
  console.log(`commit ${version.trim()}, ${FILES} files in ${folders} folders, ${COMMITS} commits`);
  console.log(`first read ${ms(read - start)}, first history ${ms(walked - read)}`);
  console.log(`read after a commit:    ${spread(reads)}`);
  console.log(`history after a commit: ${spread(histories)}`);
};

const ask = (file: string) => ({ digests: [], histories: [{ path: file, with: [] }] });

const ms = (value: number): string => `${value.toFixed(2)} ms`;

const spread = (values: readonly number[]): string => {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (part: number) => ms(sorted[Math.floor(part * (sorted.length - 1))] ?? 0);
  return `best ${at(0)}, median ${at(0.5)}, p90 ${at(0.9)}, p99 ${at(0.99)}`;
};

const pathOf = (file: number, folders: number): string =>
  `jobs/ns${String(file % folders).padStart(3, '0')}/job${String(file).padStart(5, '0')}.yaml`;

const body = (file: number, version: string): string =>
  `image: registry.example/app${file}:1.${version}.0\ncount: 10\nports: { http: 8080 }\n` +
  'healthcheck: { http: /healthz, port: http }\nresources: { cpu: 250m, memory: 128MiB }\n';

/** A stream for `git fast-import`. */
const history = (folders: number): string => {
  const files = Array.from(
    { length: FILES },
    (_, file) => [pathOf(file, folders), body(file, '0')] as const,
  );
  const parts = [commit(0, [['cluster.yaml', 'name: bench\n'], ...files], false)];
  for (let at = 1; at < COMMITS; at += 1) {
    const file = (at * 7919) % FILES;
    parts.push(commit(at, [[pathOf(file, folders), body(file, String(at))]], false));
  }
  return parts.join('');
};

const commit = (
  at: number,
  files: readonly (readonly [string, string])[],
  onTop: boolean,
): string => {
  const rows = files.map(([file, text]) => `M 100644 inline ${file}\n${data(text)}`);
  const from = onTop ? 'from refs/heads/main^0\n' : '';
  const by = `committer Bench <bench@example.org> ${1_700_000_000 + at} +0000`;
  return `commit refs/heads/main\n${by}\n${data(`c${at}`)}${from}${rows.join('')}\n`;
};

const data = (text: string): string => `data ${Buffer.byteLength(text)}\n${text}\n`;

const feed = (root: string, input: string, flags: readonly string[]): void => {
  execFileSync('git', ['-C', root, ...flags, 'fast-import', '--quiet'], { input });
};

await main();
