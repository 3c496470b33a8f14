// What stands in the way of the branch, and what others wrote into the ledger, in sentences: the
// same in status, checks, messages of commands and logs. In: facts of a tree. Out: words. Not here:
// single reasons (refusal.ts).

import { refusalWords, remedyWords } from './refusal.ts';
import type { ForeignRecords, RefusedCommits } from './source.ts';

/** For people: which commit, by whom, why, and what to do. */
export const refusedWords = ({ cause, newest, reason, commits }: RefusedCommits): string => {
  const who = cause.author.email === '' ? cause.author.name : cause.author.email;
  const others = commits.length - 1;
  const isOld = cause.oid !== newest.oid;
  return (
    `commit ${cause.oid.slice(0, 12)} by ${who} ${refusalWords(reason)}: it is not acted on` +
    (isOld ? `, nor what builds on it (${others === 1 ? '1 commit' : `${others} commits`})` : '') +
    `. ${remedyWords(reason)};${reason.kind === 'went-back' ? '' : ' or revert it;'} or accept it ` +
    `as it is: \`purser resume --at ${cause.oid}\``
  );
};

/** A few words for a title. */
export const refusedTitle = ({ cause, newest, reason }: RefusedCommits): string =>
  cause.oid === newest.oid
    ? `Not accepted: it ${refusalWords(reason)}`
    : `Not accepted: ${cause.oid.slice(0, 12)} below it ${refusalWords(reason)}`;

/** Of each that is told: what is wrong with it, or with the one below it. */
export const refusedEach = (
  refused: RefusedCommits,
): readonly { readonly commit: string; readonly title: string; readonly message: string }[] => {
  const { newest, cause, reason } = refused;
  const one = { commit: newest, reason: newest.oid === cause.oid ? reason : null };
  return (refused.each ?? [one]).map(({ commit, reason: own }) => {
    const alone = { cause: commit, newest: commit, commits: [commit.oid] };
    const said = own === null ? refused : { ...refused, ...alone, reason: own };
    return { commit: commit.oid, title: refusedTitle(said), message: refusedWords(said) };
  });
};

export const foreignWords = (foreign: readonly ForeignRecords[]): readonly string[] => {
  const [newest, ...rest] = foreign;
  if (newest === undefined) return [];
  const who = newest.author.email === '' ? newest.author.name : newest.author.email;
  const more = rest.length === 0 ? '' : ` (and ${rest.length} more)`;
  return [
    `the ledger holds commit ${newest.commit.slice(0, 12)} by ${who}${more}, which ` +
      `${refusalWords(newest.reason)}: its records are ignored. See who may push to the ledger`,
  ];
};
