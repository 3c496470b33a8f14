// `purser init [DIR]`: a new repository with one job, committed, ready for `purser up DIR`.
// In: a folder. Out: files and a first commit. Writes over nothing: if one of its files is there,
// it says so and stops.

import { readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { shellWord } from '../schema/paths.ts';
import type { CommandSpec } from './command.ts';
import { text } from './command.ts';
import { CommandError } from './command-error.ts';
import { isThere, makeFolder } from './make-folder.ts';
import { git, identify } from './up/repository.ts';

export const init: CommandSpec = {
  usage: 'init [folder]',
  summary: 'make a new repository for a cluster, with one job in it',
  examples: [
    ['purser init shop', 'a folder `shop` with cluster.yaml and a first job'],
    ['purser init', 'in the folder you are in'],
  ],
  define: (command) =>
    command.option('--name <cluster>', "the cluster's name (default: the folder's)"),
  run: async ({ args, options, common, io }) => {
    const folder = resolve(args[0] ?? '.');
    const cluster = text(options['name']) ?? nameFrom(basename(folder));
    if (!/^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/.test(cluster)) {
      throw new CommandError(
        `\`${cluster}\` cannot be a cluster's name: at most 40 characters from a to z, 0 to 9 and -`,
      );
    }
    const files = filesOf(cluster, await schemas());
    await refuseOverwriting(folder, [...files.keys()]);
    for (const [path, content] of files) {
      await makeFolder(dirname(join(folder, path)));
      await writeFile(join(folder, path), content);
    }
    const commit = await commitAll(folder, [...files.keys()]);
    const written = [...files.keys()].filter((path) => !path.startsWith(SCHEMA_FOLDER));
    if (common.json) io.out(JSON.stringify({ folder, cluster, commit, files: [...files.keys()] }));
    else {
      for (const path of written) io.out(`  ${path}`);
      io.out(
        `\nA new cluster \`${cluster}\` in ${folder}, committed as ${commit.slice(0, 12)}. Next:`,
      );
      io.out(`  purser validate ${shellWord(folder)}`);
      io.out(`  purser up ${shellWord(folder)}`);
    }
    return 0;
  },
};

/** `My Shop` → `my-shop`. */
const nameFrom = (folder: string): string =>
  folder
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '') || 'cluster';

/** Schemas for editors lie in the repository itself, so that everybody who clones it has them. */
const SCHEMA_FOLDER = '.purser/schema/';

const KINDS = ['cluster', 'namespace', 'job', 'node', 'scale'] as const;

const schemas = async (): Promise<ReadonlyMap<string, string>> => {
  const folder = fileURLToPath(new URL('../schema/json', import.meta.url));
  const found = await Promise.all(
    KINDS.map(async (kind): Promise<readonly [string, string]> => [
      `${SCHEMA_FOLDER}${kind}.schema.json`,
      await readFile(join(folder, `${kind}.schema.json`), 'utf8'),
    ]),
  );
  return new Map(found);
};

const modeline = (up: string, kind: (typeof KINDS)[number]): string =>
  `# yaml-language-server: $schema=${up}${SCHEMA_FOLDER}${kind}.schema.json\n`;

const filesOf = (
  cluster: string,
  schemaFiles: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> =>
  new Map([
    ['cluster.yaml', clusterYaml(cluster)],
    ['namespaces/default.yaml', NAMESPACE_YAML],
    ['jobs/default/hello.yaml', JOB_YAML],
    ['README.md', readme(cluster)],
    ...schemaFiles,
  ]);

const clusterYaml = (cluster: string): string => `${modeline('', 'cluster')}name: ${cluster}
guards:
  own_approval: true            # your own \`purser approve\` counts; set to false for a team
policies:
  registries: [docker.io]       # images come from these registries only
`;

const NAMESPACE_YAML = `${modeline('../', 'namespace')}namespace: default
`;

const JOB_YAML = `${modeline('../../', 'job')}# The path is the job's identity: namespace \`default\`, job \`hello\`.
image: docker.io/library/nginx:1.27-alpine
count: 2
ports: { http: 80 }             # the container's port; the host's is dynamic
healthcheck: { http: /, port: http }
resources: { cpu: 100m, memory: 64MiB }
`;

const readme = (cluster: string): string => `# ${cluster}

The ledger of a cluster that Purser keeps: what stands on this branch is what runs.

- \`cluster.yaml\` names the cluster and says what jobs may use.
- \`namespaces/\`, \`jobs/<namespace>/<job>.yaml\`: what should run. \`purser up\` adds \`nodes/\`.

Check your edits with \`purser validate\`, see what they would do with \`purser plan .\`, and commit them.
The way back is \`git revert\`.
`;

const refuseOverwriting = async (folder: string, paths: readonly string[]): Promise<void> => {
  const there: string[] = [];
  for (const path of paths) {
    if (await isThere(join(folder, path))) there.push(path);
  }
  if (there.length === 0) return;
  throw new CommandError(
    `${folder} has ${there.join(', ')} already, and nothing is written over: name another folder`,
  );
};

const commitAll = async (folder: string, paths: readonly string[]): Promise<string> => {
  const inside = await git(folder, 'rev-parse', '--git-dir').catch(() => null);
  if (inside === null) await git(folder, 'init', '--quiet', '--initial-branch=main');
  await identify(folder);
  await git(folder, 'add', '--', ...paths);
  await git(folder, 'commit', '--quiet', '--message', 'Begin the ledger', '--', ...paths);
  return git(folder, 'rev-parse', 'HEAD');
};
