// Builds dist/main.js: the whole of Purser in a few files, so that a command starts in a tenth of a second.
import { build } from 'esbuild';

await build({
  entryPoints: { main: 'cli/main.ts' },
  outdir: 'dist',
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
