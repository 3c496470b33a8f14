// What people do to a repository and to an App's installation behind everybody's back: what makes
// requests fail that went well a moment ago.
// In: a hub. Out: changed records, webhooks. Not here: faults of the network (limits.ts).

import { accountOf, install } from './create.ts';
import { gitIn } from './git.ts';
import type { GitHub } from './github.ts';
import type { PullAction } from './payloads.ts';
import { tellPull } from './pulls.ts';
import type { Hub, Installation, Pull, Repo } from './state.ts';
import { fullName } from './state.ts';

/** The repository that the hub was started with, under whatever name it has by now. */
export const repoOf = ({ hub, folder }: Pick<GitHub, 'hub' | 'folder'>): Repo => {
  const all = [...hub.repos.values(), ...hub.renamed.values()];
  const repo = all.find((one) => one.folder === folder);
  if (repo === undefined) throw new Error('the repository is gone');
  return repo;
};

const installationOf = ({ hub }: { readonly hub: Hub }): Installation => {
  const [one] = hub.installations;
  if (one === undefined) throw new Error('no App is installed');
  return one;
};

/** Its tokens are refused until it is ended. */
export const suspend = ({ hub }: GitHub, isOn: boolean): void => {
  installationOf({ hub }).suspendedAtMs = isOn ? hub.now() : null;
};

/** Taken out of those that the App is installed in, or put there again. */
export const select = (at: GitHub, isIn: boolean): void => {
  installationOf(at).repos = isIn ? [repoOf(at)] : [];
};

export const setRepo = (
  at: GitHub,
  change: { readonly private?: boolean; readonly archived?: boolean },
): void => void Object.assign(repoOf(at), change);

/** To another owner, where no App is installed; the name before leads there. */
export const transfer = (at: GitHub, login: string): void => {
  const { hub } = at;
  const repo = repoOf(at);
  hub.repos.delete(fullName(repo).toLowerCase());
  hub.renamed.set(fullName(repo).toLowerCase(), repo);
  repo.owner = accountOf(hub, login, 'Organization');
  hub.renamed.delete(fullName(repo).toLowerCase());
  hub.repos.set(fullName(repo).toLowerCase(), repo);
};

/** Installed in the repository as well, wherever that is by now. */
export const installHere = (at: GitHub): number => {
  const [app] = at.hub.apps;
  const repo = repoOf(at);
  if (app === undefined) throw new Error('there is no App');
  return install(at.hub, app, { account: repo.owner, repos: [repo] }).id;
};

const pullOf = (at: GitHub, number: number): Pull => {
  const pull = repoOf(at).pulls.get(number);
  if (pull === undefined) throw new Error(`there is no pull request ${number}`);
  return pull;
};

const told = async (at: GitHub, pull: Pull, action: PullAction): Promise<void> => {
  pull.updatedAtMs = at.hub.now();
  await tellPull({ hub: at.hub, repo: repoOf(at) }, pull, { action, by: pull.author });
};

export const setDraft = async (at: GitHub, number: number, draft: boolean): Promise<void> => {
  const pull = pullOf(at, number);
  pull.draft = draft;
  await told(at, pull, draft ? 'converted_to_draft' : 'ready_for_review');
};

export const retarget = async (at: GitHub, number: number, base: string): Promise<void> => {
  const pull = pullOf(at, number);
  const sha = await gitIn(at.folder, ['rev-parse', `refs/heads/${base}`]);
  pull.base = { ref: base, sha: sha.trim() };
  await told(at, pull, 'edited');
};

/** The fork is gone; pull requests from it stay, with a head that has no repository. */
export const deleteFork = ({ hub, name }: GitHub, login: string): void => {
  hub.repos.delete(`${login}/${name}`.toLowerCase());
};
