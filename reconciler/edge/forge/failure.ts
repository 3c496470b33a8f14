// What GitHub's refusals mean: who must do what, or until when to wait.
// In: what octokit threw. Out: an edge failure with a sentence for a person. No header, token or
// body gets into it but GitHub's own message, cut. Not here: trying again (the loop, octokit).

import { plainLine, shortened } from '../../../schema/plain.ts';
import type { Consequence, EdgeFailure } from '../../ports.ts';
import { levelFor, missingPermissions, permissionFor, type Asked } from './permissions.ts';
import { waitReason } from './wait.ts';

export class ForgeFailure extends Error implements EdgeFailure {
  readonly kind = 'edge-failure';
  readonly consequence: Consequence;
  /** GitHub's HTTP status; null: there was no answer. */
  readonly status: number | null;
  /** What else is refused for the same reason; null: nothing is known to be. */
  readonly scope: Scope | null;
  constructor(
    consequence: Consequence,
    message: string,
    { status = null, scope = null }: Partial<Pick<ForgeFailure, 'status' | 'scope'>> = {},
  ) {
    super(message);
    this.name = 'ForgeFailure';
    this.consequence = consequence;
    this.status = status;
    this.scope = scope;
  }
}

/** Everything, all that is written, or what needs a permission: `checks:write`. */
export type Scope = 'login' | 'writes' | `${string}:${'read' | 'write'}`;

/** What failed, as far as octokit's errors say. */
export interface Refusal extends Asked {
  readonly status: number;
  /** GitHub's own words. */
  readonly message: string;
  readonly headers: Readonly<Record<string, string | number | undefined>>;
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
  if (waitUntil !== null) {
    const words = `GitHub asks to wait until ${waitUntil}: ${waitReason(status)}`;
    return new ForgeFailure('retry', words, { status });
  }
  if (status === 401) {
    return new ForgeFailure('broken', loginWords(asker, said), { status, scope: 'login' });
  }
  if (status === 403) return forbidden(refusal, asker);
  if (status === 404 || status === 410) return absent(refusal, asker);
  if (status === 422 && /no commit found/i.test(refusal.message)) {
    const words = `${asker.repository} has no such commit (any more): ${said}`;
    return new ForgeFailure('stale', words, { status });
  }
  if (status === 409) return new ForgeFailure('stale', refusedWords(refusal), { status });
  if ([400, 422, 451].includes(status)) {
    return new ForgeFailure('broken', refusedWords(refusal), { status });
  }
  return new ForgeFailure('retry', `GitHub does not answer well (${status}): ${said}`, { status });
};

const forbidden = (refusal: Refusal, asker: Asker): ForgeFailure => {
  const { status, message } = refusal;
  const { site, repository: to } = asker;
  const fail = (words: string, scope: Scope | null) =>
    new ForgeFailure('broken', words, { status, scope });
  if (/suspended/i.test(message)) return fail(suspendedWords(asker), 'login');
  if (/archived/i.test(message)) {
    const words = `${to} is archived on GitHub, and takes nothing: unarchive it at ${site}/${to}/settings`;
    return fail(words, 'writes');
  }
  // Single sign-on, an allow list of addresses: said of whoever asks, whatever is asked.
  if (/\bSAML\b|allow list/i.test(message)) return fail(refusedWords(refusal), 'login');
  if (!isUnpermitted(refusal)) return fail(refusedWords(refusal), null);
  const permission = permissionFor(refusal);
  const scope = permission === null ? null : (`${permission}:${levelFor(refusal)}` as const);
  const missing = missingPermissions(refusal, refusal.headers[NEEDS]);
  const names = missing === '' ? 'a permission' : missing;
  return fail(lackingWords(asker, `${names} in ${to} (${quoted(message)})`), scope);
};

const NEEDS = 'x-accepted-github-permissions';

/** Of one thing alone GitHub may say no as well: a conversation that is locked. */
const isUnpermitted = ({ headers, message }: Refusal): boolean =>
  typeof headers[NEEDS] === 'string' ||
  /not accessible|must (have|be|authenticate)|permission|not authorized|scope/i.test(message);

const absent = ({ status, message, path }: Refusal, asker: Asker): ForgeFailure => {
  if (/integration not found/i.test(message)) {
    const words =
      `GitHub has no App of this number (any more): its key is ${asker.secretFile}. ` +
      'Run `purser github setup` for another one';
    return new ForgeFailure('broken', words, { scope: 'login' });
  }
  const isAll = WHOLE.test(path);
  const what = isAll ? asker.repository : path;
  const words = `GitHub does not show ${what} to ${who(asker)}: is ${whereToLook(asker)}?`;
  // Whoever asks for one thing takes its 404 for an answer: that it is gone, which this is not.
  const one = isAll ? { scope: 'login' as const } : { status };
  return new ForgeFailure('broken', words, one);
};

/** What is there as long as the repository is, for all who may see it. */
const WHOLE = /\/access_tokens$|^\/repos\/[^/]+\/[^/]+(\/pulls)?$/;

const refusedWords = ({ method, path, message }: Refusal): string =>
  `GitHub refuses ${method} ${path}: ${quoted(message)}`;

export const suspendedWords = ({ site, repository }: Asker): string =>
  `Purser's GitHub App is suspended for ${repository}: end that at ` +
  `${site}/${repository}/settings/installations`;

const loginWords = ({ isApp, secretFile, site }: Asker, said: string): string =>
  isApp
    ? `GitHub does not accept the App's key in ${secretFile} (${said}): make a new private key ` +
      `in the App's settings at ${site}, and run \`purser github setup --key-file\` with it; ` +
      'if the clock of this machine is wrong, set it'
    : `GitHub does not accept the token in ${secretFile} (${said}): it has ended or was taken ` +
      'back; write a new one into that file';

/** @param what permissions by the names of GitHub's settings page, and where */
export const lackingWords = (asker: Asker, what: string): string => {
  const { site, repository } = asker;
  const advice = asker.isApp
    ? "grant it in the App's settings under «Permissions & events», then accept the request " +
      `at ${site}/${repository}/settings/installations`
    : 'grant it to the token in the settings of the account that owns it';
  return `${who(asker)} lacks ${what}: ${advice}`;
};

const who = ({ isApp, secretFile }: Asker): string =>
  isApp ? "Purser's GitHub App" : `the token in ${secretFile}`;

const whereToLook = ({ isApp, repository }: Asker): string =>
  isApp
    ? `the App installed in ${repository}`
    : `${repository} among the token's repositories, and still there`;

/** GitHub's messages are a sentence or two; a proxy's may be a page. */
const SAID_MAX = 200;

const quoted = (message: string): string => shortened(plainLine(message), SAID_MAX + 1);
