// `purser down`: removes everything that `up` made but the repository and the named volumes.

import { existsSync } from 'node:fs';
import { readdir, rm, rmdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { identityFolder } from '../node-runner/edge/identity.ts';
import { many } from '../reconciler/render/words.ts';
import { VOLUME_FOLDER_PATTERN } from '../schema/ids.ts';
import type { CommandSpec, Invocation } from './command.ts';
import { CommandError } from './command-error.ts';
import type { Layout, NodeLayout, UpSettings } from './up/layout.ts';
import { layoutOf, nodeLayout, ownPaths, readSettings } from './up/layout.ts';
import { partNodes } from './up/networks.ts';
import { readPid, runnerPid } from './up/process.ts';

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
    const say = common.json ? () => undefined : io.out;
    const withVolumes = options['volumes'] === true;
    const joined = settings === null ? await joinedNodes(layout) : [];
    if (joined.length > 0) return removeJoined(layout, joined, { withVolumes, common, io });
    if (settings === null) {
      const volumes = await leftVolumes(layout, withVolumes);
      if (common.json)
        io.out(JSON.stringify({ removed: [], stays: { repository: null, volumes: [] } }));
      for (const path of volumes) say(`Removed the volume ${path}`);
      return 0;
    }
    await stopProcess(layout.pidFile, say);
    const removed: { readonly node: string; readonly containers: number }[] = [];
    for (const node of settings.nodes) removed.push(await removeNode(node, say, io.err));
    if (settings.nodes.some(({ netns }) => netns !== null)) {
      await partNodes(
        layout.root,
        settings.nodes.map(({ name }) => name),
      );
    }
    const volumes = withVolumes ? [] : await volumesOf(settings.nodes);
    if (withVolumes) await forgetHomes(settings, layout, io.err);
    await removeNodeFiles(layout, settings.nodes, volumes.length > 0);
    // Whoever names a folder with other things in it as the root keeps them.
    for (const path of ownPaths(layout)) await rm(path, { recursive: true, force: true });
    // Commits and lists name it: like the repository it is no part of what runs.
    if (withVolumes) await forgetKey(layout);
    await rmdir(layout.root).catch(() => undefined); // the repository is in it
    const { repository } = settings;
    if (common.json) io.out(JSON.stringify({ removed, stays: { repository, volumes } }));
    say(`The repository stays: ${repository}`);
    if (existsSync(layout.signingKey)) say(`Purser's signing key stays: ${layout.signingKey}`);
    if (existsSync(layout.authority)) say(`The certificate authority stays: ${layout.authority}`);
    for (const volume of volumes) say(`A volume stays: ${volume}`);
    return 0;
  },
};

type Say = (line: string) => void;

/** Nodes of this machine that joined a cluster elsewhere. */
const joinedNodes = async (layout: Layout): Promise<readonly NodeLayout[]> => {
  const names = await readdir(layout.nodesDir).catch(() => []);
  return names
    .map((name) => nodeLayout(layout, name, null))
    .filter(({ root }) => existsSync(identityFolder(root)));
};

/** What runs here ends, and the certificate goes; Git and the reconciler are told by a person. */
const removeJoined = async (
  layout: Layout,
  nodes: readonly NodeLayout[],
  {
    withVolumes,
    common,
    io,
  }: Pick<Invocation, 'common' | 'io'> & { readonly withVolumes: boolean },
): Promise<number> => {
  const say = common.json ? () => undefined : io.out;
  const removed: { readonly node: string; readonly containers: number }[] = [];
  for (const node of nodes) {
    await stopProcess(runnerPid(node.root), say);
    removed.push(await removeNode(node, say, io.err));
  }
  const volumes = withVolumes ? [] : await volumesOf(nodes);
  // What else is below the root is that of a reconciler of this machine, if there is one.
  await removeNodeFiles(layout, nodes, volumes.length > 0);
  await rmdir(layout.root).catch(() => undefined);
  if (common.json) io.out(JSON.stringify({ removed, stays: { repository: null, volumes } }));
  for (const volume of volumes) say(`A volume stays: ${volume}`);
  for (const { name } of nodes) {
    say(`The cluster still lists ${name}: on the reconciler's machine, purser node remove ${name}`);
  }
  return 0;
};

/** `up`, or a runner, has this long to end its children. */
const STOP_LIMIT_MS = 20_000;
const STEP_MS = 50;

const stopProcess = async (pidFile: string, say: Say): Promise<void> => {
  const pid = await readPid(pidFile);
  if (pid === null) return;
  say(`Stopping Purser (process ${pid})`);
  process.kill(pid, 'SIGTERM');
  const until = performance.now() + STOP_LIMIT_MS;
  const isRunning = async () => (await readPid(pidFile)) === pid;
  while ((await isRunning()) && performance.now() < until) await sleep(STEP_MS);
  if (await isRunning()) process.kill(pid, 'SIGKILL');
};

/** Containers first, then what they stood on. */
const removeNode = async (node: NodeLayout, say: Say, warn: Say) => {
  const { cleanNode } = await import('../node-runner/clean.ts');
  const ask = { node: node.name, root: node.root, netns: node.netns };
  const { containers, refused } = await cleanNode(ask);
  for (const words of refused) warn(`Not removed: ${words}`);
  say(`Removed ${many(containers, 'container')} of ${node.name}`);
  return { node: node.name, containers };
};

/** The ledger still says where the volumes lived; a cluster with fewer nodes would wait for them. */
const forgetHomes = async (settings: UpSettings, layout: Layout, warn: Say): Promise<void> => {
  const { endHomes } = await import('./up/homes.ts');
  try {
    await endHomes(settings, layout);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    warn(`The ledger still names the nodes of the volumes, as it cannot be written: ${why}`);
    warn('Where one is waited for later: purser volume rm VOLUME');
  }
};

/** With it goes what is known of ledgers that it signed; and nobody is let in any more. */
const forgetKey = async ({ signingKey, authority }: Layout): Promise<void> => {
  await rm(authority, { recursive: true, force: true });
  await rm(signingKey, { force: true });
  await rm(`${signingKey}.ledger`, { force: true });
};

/** Of a cluster that was removed without its volumes. */
const leftVolumes = async (layout: Layout, remove: boolean): Promise<readonly string[]> => {
  const names = await readdir(layout.nodesDir).catch(() => []);
  const nodes = names.map((name) => nodeLayout(layout, name, null));
  const paths = (await volumesOf(nodes)).filter((path) => FOLDER.test(basename(path)));
  const keys = [layout.signingKey, layout.authority];
  const isEmpty = paths.length === 0 && !keys.some((path) => existsSync(path));
  if (isEmpty || !remove) {
    const left = 'there is no cluster, but named volumes of one: `purser down --volumes` removes';
    throw new CommandError(
      paths.length === 0
        ? `there is no cluster in ${layout.root}; name its place with --root`
        : `in ${layout.root} ${left} ${paths.join(', ')}`,
      1,
    );
  }
  for (const path of paths) await rm(path, { recursive: true, force: true });
  for (const { root } of nodes) {
    await rmdir(join(root, 'volumes')).catch(() => undefined);
    await rmdir(root).catch(() => undefined);
  }
  await rmdir(layout.nodesDir).catch(() => undefined);
  await forgetKey(layout);
  await rmdir(layout.root).catch(() => undefined); // the repository is in it
  return paths;
};

const FOLDER = new RegExp(VOLUME_FOLDER_PATTERN);

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

const removeNodeFiles = async (
  layout: Layout,
  nodes: readonly NodeLayout[],
  keepVolumes: boolean,
): Promise<void> => {
  const remove = { recursive: true, force: true };
  for (const { root } of nodes) {
    const names = await readdir(root).catch(() => []);
    for (const name of names) {
      if (name !== 'volumes' || !keepVolumes) await rm(join(root, name), remove);
    }
    await rmdir(join(root, 'volumes')).catch(() => undefined); // it holds some
    await rmdir(root).catch(() => undefined); // so this does
  }
  await rmdir(layout.nodesDir).catch(() => undefined);
};
