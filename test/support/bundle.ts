// A program of this repository as one file: a process that translates every module by itself would
// take a second to begin. In: the program, where the file goes, plugins of the build. Out: the file.
// Not here: the files that are released (esbuild.mjs).

import path from 'node:path';
import { build, type Plugin } from 'esbuild';

const ROOT = path.resolve(import.meta.dirname, '../..');

/** `program`: relative to the root of the repository. */
export const bundle = async (
  program: string,
  outfile: string,
  plugins: readonly Plugin[] = [],
): Promise<string> => {
  await build({
    entryPoints: [path.join(ROOT, program)],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    logLevel: 'warning',
    plugins: [...plugins],
    // Some dependencies are CommonJS and call require.
    banner: {
      js: "import{createRequire as r}from'node:module';const require=r(import.meta.url);",
    },
  });
  return outfile;
};
