// Ends the homes of volumes whose data `purser down --volumes` has removed (rules 14): else their
// slots would wait for a node that a smaller cluster does not have.
// In: what `up` was asked; no reconciler runs. Out: records in the ledger, and how many. Not here:
// the data (down.ts).

import { existsSync } from 'node:fs';
import { indexLedger } from '../../reconciler/desired/ledger-index.ts';
import { openSigningKey } from '../../reconciler/edge/git/signing-key.ts';
import { createGitSource } from '../../reconciler/edge/git/source.ts';
import { readToken } from '../../reconciler/edge/token-file.ts';
import type { LedgerRecord } from '../../schema/ledger.ts';
import type { Layout, UpSettings } from './layout.ts';

/** Throws where the repository cannot be read or written. */
export const endHomes = async (
  settings: UpSettings,
  { cache: cacheDir, signingKey }: Pick<Layout, 'cache' | 'signingKey'>,
): Promise<number> => {
  const { repository, branch, directory, cluster, nodes, tokenFile = null } = settings;
  const source = createGitSource({
    repository,
    branch,
    directory,
    cluster,
    log: silent,
    cacheDir,
    signingKey: existsSync(signingKey) ? openSigningKey(signingKey, false) : null,
    ...(tokenFile === null ? {} : { auth: () => readToken(tokenFile) }),
  });
  try {
    const { ledger } = await source.read();
    const here = new Set(nodes.map(({ name }) => name));
    const records = indexLedger(ledger, null)
      .volumes.filter(({ node }) => here.has(node))
      .map((home): LedgerRecord => ({ kind: 'volume', ...home, node: null }));
    await source.record(records);
    return records.length;
  } finally {
    source.close();
  }
};

const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };
