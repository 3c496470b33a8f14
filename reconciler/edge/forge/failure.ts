// What GitHub's refusals mean: who must do what, or until when to wait.
// In: what octokit threw. Out: an edge failure with a sentence for a person. No header, token or
// body gets into it but GitHub's own message, cut. Not here: trying again (the loop, octokit).

import { plainLine, shortened } from '../../../schema/plain.ts';
import type { Consequence, EdgeFailure } from '../../ports.ts';
import { waitReason } from './wait.ts';

export class ForgeFailure extends Error implements EdgeFailure {
  readonly kind = 'edge-failure';
  readonly consequence: Consequence;
  /** GitHub's HTTP status; null: there was no answer. */
  readonly status: number | null;
  constructor(consequence: Consequence, message: string, status: number | null = null) {
    super(message);
    this.name = 'ForgeFailure';
    this.consequence = consequence;
    this.status = status;
  }
}

/** What failed, as far as octokit's errors say. */
export interface Refusal {
  readonly status: number;
  /** GitHub's own words. */
  readonly message: string;
  readonly headers: Readonly<Record<string, string | number | undefined>>;
  /** `POST`. */
  readonly method: string;
  /** `/repos/o/r/check-runs`. */
  readonly path: string;
}

/** Who asked, for messages. */
export interface Asker {
  /** `https://github.com`. */
  readonly site: string;
  /** `owner/repo`. */
  readonly repository: string;
  /** File with the App's key, or with the token. */
  readonly secretFile: string;
  readonly isApp: boolean;
}

/** @param waitUntil what the waiting gate made of the headers; null: GitHub asks for no wait */
export const failureOf = (
  refusal: Refusal,
  asker: Asker,
  waitUntil: string | null,
): ForgeFailure => {
  const { status } = refusal;
  const said = quoted(refusal.message);
  const to = asker.repository;
  if (waitUntil !== null) {
    const words = `GitHub asks to wait until ${waitUntil}: ${waitReason(status)}`;
    return new ForgeFailure('retry', words, status);
  }
  if (status === 401) return new ForgeFailure('broken', loginWords(asker, said), status);
  if (status === 403 && /suspended/i.test(refusal.message)) {
    const words = `Purser's GitHub App is suspended for ${to}: end that at ${asker.site}/${to}/settings/installations`;
    return new ForgeFailure('broken', words, status);
  }
  if (status === 403) return new ForgeFailure('broken', missingWords(refusal, asker), status);
  if (status === 404 || status === 410) {
    const words = `GitHub does not show ${refusal.path} to ${who(asker)}: is ${whereToLook(asker)}?`;
    return new ForgeFailure('broken', words, status);
  }
  if (status === 422 && /no commit found/i.test(refusal.message)) {
    return new ForgeFailure('stale', `${to} has no such commit (any more): ${said}`, status);
  }
  if (status === 409 || status === 422) {
    const words = `GitHub refuses ${refusal.method} ${refusal.path}: ${said}`;
    return new ForgeFailure(status === 409 ? 'stale' : 'broken', words, status);
  }
  if (status === 451 || status === 400) {
    const words = `GitHub refuses ${refusal.method} ${refusal.path}: ${said}`;
    return new ForgeFailure('broken', words, status);
  }
  return new ForgeFailure('retry', `GitHub does not answer well (${status}): ${said}`, status);
};

const loginWords = ({ isApp, secretFile, site }: Asker, said: string): string =>
  isApp
    ? `GitHub does not accept the App's key in ${secretFile} (${said}): make a new private key ` +
      `in the App's settings at ${site}, and run \`purser github setup --key-file\` with it; ` +
      'if the clock of this machine is wrong, set it'
    : `GitHub does not accept the token in ${secretFile} (${said}): it has ended or was taken ` +
      'back; write a new one into that file';

/** The permission by the names of GitHub's settings page, and where to grant it. */
const missingWords = (refusal: Refusal, asker: Asker): string => {
  const missing = missingPermissions(refusal);
  const { site, repository } = asker;
  const names = missing.length === 0 ? 'a permission' : missing.join(' and ');
  const said = quoted(refusal.message);
  const advice = asker.isApp
    ? "grant it in the App's settings under «Permissions & events», then accept the request " +
      `at ${site}/${repository}/settings/installations`
    : 'grant it to the token in the settings of the account that owns it';
  return `${who(asker)} lacks ${names} in ${repository} (${said}): ${advice}`;
};

/** `Checks: Read and write`; what GitHub's header says, else what the path tells. */
export const missingPermissions = ({ headers, method, path }: Refusal): readonly string[] => {
  const header = headers['x-accepted-github-permissions'];
  const told = typeof header === 'string' ? header.split(/[;,]/) : [];
  const pairs = told.map((part) => part.trim().split('='));
  const known = pairs.flatMap(([name, level]) =>
    name === undefined || name === '' ? [] : [neededWords(name, level ?? 'read')],
  );
  if (known.length > 0) return known;
  const found = BY_PATH.find(([pattern]) => pattern.test(path));
  return found === undefined ? [] : [neededWords(found[1], method === 'GET' ? 'read' : 'write')];
};

const neededWords = (name: string, level: string): string =>
  permissionWords(name, name in PERMISSION_NAMES && !ONLY_READ.has(name) ? 'write' : level);

const BY_PATH: readonly (readonly [RegExp, string])[] = [
  [/\/check-(runs|suites)/, 'checks'],
  [/\/status(es)?(\/|$)/, 'statuses'],
  [/\/deployments/, 'deployments'],
  [/\/issues\//, 'pull_requests'],
  [/\/pulls/, 'pull_requests'],
  [/^\/orgs\/[^/]+\/teams/, 'members'],
  [/\/git\//, 'contents'],
  [/^\/graphql/, 'pull_requests'],
];

export const PERMISSION_NAMES: Readonly<Record<string, string>> = {
  checks: 'Checks',
  statuses: 'Commit statuses',
  deployments: 'Deployments',
  pull_requests: 'Pull requests',
  issues: 'Issues',
  contents: 'Contents',
  metadata: 'Metadata',
  members: 'Members',
  merge_queues: 'Merge queues',
};

/** Of these Purser reads; of others it is told what a write needs too, so that one asks once. */
const ONLY_READ: ReadonlySet<string> = new Set(['members', 'merge_queues', 'metadata']);

export const permissionWords = (name: string, level: string): string =>
  `«${PERMISSION_NAMES[name] ?? name}: ${level === 'write' ? 'Read and write' : 'Read-only'}»`;

const who = ({ isApp, secretFile }: Asker): string =>
  isApp ? "Purser's GitHub App" : `the token in ${secretFile}`;

const whereToLook = ({ isApp, repository }: Asker): string =>
  isApp ? `the App installed in ${repository}` : `${repository} among the token's repositories`;

/** GitHub's messages are a sentence or two; a proxy's may be a page. */
const SAID_MAX = 200;

const quoted = (message: string): string => shortened(plainLine(message), SAID_MAX + 1);
