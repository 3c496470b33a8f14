// Nodes that have joined a cluster, many at once: an authority, the list of its members, and the
// identity of each node on disk, as joining leaves them.
// In: a reconciler's root folder, names. Out: folders of identities. Not here: joining itself, a call
// and a commit a node (test/contract/doors.test.ts).

import fs from 'node:fs';
import path from 'node:path';
import { AUTHORITY_FOLDER } from '../../cli/up/layout.ts';
import { makeRequest, writeIdentity } from '../../node-runner/edge/identity.ts';
import { openAuthority } from '../../reconciler/edge/authority/authority.ts';

export interface ManyNodes {
  /** The reconciler's `--root`. */
  readonly root: string;
  readonly cluster: string;
  readonly names: readonly string[];
}

/** Where the identity of a node lies. */
export const identityOf = (root: string, name: string): string => path.join(root, 'joined', name);

export const admitNodes = async ({ root, cluster, names }: ManyNodes): Promise<void> => {
  const folder = path.join(root, AUTHORITY_FOLDER);
  const authority = await openAuthority({ folder, cluster, epochMs: Date.now });
  for (const name of names) {
    const { key, request } = await makeRequest(name);
    const signed = await authority.sign(request, name, Date.now());
    if (signed.kind === 'refused') throw new Error(signed.why);
    const { certificate } = signed;
    writeIdentity(identityOf(root, name), { authority: authority.certificate, certificate, key });
  }
  const members = { tokens: [], joined: names, expelled: {} };
  fs.writeFileSync(path.join(folder, 'members.json'), JSON.stringify(members), { mode: 0o600 });
};
