// The release before this one, as it was installed: its runner and its reconciler, one file each.
// In: test/releases, checked by the checksums there. Out: paths in a folder of its own. Not here: how
// they were kept (packages/keep.mjs).

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';
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

export interface Release {
  readonly version: string;
  readonly runner: string;
  readonly reconciler: string;
  readonly remove: () => void;
}

const KEPT = resolve(import.meta.dirname, '../releases');

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
  return {
    version: table.version,
    runner: join(folder, 'purser-runner.mjs'),
    reconciler: join(folder, 'purser-reconciler.mjs'),
    remove: () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }),
  };
};
