// Who this node is to a reconciler on another machine: a private key that never leaves it, and the
// certificate of the cluster's authority for it.
// In: a folder. Out: key and certificate, and when they are to be renewed. Not here: joining
// (cli/node-join.ts), dialling (tls.ts).

import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import writeFileAtomic from 'write-file-atomic';

/** PEM, all three. */
export interface Identity {
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
}

const AUTHORITY_FILE = 'authority.crt';
/** Key and certificate in one file, so that no crash leaves one without the other. */
const NODE_FILE = 'node.pem';
const JOINING_FILE = 'joining.key';

/** Where a node that joined keeps its key and certificate. */
export const identityFolder = (root: string): string => path.join(root, 'identity');

export const hasIdentity = (folder: string): boolean => fs.existsSync(path.join(folder, NODE_FILE));

/** Throws Error with what to do. */
export const readIdentity = (folder: string): Identity => {
  try {
    const node = fs.readFileSync(path.join(folder, NODE_FILE), 'utf8');
    const authority = fs.readFileSync(path.join(folder, AUTHORITY_FILE), 'utf8');
    const at = node.indexOf('-----BEGIN CERTIFICATE-----');
    if (at < 0) throw new Error(`${NODE_FILE} holds no certificate`);
    return { authority, key: node.slice(0, at), certificate: node.slice(at) };
  } catch (error) {
    throw new Error(
      `this node has no certificate in ${folder} (${String(error)}): let it join with \`purser node join\``,
      { cause: error },
    );
  }
};

/** Written whole, or not at all. */
export const writeIdentity = (folder: string, identity: Identity): void => {
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const at = (name: string) => path.join(folder, name);
  writeFileAtomic.sync(at(AUTHORITY_FILE), identity.authority, { mode: 0o644 });
  const { key, certificate } = identity;
  writeFileAtomic.sync(at(NODE_FILE), `${key.trim()}\n${certificate.trim()}\n`, { mode: 0o600 });
  fs.rmSync(at(JOINING_FILE), { force: true });
};

/** PEM. */
const newKey = (): string => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
};

/**
 * The key that a machine joins with, PEM: the same one until it has its certificate, since the
 * answer may be lost, and the token is good for one key.
 */
export const joiningKey = (folder: string): string => {
  const file = path.join(folder, JOINING_FILE);
  if (!fs.existsSync(file)) {
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileAtomic.sync(file, newKey(), { mode: 0o600 });
  }
  return fs.readFileSync(file, 'utf8');
};

/** The request for a certificate of this key (PKCS #10), or of a new one; PEM, both. */
export const makeRequest = async (
  node: string,
  key = newKey(),
): Promise<{ readonly key: string; readonly request: string }> => {
  // Large, and needed once in many days.
  const { signRequest } = await import('./request.ts');
  return { key, request: await signRequest(createPrivateKey(key), node) };
};

/**
 * From half of its life on a certificate is renewed, at most a tenth later: nodes that joined
 * together do not ask together. `chance` is from 0 to 1.
 */
export const isDue = (certificate: string, nowMs: number, chance: number): boolean => {
  const { validFrom, validTo } = new X509Certificate(certificate);
  const from = Date.parse(validFrom);
  const life = Date.parse(validTo) - from;
  return nowMs - from >= life * (DUE_AT + chance * DUE_SPREAD);
};

const DUE_AT = 0.5;
const DUE_SPREAD = 0.1;
