// Removes everything that a runner made on a node, when the runner is not running: containers,
// networks, containerd, cgroups, mounts. In: its root. Out: how much. Not here: files below the
// root (the caller's, who keeps volumes).

import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CONTAINERD_NAMESPACE, cgroupParent, cniFolder, networkIdentity } from './main.ts';
import { runCommand } from './edge/command.ts';
import { startContainerd } from './edge/containerd/daemon.ts';
import { createContainerdRuntime } from './edge/containerd/runtime.ts';
import { networkCleanUp } from './edge/network/network.ts';
import { detectCgroups, killCgroup, procsFolder, removeEmptyCgroup } from './edge/usage.ts';

export interface CleanAsk {
  readonly node: string;
  readonly root: string;
  /** The node's own network namespace, which the caller removes; null: the machine's. */
  readonly netns: string | null;
}

interface Cleaned {
  readonly containers: number;
  /** What others would have to remove and did not, in words. */
  readonly refused: readonly string[];
}

export const cleanNode = async (ask: CleanAsk): Promise<Cleaned> => {
  const folder = join(ask.root, 'containerd');
  const daemon = await startContainerd({ folder, binary: 'containerd' });
  const runtime = createContainerdRuntime({
    socket: daemon.socket,
    namespace: CONTAINERD_NAMESPACE,
    runcRoot: join(ask.root, 'runc'),
    execFolder: join(ask.root, 'exec'),
    registry: { loginsPath: null, insecure: [] },
  });
  const containers = await runtime.list();
  await Promise.all(containers.map(({ id }) => runtime.remove(id)));
  runtime.close();
  await daemon.stop();
  const nodeNetns = ask.netns === null ? null : `/run/netns/${ask.netns}`;
  const network = { node: networkIdentity(ask), nodeNetns, stateDir: cniFolder(ask.root) };
  const refused = await networkCleanUp(network);
  await removeGroups(cgroupParent(ask));
  await unmountBelow(ask.root);
  return { containers: containers.length, refused };
};

/** What was killed between runc and containerd left a group that no container names any more. */
const removeGroups = async (parent: string): Promise<void> => {
  const tree = await detectCgroups();
  await killCgroup(tree, parent);
  for (let attempt = 0; attempt < REMOVALS; attempt += 1) {
    await removeEmptyCgroup(tree, parent);
    const isGone = await access(procsFolder(tree, parent)).then(
      () => false,
      () => true,
    );
    if (isGone) return;
    await sleep(REMOVAL_PAUSE_MS);
  }
};

/** A killed process leaves its group within milliseconds; two seconds bear a busy machine. */
const REMOVALS = 40;
const REMOVAL_PAUSE_MS = 50;

/** Mounts that a killed shim left: deepest first. */
const unmountBelow = async (root: string): Promise<void> => {
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8'))
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((path) => path.startsWith(`${root}/`))
    .toSorted((a, b) => b.length - a.length);
  for (const path of mounts) await runCommand({ program: 'umount', args: ['--lazy', path] });
};
