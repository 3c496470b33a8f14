// Where the App is installed by now: installed again, or in a repository that has another owner, it has
// another number. And what it was granted there, all of it, where something was refused.
// In: a refusal, GitHub's own word on the installation. Out: a number; better words. Not here: the
// number in forge.yaml (cli), tokens (wire).

import type { Octokit } from 'octokit';
import { ForgeFailure, lackingWords, suspendedWords, type Asker } from './failure.ts';
import { ungranted } from './permissions.ts';

export interface Installation {
  readonly id: () => number;
  /** Why, in better words; `moved`: it has another number, by which it is to be asked again. */
  readonly lookAgain: (octokit: Octokit, failure: ForgeFailure) => Promise<ForgeFailure | 'moved'>;
  /** That it has another number than it was given; null: it has not. */
  readonly notice: () => string | null;
}

interface ApiInstallation {
  readonly id: number;
  readonly permissions: Readonly<Record<string, string>>;
  readonly suspended_at: string | null;
}

/** @param given the number in forge.yaml */
export const createInstallation = (given: number, asker: Asker): Installation => {
  const [owner = '', repo = ''] = asker.repository.split('/');
  let id = given;

  const notInstalled = async (octokit: Octokit): Promise<ForgeFailure> => {
    const { data } = await octokit.request('GET /app');
    const words =
      `Purser's GitHub App is not installed in ${asker.repository} (any more): install it, or ` +
      `add the repository to those that it may see, at ${data?.html_url}/installations/new`;
    return new ForgeFailure('broken', words, { scope: 'login' });
  };

  return {
    id: () => id,
    lookAgain: async (octokit, failure) => {
      if (!isAboutAll(failure)) return failure;
      try {
        const { data } = await octokit.request('GET /repos/{owner}/{repo}/installation', {
          owner,
          repo,
        });
        const found = data as ApiInstallation;
        if (found.suspended_at !== null) return reworded(failure, suspendedWords(asker));
        if (found.id !== id) {
          id = found.id;
          return 'moved';
        }
        const missing = ungranted(found.permissions);
        if (missing === '' || failure.scope === 'login') return failure;
        return reworded(failure, lackingWords(asker, `${missing} in ${asker.repository}`));
      } catch (error) {
        const isAbsent = error instanceof Error && 'status' in error && error.status === 404;
        // What cannot be found out now is told as it was met.
        return isAbsent ? notInstalled(octokit).catch(() => failure) : failure;
      }
    },
    notice: () =>
      id === given
        ? null
        : `the App's installation in ${asker.repository} has the number ${id} by now: write ` +
          `\`installation: ${id}\` into forge.yaml, where ${given} stands`,
  };
};

/** A refusal that may come of where and how the App is installed. */
const isAboutAll = ({ scope, status }: ForgeFailure): boolean =>
  scope !== null && scope !== 'writes' && !(scope === 'login' && status !== null);

const reworded = ({ consequence, status, scope }: ForgeFailure, words: string): ForgeFailure =>
  new ForgeFailure(consequence, words, { status, scope });
