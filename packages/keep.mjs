// `npm run package:keep`: keeps the runner and the reconciler of this very version below test/releases, so that the
// next one is tested against them. Run once, before the version in package.json is raised; those of the release before
// go. In: the sources. Out: one file, compressed, and previous.json with the checksums.
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';
import { HERE } from './bundle.mjs';
import { buildPrograms } from './files.mjs';

const folder = path.join(HERE, 'test/releases');
const { version } = JSON.parse(readFileSync(path.join(HERE, 'package.json'), 'utf8'));
const built = mkdtempSync(path.join(tmpdir(), 'purser-keep-'));
await buildPrograms(built);
const parts = ['purser-reconciler.mjs', 'purser-runner.mjs'].map((name) => {
  const bytes = readFileSync(path.join(built, name));
  return { name, bytes, sha256: createHash('sha256').update(bytes).digest('hex') };
});
rmSync(built, { recursive: true });

for (const name of readdirSync(folder)) {
  if (name.endsWith('.br')) rmSync(path.join(folder, name));
}
// One after the other, with a window that holds both: half of the runner is in the reconciler too.
const packed = brotliCompressSync(Buffer.concat(parts.map(({ bytes }) => bytes)), {
  params: { [constants.BROTLI_PARAM_LGWIN]: 24, [constants.BROTLI_PARAM_QUALITY]: 11 },
});
const file = `${version}.br`;
writeFileSync(path.join(folder, file), packed);
const files = parts.map(({ name, bytes, sha256 }) => ({ name, bytes: bytes.length, sha256 }));
const table = JSON.stringify({ version, file, files }, null, 2);
writeFileSync(path.join(folder, 'previous.json'), `${table}\n`);
process.stdout.write(`${folder}/${file}: ${packed.length} bytes\n${table}\n`);
