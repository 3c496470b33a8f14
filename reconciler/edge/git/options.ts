// What a Git source is told: which repository, branch and directory make the cluster (rules 1.1),
// and how to get in. In: nothing. Out: types, and the refs and remotes that follow. Not here:
// reading command lines (cli, main).

import path from 'node:path';
import { sha256 } from '../../../schema/hash.ts';
import type { LogPort } from '../../ports.ts';
import type { Base, FollowedRefs, LedgerPlace } from './base.ts';
import { createLocalBase } from './base-local.ts';
import { createMirrorBase } from './base-mirror.ts';
import { broken } from './failure.ts';
import type { KnownTexts } from './folders.ts';
import { normalDirectory } from './format.ts';
import type { LedgerMark } from './ledger-mark.ts';
import { HTTP_HEADERS_MS, HTTP_IDLE_MS, LOOK_AGAIN_MS, POLL_MS } from './limits.ts';
import type { Auth, Place } from './remote.ts';
import { placeOf } from './remote.ts';
import { createHttpRemote } from './remote-http.ts';
import { createSshRemote } from './remote-ssh.ts';
import type { SigningKey } from './sshsig.ts';
import { hasGit } from './store.ts';

export interface GitSourceOptions {
  /** A path, an http(s) URL, or an ssh address (`ssh://…`, `git@host:path`). */
  readonly repository: string;
  readonly branch: string;
  /** The cluster's directory; '' for the root. */
  readonly directory: string;
  /** The name in cluster.yaml. */
  readonly cluster: string;
  readonly log: LogPort;
  /** Folder for mirrors of remotes; may be emptied at any time. Two programs must not share one. */
  readonly cacheDir: string;
  /**
   * Where the ledger stands, whatever cluster.yaml says. Default: what `ledger` in cluster.yaml says.
   */
  readonly ledger?: LedgerPlace;
  /** A login for http(s), or who to ask for a fresh one. Default: what the URL holds, or none. */
  readonly auth?: Auth | (() => Promise<Auth>);
  /** In place of ssh, as GIT_SSH_COMMAND. */
  readonly sshCommand?: string;
  /**
   * Nothing is written: previews and the command line. The ledger is read, and not proved to be
   * writable.
   */
  readonly readOnly?: boolean;
  /** Signs every commit that is made, the ledger's too. Default: none, and they stay unsigned. */
  readonly signingKey?: SigningKey | null;
  /** Whether this ledger was ever seen signed. Default: nothing is remembered. */
  readonly ledgerMark?: LedgerMark;
  /** A commit that is accepted whoever signed it; null: the first one is judged by itself. */
  readonly trusted?: string | null;
  /** False: commits are read as they are asked for, and judged by whoever asked. Default: true. */
  readonly judges?: boolean;
  /** Texts that an earlier start has read. Default: none. */
  readonly known?: KnownTexts;
  readonly pollMs?: number;
  readonly lookAgainMs?: number;
  readonly headersMs?: number;
  readonly idleMs?: number;
  /** Wall clock, for commits' dates. Default: the system's. */
  readonly epochMs?: () => number;
}

export const refNames = (
  options: Pick<GitSourceOptions, 'branch' | 'cluster' | 'ledger'>,
): FollowedRefs => {
  let place = options.ledger ?? 'ref';
  const at = (one: LedgerPlace) =>
    `${one === 'branch' ? 'refs/heads/purser' : 'refs/purser'}/${options.cluster}/ledger`;
  return {
    branch: `refs/heads/${options.branch}`,
    notes: `refs/notes/purser/${options.cluster}`,
    get ledger() {
      return at(place);
    },
    place: () => place,
    at,
    move: (to) => {
      place = to;
    },
  };
};

/**
 * Opens nothing yet: failures belong to the first read. Throws GitFailure for options that cannot
 * work.
 */
export const createBase = (options: GitSourceOptions): Base => {
  checkName(options.branch, 'branch');
  checkName(options.cluster, 'cluster');
  const directory = normalDirectory(options.directory);
  const refs = refNames(options);
  const { log, known = () => undefined } = options;
  const place = placeOf(options.repository);
  if (place.kind === 'path') {
    const lookAgainMs = options.lookAgainMs ?? LOOK_AGAIN_MS;
    return createLocalBase({ path: place.path, directory, known, refs, lookAgainMs, log });
  }
  const gitDir = mirrorFolder(options, place);
  const remote = createRemote(options, place, gitDir);
  const pollMs = options.pollMs ?? POLL_MS;
  return createMirrorBase({ gitDir, remote, directory, known, refs, pollMs, log });
};

/** Where the mirror of a remote lies. */
export const mirrorFolder = (
  options: Pick<GitSourceOptions, 'cacheDir' | 'branch' | 'cluster'>,
  { url }: Exclude<Place, { kind: 'path' }>,
): string => {
  const refs = refNames(options);
  const id = sha256(`${url} ${refs.branch} ${refs.at('ref')}`).slice(0, 16);
  return path.join(options.cacheDir, `${id}.git`);
};

const createRemote = (
  options: GitSourceOptions,
  place: Exclude<Place, { kind: 'path' }>,
  gitDir: string,
) => {
  const { url } = place;
  if (place.kind === 'ssh') {
    if (!hasGit()) throw broken('an ssh repository needs git and ssh on this machine: install git');
    return createSshRemote({ url, gitDir, sshCommand: options.sshCommand ?? null });
  }
  const given = options.auth ?? place.auth;
  const auth = typeof given === 'function' ? given : () => Promise.resolve(given);
  const headersMs = options.headersMs ?? HTTP_HEADERS_MS;
  const idleMs = options.idleMs ?? HTTP_IDLE_MS;
  return createHttpRemote({ url, auth, gitDir, times: { headersMs, idleMs } });
};

/** What git allows in a ref, less what nobody uses. */
const checkName = (name: string, what: string): void => {
  const fine = /^[\w][\w./+@-]*$/.test(name) && !/\.\.|\/\/|\.lock(\/|$)|\/\.|[./]$|@\{/.test(name);
  if (!fine) throw broken(`${JSON.stringify(name)} cannot be the name of a ${what}`);
};
