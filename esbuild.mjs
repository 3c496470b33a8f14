// Builds dist/main.js: the whole of Purser in a few files, so that a command starts in a tenth of a second.
import { build } from 'esbuild';

await build({
  entryPoints: { main: 'cli/main.ts', watchdog: 'node-runner/watchdog.ts' },
  outdir: 'dist',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  sourcemap: 'linked',
  logLevel: 'warning',
  // Some dependencies are CommonJS and call require at run time.
  banner: {
    js: "import{createRequire as purserRequire}from'node:module';const require=purserRequire(import.meta.url);",
  },
});
