// Brings a commit of a pull request into the mirror: by its id, which every host serves as long as
// some ref (`refs/pull/7/head`) stands at it. In: the mirror, the remote, an id. Out: the objects
// are there; no ref of ours moves, nothing is checked out, no hook runs, no submodule is followed.
// Anybody may open a pull request, so bytes and time are limited: the system's git does it in a
// process of its own; where there is none, the library does, in ours. Not here: whose it is (pulls).

import fs from 'node:fs';
import path from 'node:path';
import { formatSize } from '../../../schema/units.ts';
import { broken, GitFailure, messageOf, redact, retry } from './failure.ts';
import { createHttp, HttpTooLarge } from './http.ts';
import { gitLibrary } from './library.ts';
import { HTTP_HEADERS_MS, HTTP_IDLE_MS, PULL_FETCH_BYTES, PULL_FETCH_MS } from './limits.ts';
import type { Auth, Place } from './remote.ts';
import { MIRRORED } from './remote.ts';
import { authHeaders } from './remote-http.ts';
import { QUIET_SSH } from './remote-ssh.ts';
import type { Starter } from './starter.ts';

export interface PullFetch {
  readonly gitDir: string;
  readonly place: Exclude<Place, { kind: 'path' }>;
  /** Of an http(s) remote; asked before every fetch. */
  readonly auth: () => Promise<Auth>;
  /** In place of ssh; null: GIT_SSH_COMMAND, or ssh that asks no questions. */
  readonly sshCommand: string | null;
  readonly maxBytes?: number;
  readonly timeoutMs?: number;
  /** Starts the system's git; null: there is none. */
  readonly starter: Starter | null;
}

/** Resolves once the fetch is on its way, with its end. Throws GitFailure, and so does the end. */
export const fetchCommit = async (
  fetching: PullFetch,
  oid: string,
): Promise<{ readonly end: Promise<void> }> => {
  const { place } = fetching;
  const headers = place.kind === 'http' ? authHeaders(await fetching.auth()) : {};
  const { starter, timeoutMs = PULL_FETCH_MS } = fetching;
  const end =
    starter === null
      ? inTime(byLibrary(fetching, oid, headers), timeoutMs)
      : byCommand({ ...fetching, starter, oid, headers });
  return { end };
};

const inTime = (work: Promise<void>, limitMs: number): Promise<void> =>
  new Promise((resolve, reject) => {
    const late = retry(`the pull request was not fetched within ${limitMs / 1000} s`);
    const timer = setTimeout(() => reject(late), limitMs);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });

const FLAGS = [
  '--no-tags',
  '--no-write-fetch-head',
  '--quiet',
  '--no-auto-gc',
  '--no-recurse-submodules',
] as const;

/** One pack, whose size is limited, and nothing of the user's that would run or ask. */
const SETTINGS = {
  'fetch.unpackLimit': '1',
  'core.hooksPath': '/dev/null',
  'credential.helper': '',
  // git would send the login to wherever it is led.
  'http.followRedirects': 'false',
} as const;

/**
 * Into a folder beside the mirror's objects first, so that what is refused or cut off leaves
 * nothing behind.
 */
const byCommand = async (fetching: Fetching): Promise<void> => {
  const { gitDir } = fetching;
  const arrivals = fs.mkdtempSync(path.join(gitDir, 'pull-'));
  try {
    fs.mkdirSync(path.join(arrivals, 'pack'));
    await fetchFrom(arrivals, fetching);
    const found = fs.readdirSync(path.join(arrivals, 'pack'));
    // Packs are found by their index, which therefore comes last.
    for (const name of found.toSorted((a, b) => Number(isIndex(a)) - Number(isIndex(b)))) {
      const target = path.join(gitDir, 'objects/pack', name);
      fs.renameSync(path.join(arrivals, 'pack', name), target);
    }
  } finally {
    fs.rmSync(arrivals, { recursive: true, force: true });
  }
};

const isIndex = (name: string): boolean => name.endsWith('.idx');

/** Once more at the address that it leads to: the repository may have another name by now. */
const fetchFrom = async (arrivals: string, fetching: Fetching): Promise<void> => {
  const { place, headers } = fetching;
  try {
    await fetchInto(arrivals, fetching);
  } catch (error) {
    const isLed = place.kind === 'http' && /returned error: 30[12378]\b/.test(messageOf(error));
    const url = isLed ? await whereIs(place.url, headers) : place.url;
    if (url === place.url) throw error;
    await fetchInto(arrivals, { ...fetching, place: { ...place, url } });
  }
};

interface Fetching extends PullFetch {
  readonly starter: Starter;
  readonly oid: string;
  readonly headers: Readonly<Record<string, string>>;
}

const fetchInto = async (arrivals: string, fetching: Fetching): Promise<void> => {
  const { gitDir, place, sshCommand, headers, oid, starter } = fetching;
  const { maxBytes = PULL_FETCH_BYTES, timeoutMs = PULL_FETCH_MS } = fetching;
  const { url } = place;
  // The login goes in by environment: a command line is for everybody to read.
  const settings = [
    ...Object.entries(SETTINGS),
    ...Object.entries(headers).map(([name, value]) => ['http.extraHeader', `${name}: ${value}`]),
  ];
  const env = Object.fromEntries(
    settings.flatMap(([key = '', value = ''], at) => [
      [`GIT_CONFIG_KEY_${at}`, key],
      [`GIT_CONFIG_VALUE_${at}`, value],
    ]),
  );
  const result = await starter.run({
    args: [`--git-dir=${gitDir}`, 'fetch', ...FLAGS, '--', url, oid],
    env: {
      ...env,
      GIT_CONFIG_COUNT: String(settings.length),
      GIT_OBJECT_DIRECTORY: arrivals,
      GIT_ALTERNATE_OBJECT_DIRECTORIES: path.join(gitDir, 'objects'),
      GIT_SSH_COMMAND: sshCommand ?? process.env['GIT_SSH_COMMAND'] ?? QUIET_SSH,
    },
    timeoutMs,
    fileBytes: maxBytes,
  });
  if (result.code === 0) return;
  const words = redact(result.stderr, Object.values(headers)).split('\n').slice(-4).join(' ');
  if (TOO_LARGE.test(words)) throw tooLarge(place.url, maxBytes);
  throw explained(place.url, words);
};

const INFO = '/info/refs?service=git-upload-pack';

/** The address that a repository has now: a forge goes on answering at the one before a renaming. */
const whereIs = async (url: string, headers: Readonly<Record<string, string>>): Promise<string> => {
  const { request } = createHttp({ headersMs: HTTP_HEADERS_MS, idleMs: HTTP_IDLE_MS });
  const answer = await request({ url: url + INFO, headers: { ...headers } }).catch(() => null);
  await answer?.body?.return?.();
  return answer !== null && answer.url.endsWith(INFO) ? answer.url.slice(0, -INFO.length) : url;
};

/** What is said of an index-pack whose file must not grow: it is ended by a signal. */
const TOO_LARGE = /file too large|signal 25|invalid index-pack output/i;

const tooLarge = (name: string, maxBytes: number): GitFailure =>
  broken(
    `${redact(name)}: the pull request brings more than ${formatSize(maxBytes)}, which is not ` +
      'read. Take large files out of its commits',
  );

const explained = (name: string, words: string): GitFailure =>
  /not our ref|unadvertised object|couldn't find remote ref/i.test(words)
    ? retry(`${redact(name)} has no such commit any more: the pull request moved on`)
    : retry(`${redact(name)}: the pull request cannot be fetched: ${words.slice(0, 500)}`);

const byLibrary = async (
  { gitDir, place, maxBytes = PULL_FETCH_BYTES }: PullFetch,
  oid: string,
  headers: Record<string, string>,
): Promise<void> => {
  const { url } = place;
  const times = { headersMs: HTTP_HEADERS_MS, idleMs: HTTP_IDLE_MS, bodyBytes: maxBytes };
  const git = await gitLibrary();
  try {
    const what = { remote: MIRRORED, singleBranch: true, tags: false, ref: oid } as const;
    await git.fetch({ fs, http: createHttp(times), gitdir: gitDir, url, headers, ...what });
  } catch (error) {
    if (error instanceof HttpTooLarge) throw tooLarge(url, maxBytes);
    throw explained(url, redact(messageOf(error), Object.values(headers)));
  }
};
