// Pull requests and what hangs on them, as GitHub's REST API shows them.
// In: records of state.ts. Out: JSON. Not here: what changes them (routes-pulls.ts).

import { nodeId, repoPage, repoShape, repoUrl, userShape } from './shapes.ts';
import type { Comment, Hub, Json, Pull, Repo, Review } from './state.ts';
import { fullName, isoOrNull, isoTime, roleOf } from './state.ts';
import { appShape } from './shapes.ts';

/** How the author stands to the repository, as its pages say it. */
const associationOf = (repo: Repo, by: Pull['author']): string => {
  if (by.login === repo.owner.login) return 'OWNER';
  return repo.roles.has(by.login.toLowerCase()) && roleOf(repo, by) !== 'read'
    ? 'COLLABORATOR'
    : 'NONE';
};

/** One in a list, and the inside of most webhooks. */
export const simplePullShape = (hub: Hub, repo: Repo, pull: Pull): Json => {
  const url = `${repoUrl(hub, repo)}/pulls/${pull.number}`;
  const issue = `${repoUrl(hub, repo)}/issues/${pull.number}`;
  const page = `${repoPage(hub, repo)}/pull/${pull.number}`;
  const side = (where: Repo, ref: string, sha: string): Json => ({
    label: `${where.owner.login}:${ref}`,
    ref,
    sha,
    user: userShape(hub, where.owner),
    repo: hub.repos.get(fullName(where).toLowerCase()) === where ? repoShape(hub, where) : null,
  });
  const statuses = `${repoUrl(hub, repo)}/statuses/${pull.head.sha}`;
  const reviewComment = `${repoUrl(hub, repo)}/pulls/comments{/number}`;
  return {
    url,
    id: pull.id,
    node_id: nodeId('PullRequest', pull.id),
    html_url: page,
    diff_url: `${page}.diff`,
    patch_url: `${page}.patch`,
    issue_url: issue,
    number: pull.number,
    state: pull.state,
    locked: false,
    title: pull.title,
    user: userShape(hub, pull.author),
    body: pull.body,
    created_at: isoTime(pull.createdAtMs),
    updated_at: isoTime(pull.updatedAtMs),
    closed_at: isoOrNull(pull.closedAtMs),
    merged_at: isoOrNull(pull.merged?.atMs ?? null),
    merge_commit_sha: pull.merged?.sha ?? pull.trial?.sha ?? null,
    assignee: null,
    assignees: [],
    requested_reviewers: [],
    requested_teams: [],
    labels: [],
    milestone: null,
    draft: pull.draft,
    commits_url: `${url}/commits`,
    review_comments_url: `${url}/comments`,
    review_comment_url: reviewComment,
    comments_url: `${issue}/comments`,
    statuses_url: statuses,
    head: side(pull.head.repo, pull.head.ref, pull.head.sha),
    base: side(repo, pull.base.ref, pull.base.sha),
    _links: {
      self: { href: url },
      html: { href: page },
      issue: { href: issue },
      comments: { href: `${issue}/comments` },
      review_comments: { href: `${url}/comments` },
      review_comment: { href: reviewComment },
      commits: { href: `${url}/commits` },
      statuses: { href: statuses },
    },
    author_association: associationOf(repo, pull.author),
    auto_merge: null,
    active_lock_reason: null,
  };
};

/** Counts of a pull request's commits and lines. */
export interface PullSize {
  readonly commits: number;
  readonly additions: number;
  readonly deletions: number;
  readonly files: number;
}

/** `blocked`: a required check is not there yet. */
export type Mergeable = 'clean' | 'dirty' | 'blocked' | 'unknown';

export const pullShape = (
  at: { readonly hub: Hub; readonly repo: Repo },
  pull: Pull,
  { size, mergeable }: { readonly size: PullSize; readonly mergeable: Mergeable },
): Json => ({
  ...simplePullShape(at.hub, at.repo, pull),
  merged: pull.merged !== null,
  mergeable: pull.merged !== null || mergeable === 'unknown' ? null : mergeable !== 'dirty',
  rebaseable: mergeable === 'unknown' ? null : mergeable !== 'dirty',
  mergeable_state: mergeable,
  merged_by: pull.merged === null ? null : userShape(at.hub, pull.merged.by),
  comments: [...at.repo.comments.values()].filter(({ issue }) => issue === pull.number).length,
  review_comments: 0,
  maintainer_can_modify: false,
  commits: size.commits,
  additions: size.additions,
  deletions: size.deletions,
  changed_files: size.files,
});

const REACTIONS = ['+1', '-1', 'laugh', 'hooray', 'confused', 'heart', 'rocket', 'eyes'];

export const commentShape = (hub: Hub, repo: Repo, comment: Comment): Json => {
  const url = `${repoUrl(hub, repo)}/issues/comments/${comment.id}`;
  const { reactions } = comment;
  const counts = REACTIONS.map((name): [string, number] => [
    name,
    reactions.filter(({ content }) => content === name).length,
  ]);
  return {
    url,
    html_url: `${repoPage(hub, repo)}/pull/${comment.issue}#issuecomment-${comment.id}`,
    issue_url: `${repoUrl(hub, repo)}/issues/${comment.issue}`,
    id: comment.id,
    node_id: nodeId('IssueComment', comment.id),
    user: userShape(hub, comment.author),
    created_at: isoTime(comment.createdAtMs),
    updated_at: isoTime(comment.updatedAtMs),
    author_association: associationOf(repo, comment.author),
    body: comment.body,
    reactions: {
      url: `${url}/reactions`,
      total_count: reactions.length,
      ...Object.fromEntries(counts),
    },
    performed_via_github_app: comment.app === null ? null : appShape(hub, comment.app),
    minimized: comment.minimized === null ? null : { reason: comment.minimized.toLowerCase() },
  };
};

export const reviewShape = (hub: Hub, repo: Repo, review: Review): Json => {
  const page = `${repoPage(hub, repo)}/pull/${review.pull}#pullrequestreview-${review.id}`;
  const url = `${repoUrl(hub, repo)}/pulls/${review.pull}`;
  return {
    id: review.id,
    node_id: nodeId('PullRequestReview', review.id),
    user: userShape(hub, review.author),
    body: review.body,
    commit_id: review.commit,
    submitted_at: isoTime(review.atMs),
    state: review.state,
    html_url: page,
    pull_request_url: url,
    author_association: associationOf(repo, review.author),
    _links: { html: { href: page }, pull_request: { href: url } },
  };
};
