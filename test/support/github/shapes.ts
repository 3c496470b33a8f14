// Records as GitHub's REST API shows them: accounts, repositories, Apps, commits, files.
// In: records of state.ts. Out: JSON. Not here: pull requests and checks (shapes-pulls.ts,
// shapes-checks.ts), what webhooks add or leave out (payloads.ts).

import type { GitCommit, GitFile } from './git.ts';
import type { Account, App, Hub, Installation, Json, Permissions, Repo } from './state.ts';
import { fullName, isoOrNull, isoTime } from './state.ts';

export const nodeId = (kind: string, id: number | string): string =>
  Buffer.from(`${kind}:${id}`).toString('base64');

export const userShape = (hub: Hub, account: Account): Json => {
  const url = `${hub.api}/users/${encodeURIComponent(account.login)}`;
  const html = account.login.endsWith('[bot]')
    ? `${hub.web}/apps/${account.login.slice(0, -'[bot]'.length)}`
    : `${hub.web}/${account.login}`;
  return {
    login: account.login,
    id: account.id,
    node_id: nodeId(account.kind, account.id),
    avatar_url: `${hub.web}/avatars/u/${account.id}`,
    gravatar_id: '',
    url,
    html_url: html,
    followers_url: `${url}/followers`,
    following_url: `${url}/following{/other_user}`,
    gists_url: `${url}/gists{/gist_id}`,
    starred_url: `${url}/starred{/owner}{/repo}`,
    subscriptions_url: `${url}/subscriptions`,
    organizations_url: `${url}/orgs`,
    repos_url: `${url}/repos`,
    events_url: `${url}/events{/privacy}`,
    received_events_url: `${url}/received_events`,
    type: account.kind,
    site_admin: false,
  };
};

/** `GET /user`, `GET /users/{username}`. */
export const profileShape = (hub: Hub, account: Account): Json => ({
  ...userShape(hub, account),
  name: account.login,
  company: null,
  blog: '',
  location: null,
  email: account.email,
  hireable: null,
  bio: null,
  public_repos: 0,
  public_gists: 0,
  followers: 0,
  following: 0,
  created_at: '2020-01-01T00:00:00Z',
  updated_at: '2020-01-01T00:00:00Z',
});

export const repoUrl = (hub: Hub, repo: Repo): string => `${hub.api}/repos/${fullName(repo)}`;
export const repoPage = (hub: Hub, repo: Repo): string => `${hub.web}/${fullName(repo)}`;

/** Suffixes of a repository's many addresses. */
const ADDRESSES: Readonly<Record<string, string>> = {
  forks: '/forks',
  keys: '/keys{/key_id}',
  collaborators: '/collaborators{/collaborator}',
  teams: '/teams',
  hooks: '/hooks',
  issue_events: '/issues/events{/number}',
  events: '/events',
  assignees: '/assignees{/user}',
  branches: '/branches{/branch}',
  tags: '/tags',
  blobs: '/git/blobs{/sha}',
  git_tags: '/git/tags{/sha}',
  git_refs: '/git/refs{/sha}',
  trees: '/git/trees{/sha}',
  statuses: '/statuses/{sha}',
  languages: '/languages',
  stargazers: '/stargazers',
  contributors: '/contributors',
  subscribers: '/subscribers',
  subscription: '/subscription',
  commits: '/commits{/sha}',
  git_commits: '/git/commits{/sha}',
  comments: '/comments{/number}',
  issue_comment: '/issues/comments{/number}',
  contents: '/contents/{+path}',
  compare: '/compare/{base}...{head}',
  merges: '/merges',
  archive: '/{archive_format}{/ref}',
  downloads: '/downloads',
  issues: '/issues{/number}',
  pulls: '/pulls{/number}',
  milestones: '/milestones{/number}',
  notifications: '/notifications{?since,all,participating}',
  labels: '/labels{/name}',
  releases: '/releases{/id}',
  deployments: '/deployments',
};

/** A repository without its counts: what is inside other shapes. */
export const minimalRepoShape = (hub: Hub, repo: Repo): Json => {
  const url = repoUrl(hub, repo);
  const addresses = Object.entries(ADDRESSES).map(([name, end]) => [`${name}_url`, url + end]);
  return {
    id: repo.id,
    node_id: nodeId('Repository', repo.id),
    name: repo.name,
    full_name: fullName(repo),
    private: repo.private,
    owner: userShape(hub, repo.owner),
    html_url: repoPage(hub, repo),
    description: null,
    fork: repo.parent !== null,
    url,
    ...Object.fromEntries(addresses),
  };
};

export const repoShape = (hub: Hub, repo: Repo): Json => {
  const open = [...repo.pulls.values()].filter(({ state }) => state === 'open').length;
  return {
    ...minimalRepoShape(hub, repo),
    created_at: isoTime(repo.createdAtMs),
    updated_at: isoTime(repo.pushedAtMs),
    pushed_at: isoTime(repo.pushedAtMs),
    git_url: `${repoPage(hub, repo).replace(/^https?/, 'git')}.git`,
    ssh_url: `git@127.0.0.1:${fullName(repo)}.git`,
    clone_url: `${repoPage(hub, repo)}.git`,
    svn_url: repoPage(hub, repo),
    homepage: null,
    size: 1,
    stargazers_count: 0,
    watchers_count: 0,
    language: null,
    has_issues: true,
    has_projects: true,
    has_downloads: true,
    has_wiki: false,
    has_pages: false,
    forks_count: [...hub.repos.values()].filter(({ parent }) => parent === repo).length,
    mirror_url: null,
    archived: repo.archived,
    disabled: false,
    open_issues_count: open,
    license: null,
    allow_forking: true,
    is_template: false,
    web_commit_signoff_required: false,
    custom_properties: {},
    topics: [],
    visibility: repo.private ? 'private' : 'public',
    forks: [...hub.repos.values()].filter(({ parent }) => parent === repo).length,
    open_issues: open,
    watchers: 0,
    default_branch: repo.defaultBranch,
  };
};

/** `GET /repos/{owner}/{repo}`. */
export const fullRepoShape = (hub: Hub, repo: Repo, permissions: Json): Json => ({
  ...repoShape(hub, repo),
  has_discussions: false,
  network_count: 0,
  subscribers_count: 0,
  allow_squash_merge: true,
  allow_merge_commit: true,
  allow_rebase_merge: true,
  permissions,
});

/** GitHub adds `metadata: read` to whatever an App asks. */
export const grantedTo = (permissions: Permissions): Permissions => ({
  metadata: 'read',
  ...permissions,
});

export const appShape = (hub: Hub, app: App): Json => ({
  id: app.id,
  slug: app.slug,
  node_id: nodeId('App', app.id),
  client_id: app.clientId,
  owner: userShape(hub, app.owner),
  name: app.name,
  description: app.description,
  external_url: app.externalUrl,
  html_url: `${hub.web}/apps/${app.slug}`,
  created_at: isoTime(app.createdAtMs),
  updated_at: isoTime(app.createdAtMs),
  permissions: grantedTo(app.permissions),
  events: app.events,
});

export const installationShape = (hub: Hub, installation: Installation): Json => {
  const { id, app, account } = installation;
  const url = `${hub.api}/app/installations/${id}`;
  return {
    id,
    client_id: app.clientId,
    account: userShape(hub, account),
    repository_selection: installation.repos === null ? 'all' : 'selected',
    access_tokens_url: `${url}/access_tokens`,
    repositories_url: `${hub.api}/installation/repositories`,
    html_url: `${hub.web}${account.kind === 'Organization' ? `/organizations/${account.login}` : ''}/settings/installations/${id}`,
    app_id: app.id,
    app_slug: app.slug,
    target_id: account.id,
    target_type: account.kind,
    permissions: grantedTo(app.permissions),
    events: app.events,
    created_at: isoTime(installation.createdAtMs),
    updated_at: isoTime(installation.createdAtMs),
    single_file_name: null,
    has_multiple_single_files: false,
    single_file_paths: [],
    suspended_by: null,
    suspended_at: isoOrNull(installation.suspendedAtMs),
  };
};

/** The account that an address of a commit belongs to; null: nobody here. */
export const accountOfEmail = (hub: Hub, email: string): Account | null =>
  [...hub.accounts.values()].find(
    (account) => account.email === email || keptAddress(account, email),
  ) ?? null;

/** An Enterprise Server keeps one for each account at its own host, as github.com does. */
const keptAddress = ({ id, login }: Account, email: string): boolean =>
  email.startsWith(`${id}+${login}@users.noreply.`);

export const commitShape = (hub: Hub, repo: Repo, commit: GitCommit): Json => {
  const url = repoUrl(hub, repo);
  const person = (email: string): Json | null => {
    const account = accountOfEmail(hub, email);
    return account === null ? null : userShape(hub, account);
  };
  return {
    sha: commit.sha,
    node_id: nodeId('Commit', commit.sha),
    commit: {
      author: commit.author,
      committer: commit.committer,
      message: commit.message,
      tree: { sha: commit.tree, url: `${url}/git/trees/${commit.tree}` },
      url: `${url}/git/commits/${commit.sha}`,
      comment_count: 0,
      verification: {
        verified: false,
        reason: 'unsigned',
        signature: null,
        payload: null,
        verified_at: null,
      },
    },
    url: `${url}/commits/${commit.sha}`,
    html_url: `${repoPage(hub, repo)}/commit/${commit.sha}`,
    comments_url: `${url}/commits/${commit.sha}/comments`,
    author: person(commit.author.email),
    committer: person(commit.committer.email),
    parents: commit.parents.map((sha) => ({
      sha,
      url: `${url}/commits/${sha}`,
      html_url: `${repoPage(hub, repo)}/commit/${sha}`,
    })),
  };
};

/** A commit inside a check suite or a push. */
export const simpleCommitShape = (commit: GitCommit): Json => ({
  id: commit.sha,
  tree_id: commit.tree,
  message: commit.message,
  timestamp: commit.committer.date,
  author: { name: commit.author.name, email: commit.author.email },
  committer: { name: commit.committer.name, email: commit.committer.email },
});

/** GitHub leaves the patch of a large file out. */
const PATCH_LIMIT = 20_000;

export const fileShape = (
  at: { readonly hub: Hub; readonly repo: Repo },
  file: GitFile,
  sha: string,
): Json => {
  const name = file.path.split('/').map(encodeURIComponent).join('/');
  return {
    sha: file.blob,
    filename: file.path,
    status: file.status,
    additions: file.additions,
    deletions: file.deletions,
    changes: file.additions + file.deletions,
    blob_url: `${repoPage(at.hub, at.repo)}/blob/${sha}/${name}`,
    raw_url: `${repoPage(at.hub, at.repo)}/raw/${sha}/${name}`,
    contents_url: `${repoUrl(at.hub, at.repo)}/contents/${name}?ref=${sha}`,
    ...(file.patch === '' || file.patch.length > PATCH_LIMIT ? {} : { patch: file.patch }),
  };
};
