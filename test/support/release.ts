// The release before this one and this one, as they are installed: runner and reconciler, one file
// each. In: test/releases, checked by the checksums there; the sources. Out: paths in a folder of its
// own. Not here: how the one before was kept (packages/keep.mjs).

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';
import pack from '../../package.json' with { type: 'json' };
import { sha256 } from '../../schema/hash.ts';

interface Table {
  readonly version: string;
  readonly file: string;
  readonly files: readonly {
    readonly name: string;
    readonly bytes: number;
    readonly sha256: string;
  }[];
}

/** Programs of one release, each in one file. */
export interface Release {
  readonly version: string;
  readonly runner: string;
  readonly reconciler: string;
  /** Holds them, and what else there is of the release. */
  readonly folder: string;
  readonly remove: () => void;
}

const HERE = resolve(import.meta.dirname, '../..');
const KEPT = join(HERE, 'test/releases');

/** Throws where a file is not what its checksum says. */
export const previousRelease = (): Release => {
  const table = JSON.parse(readFileSync(join(KEPT, 'previous.json'), 'utf8')) as Table;
  const whole = brotliDecompressSync(readFileSync(join(KEPT, table.file)));
  const folder = mkdtempSync(join(tmpdir(), 'ptrel-'));
  let at = 0;
  for (const { name, bytes, sha256: wanted } of table.files) {
    const part = whole.subarray(at, at + bytes);
    at += bytes;
    const found = sha256(part.toString('utf8'));
    if (found !== wanted) throw new Error(`${name} of ${table.version} has the hash ${found}`);
    writeFileSync(join(folder, name), part);
  }
  return releaseIn(folder, table.version);
};

/** This very version, with its Debian packages, as `npm run package` makes them. */
export const thisRelease = (...words: readonly string[]): Release => {
  const folder = mkdtempSync(join(tmpdir(), 'ptrel-'));
  const args = [join(HERE, 'packages/main.mjs'), '--out', folder, '--compress', 'none', ...words];
  execFileSync(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  return releaseIn(folder, pack.version);
};

const releaseIn = (folder: string, version: string): Release => ({
  version,
  folder,
  runner: join(folder, 'purser-runner.mjs'),
  reconciler: join(folder, 'purser-reconciler.mjs'),
  remove: () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }),
});
