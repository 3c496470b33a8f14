// Builds dist/main.js: the whole of Purser in a few files, so that a command starts in a tenth of a second.
// With two arguments, another program and a folder: `main.js` there is bundled in the same way.
import { build } from 'esbuild';

const [program = 'cli/main.ts', outdir = 'dist'] = process.argv.slice(2);

await build({
  entryPoints: { main: program },
  outdir,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  sourcemap: 'linked',
  logLevel: 'warning',
  // Some dependencies are CommonJS: they call require, and one reads its own file name.
  banner: {
    js: [
      "import{createRequire as purserRequire}from'node:module';",
      'const require=purserRequire(import.meta.url);',
      'const __filename=import.meta.filename;const __dirname=import.meta.dirname;',
    ].join(''),
  },
});
