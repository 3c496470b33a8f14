// Who may sign: signers/allowed_signers as ssh-keygen(1) describes it, and OpenPGP keys beside it.
// In: the files of a commit. Out: Signers, and what of them cannot be used, with its line. A key's
// bytes are compared as they are written; certificates of authorities are not built, and refused.
// Not here: signatures (edge/git), what follows from them (acceptance.ts).

import type { Problem } from './problems.ts';
import { problemCodes } from './problem-codes.ts';
import type { Files } from './source.ts';

export const SIGNERS_FOLDER = 'signers';
export const ALLOWED_SIGNERS = 'signers/allowed_signers';

/** A principal of this name is Purser itself: it signs its own commits and the ledger. */
export const PURSER_ROLE = 'purser';
/** A principal of this name is a host that makes merges when a person presses a button. */
export const WEB_FLOW_ROLE = 'web-flow';

/** Lines of allowed_signers that are read: more are no list that anybody looks through. */
const SIGNER_LINES = 2000;
/** OpenPGP keys that are read: each is tried in turn. */
const OPENPGP_KEYS = 200;
/** A person's key with its certifications; a photo in it is not needed here. */
const KEY_CHARACTERS = 256 * 1024;

/** A line of allowed_signers. */
export interface SshSigner {
  /** As written, several separated by commas. */
  readonly principals: string;
  /** Base64 of the public key, as it stands behind its type. */
  readonly key: string;
  /** Seconds since 1970; null: no limit. */
  readonly validAfter: number | null;
  readonly validBefore: number | null;
}

/** `signers/<principal>.asc`. */
export interface OpenPgpSigner {
  readonly principals: string;
  readonly armored: string;
}

export interface Signers {
  readonly ssh: readonly SshSigner[];
  readonly openpgp: readonly OpenPgpSigner[];
}

export interface ReadSigners extends Signers {
  readonly problems: readonly Problem[];
}

export const signersIn = (files: Files): ReadSigners => {
  const list = files.get(ALLOWED_SIGNERS);
  const ssh =
    list?.kind === 'text' ? parseAllowedSigners(list.text) : { signers: [], problems: [] };
  const refused = list?.kind === 'refused' ? [unusable(0, 'The file cannot be read.')] : [];
  const openpgp: OpenPgpSigner[] = [];
  const problems: Problem[] = [];
  for (const path of openPgpPaths(files)) {
    const file = files.get(path);
    const why = keyTrouble(file?.kind === 'text' ? file.text : null, openpgp.length);
    if (why !== null) problems.push({ ...unusable(0, why), file: path });
    else if (file?.kind === 'text') {
      openpgp.push({ principals: path.slice(PREFIX.length, -SUFFIX.length), armored: file.text });
    }
  }
  return { ssh: ssh.signers, openpgp, problems: [...refused, ...ssh.problems, ...problems] };
};

const PREFIX = `${SIGNERS_FOLDER}/`;
const SUFFIX = '.asc';

const openPgpPaths = (files: Files): readonly string[] =>
  [...files.keys()].filter(
    (path) => path.startsWith(PREFIX) && path.endsWith(SUFFIX) && path.split('/').length === 2,
  );

const keyTrouble = (text: string | null, before: number): string | null => {
  if (text === null) return 'The file cannot be read.';
  if (before >= OPENPGP_KEYS) return `More than ${OPENPGP_KEYS} OpenPGP keys are not read.`;
  if (text.length > KEY_CHARACTERS) {
    return 'The key is larger than 256 KiB: export it with `gpg --export-options export-minimal`.';
  }
  if (text.includes('PRIVATE KEY BLOCK')) return 'This is a private key: anybody can read it here.';
  return text.includes('-----BEGIN PGP PUBLIC KEY BLOCK-----')
    ? null
    : 'The file holds no armored public key: write it with `gpg --armor --export`.';
};

export const parseAllowedSigners = (
  text: string,
): { readonly signers: readonly SshSigner[]; readonly problems: readonly Problem[] } => {
  const signers: SshSigner[] = [];
  const problems: Problem[] = [];
  const lines = text.split('\n');
  for (const [at, written] of lines.slice(0, SIGNER_LINES).entries()) {
    const line = written.trim();
    if (line === '' || line.startsWith('#')) continue;
    const parsed = parseLine(line);
    if (typeof parsed === 'string') problems.push(unusable(at, parsed));
    else if (parsed !== null) signers.push(parsed);
  }
  if (lines.length > SIGNER_LINES) {
    problems.push(unusable(SIGNER_LINES, `Lines after the ${SIGNER_LINES}th are not read.`));
  }
  return { signers, problems };
};

const unusable = (at: number, message: string): Problem => ({
  file: ALLOWED_SIGNERS,
  line: at + 1,
  column: 1,
  code: 'signer-unusable',
  severity: problemCodes['signer-unusable'].severity,
  message,
  advice: problemCodes['signer-unusable'].advice,
});

/** A signer; words where it cannot be one; null where it is one for other purposes. */
const parseLine = (line: string): SshSigner | string | null => {
  const [principals, rest] = cutWord(line);
  const words = rest === null ? [] : wordsOf(rest);
  if (words === null) return 'A quote is not closed.';
  const first = words[0] ?? '';
  const hasOptions = !KEY_TYPES.test(first);
  const options = hasOptions ? optionsOf(first) : NO_OPTIONS;
  if (typeof options === 'string') return options;
  const [type, key] = hasOptions ? words.slice(1) : words;
  if (type === undefined || key === undefined) return 'A line is `PRINCIPALS [OPTIONS] TYPE KEY`.';
  if (!KEY_TYPES.test(type)) return `Keys of type \`${type}\` are not checked here.`;
  if (!isBase64(key)) return 'The key is not base64, as ssh-keygen writes it.';
  if (options.namespaces !== null && !matchesAny(options.namespaces, 'git')) return null;
  const { validAfter, validBefore } = options;
  return { principals: principals.replaceAll('"', ''), key, validAfter, validBefore };
};

const KEY_TYPES =
  /^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com)$/;

const isBase64 = (text: string): boolean =>
  /^[A-Za-z0-9+/]{40,}={0,2}$/.test(text) && text.length <= KEY_CHARACTERS;

const cutWord = (line: string): readonly [string, string | null] => {
  const quoted = /^"[^"]*"(?=\s|$)/.exec(line)?.[0];
  const word = quoted ?? /^\S+/.exec(line)?.[0] ?? '';
  const rest = line.slice(word.length).trim();
  return [word, rest === '' ? null : rest];
};

/** Split at spaces outside of quotes; null: a quote stays open. */
const wordsOf = (text: string): readonly string[] | null =>
  text.replace(/[^"]/g, '').length % 2 === 1 ? null : (text.match(/(?:[^\s"]|"[^"]*")+/g) ?? []);

interface Options {
  readonly namespaces: string | null;
  readonly validAfter: number | null;
  readonly validBefore: number | null;
}

const NO_OPTIONS: Options = { namespaces: null, validAfter: null, validBefore: null };

const optionsOf = (written: string): Options | string => {
  let options = NO_OPTIONS;
  for (const [option] of written.matchAll(/(?:[^,"]|"[^"]*")+/g)) {
    const split = option.indexOf('=');
    const name = (split < 0 ? option : option.slice(0, split)).toLowerCase();
    const value = split < 0 ? '' : option.slice(split + 1).replace(/^"(.*)"$/, '$1');
    switch (name) {
      case 'namespaces':
        options = { ...options, namespaces: value };
        break;
      case 'valid-after':
      case 'valid-before': {
        const at = secondsOf(value);
        if (at === null) return `\`${value}\` is no time: write YYYYMMDD or YYYYMMDDHHMM, in UTC.`;
        options =
          name === 'valid-after' ? { ...options, validAfter: at } : { ...options, validBefore: at };
        break;
      }
      case 'cert-authority':
        return 'Certificates are not checked here: list the key of each signer instead.';
      default:
        return `\`${name}\` is neither an option nor a type of key.`;
    }
  }
  return options;
};

/** `YYYYMMDD[HHMM[SS]][Z]` in UTC, as seconds since 1970; null: not of this form. */
const secondsOf = (text: string): number | null => {
  const match = /^(\d{4})(\d{2})(\d{2})(?:(\d{2})(\d{2})(\d{2})?)?Z?$/.exec(text);
  if (match === null) return null;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match
    .slice(1)
    .map((part) => Number(part ?? 0));
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 59) {
    return null;
  }
  return daysBefore(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60 + second;
};

const DAY_SECONDS = 24 * 3600;

/** Days from 1970-01-01 in the Gregorian calendar, counting years from March. */
const daysBefore = (year: number, month: number, day: number): number => {
  const y = month <= 2 ? year - 1 : year;
  const m = (month + 9) % 12;
  const leaps = Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400);
  return y * 365 + leaps + Math.floor((m * 153 + 2) / 5) + day - 1 - DAYS_TO_1970;
};

const DAYS_TO_1970 = 719_468;

/** ssh's lists of patterns: `*` and `?`; one with `!` in front that matches says no to all. */
export const matchesAny = (patterns: string, name: string): boolean => {
  let matched = false;
  for (const one of patterns.split(',')) {
    const negated = one.startsWith('!');
    if (!matchesPattern(negated ? one.slice(1) : one, name)) continue;
    if (negated) return false;
    matched = true;
  }
  return matched;
};

/** No regular expression is made of it: what a person writes could make one that never ends. */
const matchesPattern = (pattern: string, name: string): boolean => {
  let [at, place, star, from] = [0, 0, -1, 0];
  while (place < name.length) {
    if (pattern[at] === '*') {
      star = at;
      at += 1;
      from = place;
    } else if (pattern[at] === '?' || pattern[at] === name[place]) {
      at += 1;
      place += 1;
    } else if (star < 0) return false;
    else {
      at = star + 1;
      from += 1;
      place = from;
    }
  }
  return /^\**$/.test(pattern.slice(at));
};

/** The role is named as it is: a pattern such as `*` gives it to nobody. */
export const hasRole = (principals: string, role: string): boolean =>
  principals.split(',').includes(role);
