// What a machine that joined is told when it is started again: a file beside its certificate.
// In: the node's folder, or the root that it lies in. Out: its name, its cluster, where the reconciler
// is. Not here: the certificate.

import { readFile, readdir } from 'node:fs/promises';
import writeFileAtomic from 'write-file-atomic';
import { compareText } from '../schema/ids.ts';
import { identityFolder } from '../node-runner/edge/identity.ts';

export interface Joined {
  readonly node: string;
  readonly cluster: string;
  /** `tls:host:port` of the reconciler that it joined by. */
  readonly link: string;
}

const fileOf = (root: string): string => `${identityFolder(root)}/joined.json`;

export const writeJoined = (root: string, joined: Joined): void =>
  writeFileAtomic.sync(fileOf(root), `${JSON.stringify(joined, null, 2)}\n`);

/** What `purser node join` wrote; null: this node did not join here. */
export const readJoined = async (root: string): Promise<Joined | null> => {
  const written = await readFile(fileOf(root), 'utf8').catch(() => null);
  return written === null ? null : (JSON.parse(written) as Joined);
};

/** Names of the nodes below this root that have joined. */
export const joinedBelow = async (root: string): Promise<readonly string[]> => {
  const names = await readdir(`${root}/nodes`).catch(() => []);
  const found = await Promise.all(names.map((name) => readJoined(`${root}/nodes/${name}`)));
  return found.flatMap((joined) => (joined === null ? [] : [joined.node])).toSorted(compareText);
};
