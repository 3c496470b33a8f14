// How Purser is bundled, whatever comes of it: the build of a clone (esbuild.mjs) and the files that are installed
// (files.mjs). In: a folder of sources. Out: options of esbuild.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

export const HERE = path.join(import.meta.dirname, '..');

const sources = ['schema', 'reconciler', 'node-runner', 'cli']
  .flatMap((folder) =>
    readdirSync(path.join(HERE, folder), { recursive: true }).map((name) => `${folder}/${name}`),
  )
  .filter((name) => name.endsWith('.ts'));
const hash = createHash('sha256');
for (const name of [...sources, 'package-lock.json'].toSorted((a, b) => (a < b ? -1 : 1))) {
  hash.update(`${name}\n`).update(readFileSync(path.join(HERE, name)));
}

export const common = {
  absWorkingDir: HERE,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  // Optional, of another licence, and loaded only where OpenPGP keys are listed: it stays outside.
  external: ['openpgp'],
  logLevel: 'warning',
  // Names this very build: what a reconciler keeps on disk counts for the code that wrote it.
  define: { PURSER_BUILD: JSON.stringify(hash.digest('hex')) },
  // Some dependencies are CommonJS: they call require, and one reads its own file name.
  banner: {
    js: [
      "import{createRequire as purserRequire}from'node:module';",
      'const require=purserRequire(import.meta.url);',
      'const __filename=import.meta.filename;const __dirname=import.meta.dirname;',
    ].join(''),
  },
};
