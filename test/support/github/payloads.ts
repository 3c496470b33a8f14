// Bodies of webhooks: the shapes of the REST API with what GitHub adds and leaves out there.
// In: records of state.ts. Out: JSON with the keys of GitHub's own examples (github.test.ts
// compares them). Not here: sending (webhooks.ts).

import type { GitCommit } from './git.ts';
import { checkShape, suiteCore, suiteEventShape } from './shapes-checks.ts';
import type { Mergeable, PullSize } from './shapes-pulls.ts';
import { commentShape, pullShape, reviewShape, simplePullShape } from './shapes-pulls.ts';
import { accountOfEmail, installationShape, nodeId } from './shapes.ts';
import { repoPage, repoShape, repoUrl, simpleCommitShape, userShape } from './shapes.ts';
import type { Account, App, CheckRun, Comment, Hub, Installation, Json } from './state.ts';
import type { Pull, Repo, Review, Suite } from './state.ts';
import { isoTime } from './state.ts';

/** Where something happened. */
export interface Place {
  readonly hub: Hub;
  readonly repo: Repo;
}

const pick = (shape: Json, left: readonly string[]): Json =>
  Object.fromEntries(Object.entries(shape).filter(([key]) => !left.includes(key)));

export const pingPayload = (hub: Hub, app: App, sender: Account): Json => ({
  zen: 'Responsive is better than fast.',
  hook_id: app.id,
  hook: {
    type: 'App',
    id: app.id,
    name: 'web',
    active: app.hook.url !== null,
    events: app.events,
    config: {
      content_type: app.hook.contentType,
      insecure_ssl: '0',
      secret: '********',
      url: app.hook.url,
    },
    updated_at: isoTime(app.createdAtMs),
    created_at: isoTime(app.createdAtMs),
    app_id: app.id,
    deliveries_url: `${hub.api}/app/hook/deliveries`,
  },
  sender: userShape(hub, sender),
});

export const installationPayload = (
  hub: Hub,
  installation: Installation,
  action: 'created' | 'deleted',
): Json => ({
  action,
  installation: {
    ...pick(installationShape(hub, installation), ['client_id', 'app_slug', 'single_file_paths']),
    created_at: Math.floor(installation.createdAtMs / 1000),
    updated_at: Math.floor(installation.createdAtMs / 1000),
  },
  repositories: (installation.repos ?? [...hub.repos.values()])
    .filter(({ owner }) => owner === installation.account)
    .map((repo) => ({
      id: repo.id,
      node_id: nodeId('Repository', repo.id),
      name: repo.name,
      full_name: `${repo.owner.login}/${repo.name}`,
      private: repo.private,
    })),
  requester: null,
});

export interface PushedCommit {
  readonly commit: GitCommit;
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly modified: readonly string[];
}

const pushedCommit = ({ hub, repo }: Place, { commit, ...files }: PushedCommit): Json => {
  const person = (who: GitCommit['author']): Json => {
    const account = accountOfEmail(hub, who.email);
    const plain = { name: who.name, email: who.email };
    return account === null ? plain : { ...plain, username: account.login };
  };
  return {
    ...simpleCommitShape(commit),
    distinct: true,
    url: `${repoPage(hub, repo)}/commit/${commit.sha}`,
    author: person(commit.author),
    committer: person(commit.committer),
    ...files,
  };
};

export interface Push {
  readonly ref: string;
  /** Null: the ref is new. */
  readonly before: string | null;
  /** Null: it went. */
  readonly after: string | null;
  readonly forced: boolean;
  /** Oldest first, at most 2,048 as GitHub has it. */
  readonly commits: readonly PushedCommit[];
  readonly head: PushedCommit | null;
}

const ZEROS = '0'.repeat(40);

export const pushPayload = ({ hub, repo }: Place, push: Push, by: Account): Json => {
  const { ref, before, after } = push;
  const page = repoPage(hub, repo);
  const short = ref.replace('refs/heads/', '').replace('refs/tags/', '');
  return {
    ref,
    before: before ?? ZEROS,
    after: after ?? ZEROS,
    created: before === null,
    deleted: after === null,
    forced: push.forced,
    base_ref: null,
    compare:
      before === null || after === null
        ? `${page}/compare/${short}`
        : `${page}/compare/${before.slice(0, 12)}...${after.slice(0, 12)}`,
    commits: push.commits.map((commit) => pushedCommit({ hub, repo }, commit)),
    head_commit: push.head === null ? null : pushedCommit({ hub, repo }, push.head),
    repository: {
      ...repoShape(hub, repo),
      owner: { name: repo.owner.login, email: repo.owner.email, ...userShape(hub, repo.owner) },
      url: page,
      created_at: Math.floor(repo.createdAtMs / 1000),
      pushed_at: Math.floor(repo.pushedAtMs / 1000),
      stargazers: 0,
      master_branch: repo.defaultBranch,
    },
    pusher: { name: by.login, email: by.email },
  };
};

export type PullAction =
  | 'opened'
  | 'synchronize'
  | 'closed'
  | 'reopened'
  | 'edited'
  | 'converted_to_draft'
  | 'ready_for_review';

export const pullPayload = (
  { hub, repo }: Place,
  pull: Pull,
  more: {
    readonly action: PullAction;
    readonly size: PullSize;
    readonly mergeable: Mergeable;
    readonly before?: string;
  },
): Json => ({
  action: more.action,
  number: pull.number,
  ...(more.before === undefined ? {} : { before: more.before, after: pull.head.sha }),
  ...(more.action === 'edited' ? { changes: {} } : {}),
  pull_request: pullShape({ hub, repo }, pull, more),
});

export const checkPayload = (
  { hub, repo }: Place,
  run: CheckRun,
  action: 'created' | 'completed' | 'rerequested' | { readonly button: string },
): Json => ({
  action: typeof action === 'string' ? action : 'requested_action',
  check_run: {
    ...checkShape(hub, repo, run),
    check_suite: suiteCore(hub, repo, run.suite),
  },
  ...(typeof action === 'string' ? {} : { requested_action: { identifier: action.button } }),
});

export const suitePayload = (
  { hub, repo }: Place,
  suite: Suite,
  { action, commit }: { readonly action: string; readonly commit: GitCommit },
): Json => ({ action, check_suite: suiteEventShape({ hub, repo }, suite, commit) });

export const commentPayload = (
  { hub, repo }: Place,
  comment: Comment,
  { action, pull }: { readonly action: 'created' | 'edited' | 'deleted'; readonly pull: Pull },
): Json => {
  const issue = `${repoUrl(hub, repo)}/issues/${pull.number}`;
  const page = `${repoPage(hub, repo)}/pull/${pull.number}`;
  const simple = simplePullShape(hub, repo, pull);
  return {
    action,
    ...(action === 'edited' ? { changes: { body: { from: '' } } } : {}),
    issue: {
      url: issue,
      repository_url: repoUrl(hub, repo),
      labels_url: `${issue}/labels{/name}`,
      comments_url: `${issue}/comments`,
      events_url: `${issue}/events`,
      html_url: page,
      id: pull.id,
      node_id: nodeId('PullRequest', pull.id),
      number: pull.number,
      title: pull.title,
      user: simple['user'],
      labels: [],
      state: pull.state,
      locked: false,
      assignee: null,
      assignees: [],
      milestone: null,
      comments: [...repo.comments.values()].filter((each) => each.issue === pull.number).length,
      created_at: simple['created_at'],
      updated_at: simple['updated_at'],
      closed_at: simple['closed_at'],
      author_association: simple['author_association'],
      active_lock_reason: null,
      draft: pull.draft,
      pull_request: {
        url: simple['url'],
        html_url: page,
        diff_url: `${page}.diff`,
        patch_url: `${page}.patch`,
      },
      body: pull.body,
      performed_via_github_app: null,
    },
    comment: pick(commentShape(hub, repo, comment), ['reactions', 'minimized']),
  };
};

export const reviewPayload = ({ hub, repo }: Place, review: Review, pull: Pull): Json => ({
  action: 'submitted',
  review: { ...reviewShape(hub, repo, review), state: review.state.toLowerCase() },
  pull_request: simplePullShape(hub, repo, pull),
});

export const mergeGroupPayload = (
  group: { readonly head: GitCommit; readonly headRef: string; readonly base: string },
  pull: Pull,
): Json => ({
  action: 'checks_requested',
  merge_group: {
    head_sha: group.head.sha,
    head_ref: group.headRef,
    base_sha: group.base,
    base_ref: `refs/heads/${pull.base.ref}`,
    head_commit: simpleCommitShape(group.head),
  },
});
