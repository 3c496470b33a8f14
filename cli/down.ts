// `purser down`: removes everything that `up` made but the repository and the named volumes.

import { readdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { many } from '../reconciler/render/words.ts';
import type { CommandSpec } from './command.ts';
import { CommandError } from './command-error.ts';
import type { Layout, NodeLayout, UpSettings } from './up/layout.ts';
import { layoutOf, ownPaths, readSettings } from './up/layout.ts';
import { partNodes } from './up/networks.ts';
import { readPid } from './up/process.ts';

export const down: CommandSpec = {
  usage: 'down',
  summary: 'remove the cluster of this machine; keeps the repository and the named volumes',
  examples: [
    ['purser down', 'containers, networks, images and state go'],
    ['purser down --volumes', 'named volumes go too'],
  ],
  exits: '0 removed, 1 there is no cluster, 2 an error',
  define: (command) => command.option('--volumes', 'remove the named volumes too'),
  run: async ({ options, common, io }) => {
    const layout = layoutOf(common.root);
    const settings = await readSettings(layout);
    if (settings === null) {
      throw new CommandError(
        `there is no cluster in ${layout.root}; name its place with --root`,
        1,
      );
    }
    const say = common.json ? () => undefined : io.out;
    await stopUp(layout, say);
    const removed: { readonly node: string; readonly containers: number }[] = [];
    for (const node of settings.nodes) removed.push(await removeNode(node, say));
    if (settings.nodes.some(({ netns }) => netns !== null)) {
      await partNodes(
        layout.root,
        settings.nodes.map(({ name }) => name),
      );
    }
    const volumes = options['volumes'] === true ? [] : await volumesOf(settings.nodes);
    await removeFiles(layout, settings, volumes.length > 0);
    const { repository } = settings;
    if (common.json) io.out(JSON.stringify({ removed, stays: { repository, volumes } }));
    say(`The repository stays: ${repository}`);
    for (const volume of volumes) say(`A volume stays: ${volume}`);
    return 0;
  },
};

type Say = (line: string) => void;

/** `up` has this long to end its children. */
const STOP_LIMIT_MS = 20_000;
const STEP_MS = 50;

const stopUp = async (layout: Layout, say: Say): Promise<void> => {
  const pid = await readPid(layout.pidFile);
  if (pid === null) return;
  say(`Stopping Purser (process ${pid})`);
  process.kill(pid, 'SIGTERM');
  const until = performance.now() + STOP_LIMIT_MS;
  const isRunning = async () => (await readPid(layout.pidFile)) === pid;
  while ((await isRunning()) && performance.now() < until) await sleep(STEP_MS);
  if (await isRunning()) process.kill(pid, 'SIGKILL');
};

/** Containers first, then what they stood on. */
const removeNode = async (node: NodeLayout, say: Say) => {
  const { cleanNode } = await import('../node-runner/clean.ts');
  const { containers } = await cleanNode({ node: node.name, root: node.root, netns: node.netns });
  say(`Removed ${many(containers, 'container')} of ${node.name}`);
  return { node: node.name, containers };
};

const volumesOf = async (nodes: readonly NodeLayout[]): Promise<readonly string[]> => {
  const found = await Promise.all(
    nodes.map(async ({ root }) => {
      const folder = join(root, 'volumes');
      const names = await readdir(folder).catch(() => []);
      return names.map((name) => join(folder, name));
    }),
  );
  return found.flat().toSorted();
};

const removeFiles = async (
  layout: Layout,
  settings: UpSettings,
  keepVolumes: boolean,
): Promise<void> => {
  const remove = { recursive: true, force: true };
  for (const { root } of settings.nodes) {
    const names = await readdir(root).catch(() => []);
    for (const name of names) {
      if (name !== 'volumes' || !keepVolumes) await rm(join(root, name), remove);
    }
    await rmdir(join(root, 'volumes')).catch(() => undefined); // it holds some
    await rmdir(root).catch(() => undefined); // so this does
  }
  await rmdir(layout.nodesDir).catch(() => undefined);
  // Whoever names a folder with other things in it as the root keeps them.
  for (const path of ownPaths(layout)) await rm(path, remove);
  await rmdir(layout.root).catch(() => undefined); // the repository is in it
};
