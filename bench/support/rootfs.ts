// The files of a running container as a folder, for the peer that makes no snapshots.
// In: a cluster and a container. Out: a folder. Not here: the image itself (images.ts).

import { execFileSync } from 'node:child_process';
import path from 'node:path';

export const filesOf = async (
  { root, socket }: { readonly root: string; readonly socket: string },
  container: string,
): Promise<string> => {
  const state = path.join(path.dirname(socket), 'state/io.containerd.runtime.v2.task/purser');
  const folder = path.join(root, 'rootfs');
  execFileSync('cp', ['-a', path.join(state, container, 'rootfs'), folder]);
  return folder;
};
