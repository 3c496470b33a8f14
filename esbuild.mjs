// Builds dist/main.js: the whole of Purser in a few files, so that a command starts in a tenth of a second.
// With two arguments, another program and a folder: `main.js` there is bundled in the same way.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';

const [program = 'cli/main.ts', outdir = 'dist'] = process.argv.slice(2);

const here = import.meta.dirname;
const sources = ['schema', 'reconciler', 'node-runner', 'cli']
  .flatMap((folder) =>
    readdirSync(path.join(here, folder), { recursive: true }).map((name) => `${folder}/${name}`),
  )
  .filter((name) => name.endsWith('.ts'));
const hash = createHash('sha256');
for (const name of [...sources, 'package-lock.json'].toSorted((a, b) => (a < b ? -1 : 1))) {
  hash.update(`${name}\n`).update(readFileSync(path.join(here, name)));
}

const common = {
  outdir,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  sourcemap: 'linked',
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

/**
 * The reconciler is bundled apart from the commands: of a bundle that they share it would be some
 * sixty small files, and finding and reading them takes a tenth of its start.
 */
const apart = {
  name: 'reconciler-apart',
  setup: ({ onResolve }) =>
    onResolve({ filter: /\/reconciler\/main\.ts$/ }, () => ({
      path: './reconciler.js',
      external: true,
    })),
};

await build({ ...common, entryPoints: { main: program }, plugins: [apart] });
await build({
  ...common,
  // Pull requests are planned in a thread of their own, which is a file of its own.
  entryPoints: { reconciler: 'reconciler/main.ts', 'pull-worker': 'reconciler/pull-worker.ts' },
});
