// Why a commit is not acted on, and the words for it: the same in status, checks and messages.
// In: a reason. Out: words. Not here: the judgement (acceptance.ts).

export type RefusalReason =
  | { readonly kind: 'unsigned' }
  | {
      readonly kind: 'mismatch' | 'namespace' | 'unknown-key' | 'expired' | 'unreadable';
      readonly key: string | null;
      readonly detail: string | null;
    }
  /** Signed by the host, and no merge: a squash, or an edit in the browser. */
  | { readonly kind: 'web-flow' }
  /** The host's merge holds files that its parents do not give. */
  | { readonly kind: 'merge-differs' }
  /** A commit that the host's merge brings in. */
  | { readonly kind: 'brought-in'; readonly commit: string; readonly reason: RefusalReason }
  | { readonly kind: 'too-many'; readonly limit: number }
  /**
   * The branch was set back behind a commit that was accepted, or rewritten to commits that are
   * older than that one; `from`: the time that theirs must reach, as in 2026-11-22T12:00:00Z.
   */
  | { readonly kind: 'went-back'; readonly behind: string; readonly from?: string };

/** What is wrong with the commit, to stand behind its name. */
export const refusalWords = (reason: RefusalReason): string => {
  switch (reason.kind) {
    case 'unsigned':
      return 'is not signed';
    case 'mismatch':
      return `has a signature${byKey(reason.key)} that does not match its content`;
    case 'namespace':
      return `is signed${byKey(reason.key)} for another purpose (${reason.detail ?? ''}), not for git`;
    case 'unknown-key':
      return `is signed${byKey(reason.key)}, and signers/ does not list that key${more(reason.detail)}`;
    case 'expired':
      return `is signed${byKey(reason.key)}, which was not valid at that time${more(reason.detail)}`;
    case 'unreadable':
      return `has a signature that cannot be checked${more(reason.detail)}`;
    case 'web-flow':
      return 'was made and signed by the host in place of a person, and is no merge commit';
    case 'merge-differs':
      return 'is a merge by the host with other files than its two parents give';
    case 'brought-in':
      return `brings in ${reason.commit.slice(0, 12)}, which ${refusalWords(reason.reason)}`;
    case 'too-many':
      return `comes with more than ${reason.limit} commits, more than are judged at once`;
    case 'went-back':
      return reason.from === undefined
        ? `goes back behind ${reason.behind.slice(0, 12)}, which was accepted before`
        : `leaves out ${reason.behind.slice(0, 12)}, which was accepted before, and is dated before it`;
    default:
      return reason satisfies never;
  }
};

const byKey = (key: string | null): string => (key === null ? '' : ` by key ${key}`);
const more = (detail: string | null): string => (detail === null ? '' : ` (${detail})`);

/** What a person can do about it. */
export const remedyWords = (reason: RefusalReason): string => {
  switch (reason.kind) {
    case 'unsigned':
    case 'mismatch':
    case 'namespace':
    case 'unreadable':
      return 'Sign it and push it again: `git commit --amend -S`';
    case 'unknown-key':
      return 'A listed signer adds the key to signers/allowed_signers in a commit before it, or signs it';
    case 'expired':
      return 'A listed signer signs it, or gives the key more time in a commit before it';
    case 'web-flow':
      return 'Merge with a merge commit, or squash on your own machine and sign: `git commit -S`';
    case 'merge-differs':
      return 'A listed signer makes the merge and signs it: `git merge -S`';
    case 'brought-in':
      return 'Sign the commits of the pull request before it is merged: `git rebase --exec "git commit --amend --no-edit -S"`';
    case 'too-many':
      return 'Push fewer at once';
    case 'went-back':
      return reason.from === undefined
        ? 'Put the branch back, and go back by a signed commit on top: `git revert -S`'
        : `Amend it once more, dated ${reason.from} or later: \`git commit --amend -S\``;
    default:
      return reason satisfies never;
  }
};
