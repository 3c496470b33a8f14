// The simulator as one file: processes that each translate every module would cost twenty seeds.
// In: where the file goes, plugins of the build. Out: the file. Not here: what it runs.

import { join } from 'node:path';

import { build, type Plugin } from 'esbuild';

export const bundleSim = async (
  outfile: string,
  plugins: readonly Plugin[] = [],
): Promise<string> => {
  await build({
    entryPoints: [join(import.meta.dirname, 'main.ts')],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    logLevel: 'warning',
    plugins: [...plugins],
    // Some dependencies are CommonJS and call require.
    banner: {
      js: "import{createRequire}from'node:module';const require=createRequire(import.meta.url);",
    },
  });
  return outfile;
};
