// GitHub's clock beside this machine's. An App logs in by a word that says when it was made, and
// GitHub takes none that is a minute ahead, or ten late: octokit then makes it again by the date of
// GitHub's answer. In: the dates of answers. Out: a sentence for people where the clocks differ.
// Not here: waiting by GitHub's clock (wait).

import { formatDuration } from '../../../schema/units.ts';

export interface GitHubTime {
  /** Takes in the date of an answer. */
  readonly heard: (date: string | undefined) => void;
  /** Milliseconds since 1970 by GitHub's clock, to a second or so. */
  readonly epochMs: () => number;
  /** What a person should know of this machine's clock; null: it is right enough. */
  readonly notice: () => string | null;
}

/** Answers name whole seconds and may take a quarter of a minute. */
const ALLOWED_MS = 20_000;

/** @param epochMs this machine's clock */
export const createGitHubTime = (epochMs: () => number): GitHubTime => {
  /** What must be added to this machine's clock. */
  let behindMs = 0;
  return {
    heard: (date) => {
      const theirs = Date.parse(date ?? '');
      if (!Number.isNaN(theirs)) behindMs = theirs - epochMs();
    },
    epochMs: () => epochMs() + behindMs,
    notice: () => {
      if (Math.abs(behindMs) <= ALLOWED_MS) return null;
      const far = formatDuration(Math.round(Math.abs(behindMs) / 1000) * 1000);
      const where = behindMs > 0 ? 'behind' : 'ahead of';
      return (
        `the clock of this machine is ${far} ${where} GitHub's: logins are made by GitHub's, ` +
        'and times that Purser writes are wrong. Set it: timedatectl set-ntp true'
      );
    },
  };
};
