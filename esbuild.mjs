// Builds dist/main.js: the whole of Purser in a few files, so that a command starts in a tenth of a second.
// With two arguments, another program and a folder: `main.js` there is bundled in the same way.
import { build } from 'esbuild';
import { common } from './packages/bundle.mjs';

const [program = 'cli/main.ts', outdir = 'dist'] = process.argv.slice(2);

const split = { ...common, outdir, splitting: true, sourcemap: 'linked' };

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

await build({ ...split, entryPoints: { main: program }, plugins: [apart] });
await build({
  ...split,
  // Pull requests are planned in a thread of their own, which is a file of its own.
  entryPoints: { reconciler: 'reconciler/main.ts', 'pull-worker': 'reconciler/pull-worker.ts' },
});
