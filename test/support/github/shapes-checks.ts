// Checks, statuses and deployments as GitHub's REST API shows them.
// In: records of state.ts. Out: JSON. Not here: what changes them (routes-checks.ts).

import type { GitCommit } from './git.ts';
import {
  appShape,
  minimalRepoShape,
  nodeId,
  repoPage,
  repoUrl,
  simpleCommitShape,
  userShape,
} from './shapes.ts';
import type { CheckRun, Deployment, DeploymentStatus, Hub, Json } from './state.ts';
import type { Pull, Repo, Status, Suite } from './state.ts';
import { isoTime } from './state.ts';

/** Open pull requests of this very repository whose head is the commit: never those of forks. */
const pullsOf = (hub: Hub, repo: Repo, sha: string): readonly Json[] =>
  [...repo.pulls.values()]
    .filter(({ state, head }) => state === 'open' && head.sha === sha && head.repo === repo)
    .map((pull) => pullMinimal(hub, repo, pull));

const pullMinimal = (hub: Hub, repo: Repo, pull: Pull): Json => {
  const where = { id: repo.id, url: repoUrl(hub, repo), name: repo.name };
  return {
    url: `${repoUrl(hub, repo)}/pulls/${pull.number}`,
    id: pull.id,
    number: pull.number,
    head: { ref: pull.head.ref, sha: pull.head.sha, repo: where },
    base: { ref: pull.base.ref, sha: pull.base.sha, repo: where },
  };
};

export const checkPage = (hub: Hub, repo: Repo, id: number): string =>
  `${repoPage(hub, repo)}/runs/${id}`;

export const checkShape = (hub: Hub, repo: Repo, run: CheckRun): Json => {
  const url = `${repoUrl(hub, repo)}/check-runs/${run.id}`;
  return {
    id: run.id,
    node_id: nodeId('CheckRun', run.id),
    head_sha: run.sha,
    external_id: run.externalId,
    url,
    html_url: checkPage(hub, repo, run.id),
    details_url: run.detailsUrl ?? run.suite.app.externalUrl,
    status: run.status,
    conclusion: run.conclusion,
    started_at: run.startedAt,
    completed_at: run.completedAt,
    output: {
      ...run.output,
      annotations_count: run.annotations.length,
      annotations_url: `${url}/annotations`,
    },
    name: run.name,
    check_suite: { id: run.suite.id },
    app: appShape(hub, run.suite.app),
    pull_requests: pullsOf(hub, repo, run.sha),
  };
};

/** What a suite and the suite of a webhook's check have in common. */
export const suiteCore = (hub: Hub, repo: Repo, suite: Suite): Json => ({
  id: suite.id,
  node_id: nodeId('CheckSuite', suite.id),
  head_branch: suite.branch,
  head_sha: suite.sha,
  status: suite.status,
  conclusion: suite.conclusion,
  url: `${repoUrl(hub, repo)}/check-suites/${suite.id}`,
  before: suite.before,
  after: suite.sha,
  pull_requests: pullsOf(hub, repo, suite.sha),
  app: appShape(hub, suite.app),
  created_at: isoTime(suite.createdAtMs),
  updated_at: isoTime(suite.updatedAtMs),
});

/** A suite of a webhook has no repository of its own. */
export const suiteEventShape = (
  at: { readonly hub: Hub; readonly repo: Repo },
  suite: Suite,
  commit: GitCommit,
): Json => ({
  ...suiteCore(at.hub, at.repo, suite),
  latest_check_runs_count: runsOf(at.repo, suite).length,
  check_runs_url: `${repoUrl(at.hub, at.repo)}/check-suites/${suite.id}/check-runs`,
  head_commit: simpleCommitShape(commit),
});

export const suiteShape = (
  at: { readonly hub: Hub; readonly repo: Repo },
  suite: Suite,
  commit: GitCommit,
): Json => ({
  ...suiteEventShape(at, suite, commit),
  repository: minimalRepoShape(at.hub, at.repo),
});

export const runsOf = (repo: Repo, suite: Suite): readonly CheckRun[] =>
  [...repo.checks.values()].filter((run) => run.suite === suite);

export const simpleStatusShape = (hub: Hub, repo: Repo, status: Status): Json => ({
  url: `${repoUrl(hub, repo)}/statuses/${status.sha}`,
  avatar_url: `${hub.web}/avatars/u/${status.creator.id}`,
  id: status.id,
  node_id: nodeId('StatusContext', status.id),
  state: status.state,
  description: status.description,
  target_url: status.targetUrl,
  context: status.context,
  created_at: isoTime(status.atMs),
  updated_at: isoTime(status.atMs),
});

export const statusShape = (hub: Hub, repo: Repo, status: Status): Json => ({
  ...simpleStatusShape(hub, repo, status),
  creator: userShape(hub, status.creator),
});

export const deploymentShape = (hub: Hub, repo: Repo, deployment: Deployment): Json => {
  const url = `${repoUrl(hub, repo)}/deployments/${deployment.id}`;
  return {
    url,
    id: deployment.id,
    node_id: nodeId('Deployment', deployment.id),
    task: deployment.task,
    original_environment: deployment.environment,
    environment: deployment.environment,
    description: deployment.description,
    created_at: isoTime(deployment.createdAtMs),
    updated_at: isoTime(deployment.statuses.at(-1)?.atMs ?? deployment.createdAtMs),
    statuses_url: `${url}/statuses`,
    repository_url: repoUrl(hub, repo),
    creator: userShape(hub, deployment.creator),
    sha: deployment.sha,
    ref: deployment.ref,
    payload: deployment.payload,
    transient_environment: deployment.transient,
    production_environment: deployment.production,
    performed_via_github_app: deployment.app === null ? null : appShape(hub, deployment.app),
  };
};

export const deploymentStatusShape = (
  at: { readonly hub: Hub; readonly repo: Repo },
  deployment: Deployment,
  status: DeploymentStatus,
): Json => {
  const url = `${repoUrl(at.hub, at.repo)}/deployments/${deployment.id}`;
  return {
    url: `${url}/statuses/${status.id}`,
    id: status.id,
    node_id: nodeId('DeploymentStatus', status.id),
    state: status.state,
    creator: userShape(at.hub, status.creator),
    description: status.description,
    environment: deployment.environment,
    target_url: status.logUrl,
    created_at: isoTime(status.atMs),
    updated_at: isoTime(status.atMs),
    deployment_url: url,
    repository_url: repoUrl(at.hub, at.repo),
    environment_url: status.environmentUrl,
    log_url: status.logUrl,
    performed_via_github_app: deployment.app === null ? null : appShape(at.hub, deployment.app),
  };
};
