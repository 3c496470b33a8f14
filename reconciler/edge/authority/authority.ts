// The cluster's own certificate authority: made on the first start that listens beyond this
// machine, kept in one folder that its owner alone may read.
// In: a folder. Out: what a server needs, certificates for nodes. The key is worth the cluster:
// whoever has it may pass for any node. Not here: who may have a certificate (membership.ts), how
// one is made (x509.ts).

import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { nodeId, reconcilerId } from '../../../schema/identity.ts';
import type { KeyPair, Signed } from './x509.ts';
import { makeAuthority, makePeer, makeServer, signNode } from './x509.ts';

export interface Authority {
  /** PEM: what nodes and commands trust. */
  readonly certificate: string;
  /** SHA-256 of it, 64 hex digits; it stands in every token. */
  readonly fingerprint: string;
  /** A new key with a certificate for a server of this cluster. */
  readonly server: () => Promise<KeyPair>;
  /** The same, to call another reconciler with. */
  readonly peer: () => Promise<KeyPair>;
  /** Signs a node's request; `issuedMs` is when it counts as issued. */
  readonly sign: (request: string, node: string, issuedMs: number) => Promise<Signed>;
}

export interface AuthorityOptions {
  readonly folder: string;
  readonly cluster: string;
  readonly epochMs: () => number;
}

const DAY_MS = 24 * 3600 * 1000;
/** As long as Kubernetes' own authority (kubeadm): exchanging it is work for people. */
const AUTHORITY_MS = 3650 * DAY_MS;
/** A server's key is made anew at every start, and once a day (SERVER_RENEWED_MS). */
const SERVER_MS = 7 * DAY_MS;
export const SERVER_RENEWED_MS = DAY_MS;
/** As Swarm's nodes: 90 days, so that one may be off for weeks and come back by itself. */
export const NODE_MS = 90 * DAY_MS;
/** A node's certificate counts from so long before it was issued (see `issuedAtMs`). */
export const CLOCK_SLACK_MS = 5 * 60 * 1000;
/**
 * A machine whose clock is behind takes a new certificate for one of the future: those of servers
 * count from a day before they were made, so that a clock in a wrong zone keeps nobody out.
 */
const BACKDATED_MS = DAY_MS;
/** Bits of a mode that let others in. */
const OTHERS = 0o077;

/** Opens the authority; makes it where the folder holds none. Throws Error with what to do. */
export const openAuthority = async (options: AuthorityOptions): Promise<Authority> => {
  const { cluster, epochMs } = options;
  const own = await open(options);
  const servers = () => ({ fromMs: epochMs() - BACKDATED_MS, toMs: epochMs() + SERVER_MS });
  return {
    certificate: own.certificate,
    fingerprint: fingerprintOf(own.certificate),
    server: () => makeServer(own, reconcilerId(cluster), servers()),
    peer: () => makePeer(own, reconcilerId(cluster), servers()),
    sign: (request, node, issuedMs) =>
      signNode(own, request, {
        fromMs: issuedMs - CLOCK_SLACK_MS,
        toMs: issuedMs + NODE_MS,
        id: nodeId(cluster, node),
      }),
  };
};

/** When a certificate of ours counts as issued: as `sign` was told, to the second. */
export const issuedAtMs = (certificate: { readonly fromMs: number }): number =>
  certificate.fromMs + CLOCK_SLACK_MS;

const fingerprintOf = (pem: string): string =>
  createHash('sha256').update(new X509Certificate(pem).raw).digest('hex');

const open = async ({ folder, cluster, epochMs }: AuthorityOptions): Promise<KeyPair> => {
  const files = {
    certificate: path.join(folder, 'authority.crt'),
    key: path.join(folder, 'authority.key'),
  };
  if (!fs.existsSync(files.certificate)) {
    if (fs.existsSync(files.key)) throw new Error(half(files.key, files.certificate));
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
    const now = epochMs();
    const made = await makeAuthority(cluster, {
      fromMs: now - BACKDATED_MS,
      toMs: now + AUTHORITY_MS,
    });
    // The certificate last: a key without it is the mark of a start that was cut off.
    writeFileAtomic.sync(files.key, made.key, { mode: 0o600 });
    writeFileAtomic.sync(files.certificate, made.certificate, { mode: 0o644 });
    return made;
  }
  return check(files, {
    certificate: fs.readFileSync(files.certificate, 'utf8'),
    key: readKey(files.key),
  });
};

const half = (there: string, missing: string): string =>
  `${there} is there and ${missing} is not: a first start was cut off, or a file was lost. ` +
  `Bring both back from a backup; where no node has joined yet, remove ${there}`;

const readKey = (file: string): string => {
  try {
    if ((fs.statSync(file).mode & OTHERS) !== 0) {
      throw new Error(`the authority's key ${file} can be read by others: chmod 600 ${file}`);
    }
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error) {
      throw new Error(
        `the authority's key ${file} cannot be read (${error.message}): bring it back from a ` +
          'backup; without it no machine can join, and none is let in again when its certificate ends',
        { cause: error },
      );
    }
    throw error;
  }
};

/** Two files that belong together, or an error that says so. */
const check = (
  files: { readonly certificate: string; readonly key: string },
  pair: KeyPair,
): KeyPair => {
  try {
    if (new X509Certificate(pair.certificate).checkPrivateKey(createPrivateKey(pair.key)))
      return pair;
  } catch (error) {
    throw new Error(
      `${files.certificate} or ${files.key} is no PEM file of an authority (${String(error)}): ` +
        'bring both back from a backup',
      { cause: error },
    );
  }
  throw new Error(
    `${files.key} is not the key of ${files.certificate}: bring both back from one backup`,
  );
};
