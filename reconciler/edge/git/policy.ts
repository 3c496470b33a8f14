// What a commit's own files say about signatures: cluster.yaml and signers/ of one commit.
// In: a commit's tree. Out: its policy. Where cluster.yaml cannot be read the policy before it goes
// on, so that a broken file switches nothing off. Remembered by the ids of what it was read from.
// Not here: judging by it (acceptance).

import type { SignaturePolicy, Verify } from '../../../schema/acceptance.ts';
import { parseDocument } from '../../../schema/parse.ts';
import {
  ALLOWED_SIGNERS,
  SIGNERS_FOLDER,
  signersIn,
  type Signers,
} from '../../../schema/signers.ts';
import type { SourceFile } from '../../../schema/source.ts';
import type { Folders } from './folders.ts';
import type { TreeEntry } from './format.ts';
import { FOLDER, within } from './format.ts';
import { REMEMBERED_VERDICTS, SIGNER_FILES } from './limits.ts';
import { entryAt } from './entry.ts';
import { createMemory } from './remember.ts';

export const NO_POLICY: SignaturePolicy = { verify: 'none', signers: { ssh: [], openpgp: [] } };

export interface Policies {
  /** `before`: what counted until this commit; null: nothing is known of it. */
  readonly at: (tree: string, before: SignaturePolicy | null) => Promise<ReadPolicy>;
}

export interface ReadPolicy {
  readonly policy: SignaturePolicy;
  /** False: there is no cluster.yaml that could be read, so `verify` is that of before. */
  readonly isOwn: boolean;
}

const CLUSTER = 'cluster.yaml';

export const createPolicies = (folders: Folders, directory: string): Policies => {
  const asked = createMemory<Verify | null>(REMEMBERED_VERDICTS);
  const lists = createMemory<Signers>(REMEMBERED_VERDICTS);

  /** null: it cannot be read. */
  const verifyIn = async (entry: TreeEntry | null): Promise<Verify | null> => {
    if (entry === null) return null;
    const known = asked.get(entry.oid);
    if (known !== undefined) return known;
    const read = parseDocument('cluster', CLUSTER, await folders.file(entry)).value;
    const verify = read === null ? null : (read.signatures?.verify ?? 'none');
    asked.set(entry.oid, verify);
    return verify;
  };

  const signersOf = async (entry: TreeEntry | null): Promise<Signers> => {
    if (entry?.mode !== FOLDER) return NO_POLICY.signers;
    const known = lists.get(entry.oid);
    if (known !== undefined) return known;
    const entries = (await folders.tree(entry.oid)).filter(isList).slice(0, SIGNER_FILES);
    const files = new Map<string, SourceFile>();
    for (const one of entries) files.set(`${SIGNERS_FOLDER}/${one.name}`, await folders.file(one));
    const { ssh, openpgp } = signersIn(files);
    lists.set(entry.oid, { ssh, openpgp });
    return { ssh, openpgp };
  };

  return {
    at: async (tree, before) => {
      const cluster = await entryAt(folders, tree, within(directory, CLUSTER));
      // Nothing is parsed, and no other file read, where nobody ever spoke of signatures.
      if (before?.verify === 'none' && !(await speaksOfSignatures(folders, cluster))) {
        return { policy: NO_POLICY, isOwn: true };
      }
      const own = await verifyIn(cluster);
      const verify = own ?? before?.verify ?? 'none';
      if (verify === 'none') return { policy: NO_POLICY, isOwn: own !== null };
      const list = await entryAt(folders, tree, within(directory, SIGNERS_FOLDER));
      return { policy: { verify, signers: await signersOf(list) }, isOwn: own !== null };
    },
  };
};

const isList = ({ name, mode }: TreeEntry): boolean =>
  mode !== FOLDER && (`${SIGNERS_FOLDER}/${name}` === ALLOWED_SIGNERS || name.endsWith('.asc'));

const speaksOfSignatures = async (folders: Folders, entry: TreeEntry | null): Promise<boolean> => {
  if (entry === null || entry.mode === FOLDER) return false;
  const file = await folders.file(entry);
  return file.kind === 'text' && /signatures|\\/.test(file.text);
};
