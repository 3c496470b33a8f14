// Who may change which file: rules in the syntax of CODEOWNERS (rules 6.6, 8.2).
// In: the text of `owners` in cluster.yaml. Out: rules with what is wrong on which line; the owners
// of a path. Patterns are those of gitignore, relative to the cluster's directory, but for what
// CODEOWNERS leaves out: no `!`, no `[ ]`, and `docs/*` means the files right in `docs`. The last
// line that matches wins. Not here: who may speak for an owner (schema/behind.ts).

import library from 'ignore';

export interface OwnerRule {
  readonly pattern: string;
  /** As written: `@login`, `@org/team`, an e-mail address. None: anybody may change it. */
  readonly owners: readonly string[];
}

export interface OwnersFault {
  /** From 0, within the text. */
  readonly line: number;
  readonly message: string;
  readonly advice: string;
}

export interface Owners {
  readonly rules: readonly OwnerRule[];
  readonly faults: readonly OwnersFault[];
}

/** Characters and lines of `owners`: each change of a file is held against each line. */
export const OWNERS_LENGTH_LIMIT = 32_768;
const RULES_LIMIT = 500;

const OWNER =
  /^(@[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\/[A-Za-z0-9._-]+)?|[^\s@<>]+@[^\s@<>]+\.[^\s@<>]+)$/;

export const parseOwners = (text: string): Owners => {
  const rules: OwnerRule[] = [];
  const faults: OwnersFault[] = [];
  for (const [line, written] of text.split('\n').entries()) {
    const words = wordsOf(written);
    const [pattern, ...owners] = words;
    if (pattern === undefined) continue;
    const wrong = patternFault(pattern) ?? owners.map(ownerFault).find((one) => one !== null);
    if (wrong) faults.push({ line, ...wrong });
    else if (rules.length >= RULES_LIMIT) {
      faults.push({ line, ...TOO_MANY });
      break;
    } else rules.push({ pattern, owners });
  }
  return { rules, faults };
};

/** `#` begins a comment at the start of a word; `\ ` is a space within a pattern. */
const wordsOf = (line: string): readonly string[] => {
  const words = line.match(/(?:\\.|[^\s\\]|\\$)+/g) ?? [];
  const comment = words.findIndex((word) => word.startsWith('#'));
  return comment < 0 ? words : words.slice(0, comment);
};

type Fault = Omit<OwnersFault, 'line'>;

const TOO_MANY: Fault = {
  message: `\`owners\` has more than ${RULES_LIMIT} rules.`,
  advice: 'Write patterns that match more files each.',
};

const patternFault = (pattern: string): Fault | null => {
  if (pattern.startsWith('!')) {
    return {
      message: `\`${pattern}\` negates: CODEOWNERS knows no \`!\`.`,
      advice: 'Write a later line for these files: the last one that matches wins.',
    };
  }
  if (/[[\]]/.test(pattern)) {
    return {
      message: `\`${pattern}\` has a range of characters: CODEOWNERS knows no \`[ ]\`.`,
      advice: 'Write one line for each name, or use `*` and `?`.',
    };
  }
  if (pattern.startsWith('@') || OWNER.test(pattern)) {
    return {
      message: `The line begins with ${pattern}, which is an owner and no pattern.`,
      advice: 'Write the pattern first, then its owners: `jobs/shop/ @shop/team`.',
    };
  }
  return null;
};

const ownerFault = (owner: string): Fault | null =>
  OWNER.test(owner)
    ? null
    : {
        message: `${JSON.stringify(owner)} is no owner.`,
        advice: 'Write `@login`, `@organization/team` or an e-mail address.',
      };

/** The owners of a path below the cluster's directory, sorted as written; none: anybody. */
export type OwnersOf = (path: string) => readonly string[];

export const ownersOf = (rules: readonly OwnerRule[]): OwnersOf => {
  const tried = rules
    .toReversed()
    .map(({ pattern, owners }) => ({ owners, has: matcher(pattern) }));
  return (path) => tried.find(({ has }) => has(path))?.owners ?? [];
};

const matcher = (pattern: string): ((path: string) => boolean) => {
  const direct = pattern.endsWith('/*') && !pattern.endsWith('**/*');
  const patterns = direct ? [pattern, `!${pattern}/`] : [pattern];
  const one = library.default({ ignorecase: false }).add(patterns);
  return (path) => one.ignores(path);
};
