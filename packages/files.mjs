// The files that are installed: the runner and the reconciler, each in one file with everything that it needs but
// Node, and the commands, in a few files so that each starts quickly. In: a folder. Out: its files, and the licences of
// what they hold.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
import { common, HERE } from './bundle.mjs';

/** Names stay: what went wrong on a machine is told by them. */
const small = {
  ...common,
  minifyWhitespace: true,
  minifySyntax: true,
  // The whole text of each licence is beside the files.
  legalComments: 'none',
  // Packages are named as in this folder, wherever they lie: the same sources give the same bytes.
  preserveSymlinks: true,
  metafile: true,
};
const alone = { ...small, define: { ...common.define, PURSER_ONE_FILE: 'true' } };

/** `purser-runner.mjs` and `purser-reconciler.mjs` in this folder. */
export const buildPrograms = (folder) => {
  mkdirSync(folder, { recursive: true });
  const one = (program) =>
    build({
      ...alone,
      entryPoints: [`cli/${program}-file.ts`],
      outfile: path.join(folder, `purser-${program}.mjs`),
    });
  return Promise.all([one('runner'), one('reconciler')]);
};

/** The programs and `dist/` in this folder; licences as one text. */
export const buildFiles = async (folder) => {
  const dist = path.join(folder, 'dist');
  rmSync(dist, { recursive: true, force: true });
  const commands = await build({
    ...small,
    outdir: dist,
    splitting: true,
    entryPoints: { main: 'cli/main.ts', 'pull-worker': 'reconciler/pull-worker.ts' },
  });
  const made = [...(await buildPrograms(folder)), commands];
  return licences(made.flatMap(({ metafile }) => Object.keys(metafile.inputs)));
};

const PACKAGE = /^node_modules\/((?:@[^/]+\/)?[^/]+)\//;

const licences = (inputs) => {
  const names = new Set(inputs.flatMap((input) => PACKAGE.exec(input)?.[1] ?? []));
  return [...names]
    .toSorted((a, b) => (a < b ? -1 : 1))
    .map((name) => {
      const home = path.join(HERE, 'node_modules', name);
      const { version, license } = JSON.parse(
        readFileSync(path.join(home, 'package.json'), 'utf8'),
      );
      const file = readdirSync(home)
        .toSorted()
        .find((one) => /^licen[cs]e/i.test(one) && existsSync(path.join(home, one)));
      const text = file === undefined ? '' : readFileSync(path.join(home, file), 'utf8').trim();
      return `== ${name} ${version}, ${license}\n\n${text}\n`;
    })
    .join('\n');
};
