// Does a text look as if it held a secret? What is told to a forge is read by many.
// In: a value or a line of a log. Out: a guess that would rather hide too much. Not here: fields
// that are hidden by their place (reconciler/desired/field-changes).

import type { GroupSpec } from './spec.ts';

/**
 * A line of a log as Git and a forge may be told it: neither ever forgets. `secrets`: texts that are
 * known to be some.
 */
export const maskedLine = (line: string, secrets: readonly string[] = []): string =>
  looksSecret(line) || secrets.some((secret) => line.includes(secret))
    ? '*** (this line may hold a secret; purser logs shows it)'
    : line;

/** A text that is told to others, each of these in it as `***`. */
export const hideSecrets = (text: string, secrets: readonly string[]): string =>
  secrets
    .toSorted((a, b) => b.length - a.length)
    .reduce((shown, secret) => shown.replaceAll(secret, '***'), text);

/** What a version's programs get as variables and is secret by its name, or looks so. */
export const secretsOf = ({
  groups,
}: {
  readonly groups: readonly Pick<GroupSpec, 'tasks'>[];
}): readonly string[] =>
  groups.flatMap(({ tasks }) =>
    tasks.flatMap(({ environment }) =>
      environment.flatMap(([name, value]) => {
        const isOne = isSecretName(name) || looksSecret(value);
        // A text of several lines is printed line by line.
        const lines = isOne ? value.split(/\r?\n/) : [];
        return lines.filter((line) => line.length >= SECRET_CHARACTERS);
      }),
    ),
  );

/** Shorter ones stand in every other line. */
const SECRET_CHARACTERS = 5;

/** `API_TOKEN`, `db-password`. */
export const isSecretName = (name: string): boolean => SECRET_NAME.test(name);

const SECRET_NAME =
  /pass(word|wd|phrase)?s?$|secret|token|credential|api[-_]?key|private[-_]?key|auth|dsn$/i;

/** A longer text is no value that a person reads: it is not looked through, and counts as one. */
const LOOKED_AT = 8192;

/** Whoever shows it shows `***` instead. */
export const looksSecret = (text: string): boolean =>
  text.length > LOOKED_AT ||
  SECRET_TEXTS.some((pattern) => pattern.test(text)) ||
  text.split(/[^A-Za-z0-9+/_=-]+/).some(isRandom);

/** Bounded, so that no text of strangers takes long. A key, a token, a login in a URL, `--password=x`; or long, with letters and digits mixed. */
const SECRET_TEXTS: readonly RegExp[] = [
  /-----BEGIN [A-Z ]*PRIVATE KEY/,
  /\beyJ[\w-]{8,200}\.[\w-]{8,}/,
  /\b(gh[pousr]_|github_pat_|glpat-|xox[abprs]-|AKIA|ASIA|sk-|sk_live_)[\w-]{8,}/,
  /[a-z][a-z0-9+.-]{0,20}:\/\/[^\s/@":]{1,100}:[^\s/@"]{1,200}@/i,
  /(pass(word|wd|phrase)?|secret|token|credential|api[-_]?key|auth\w{0,20})["']?(\s*[=:,]\s*|\s+)["']?\S/i,
];

/** Names are shorter, words have no digits, digests have small letters only. */
const RANDOM_CHARACTERS = 24;

const isRandom = (word: string): boolean =>
  word.length >= RANDOM_CHARACTERS && /[a-z]/.test(word) && /[A-Z]/.test(word) && /\d/.test(word);
