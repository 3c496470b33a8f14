// Routes of commit statuses and of deployments.
// In: calls. Out: answers, changed records. Not here: checks (routes-checks.ts).

import { isAncestor } from './git.ts';
import { shaOf } from './routes-repos.ts';
import { deploymentShape, deploymentStatusShape, simpleStatusShape } from './shapes-checks.ts';
import { statusShape } from './shapes-checks.ts';
import { minimalRepoShape, repoUrl } from './shapes.ts';
import type { Answer, Call, Deployment, DeploymentStatus, Repo, Routes, Status } from './state.ts';
import { HubError, actorOf, appOf, list, ok, recordOf, repoOf, textOf } from './state.ts';
import { unprocessable } from './state.ts';

/** GitHub takes so many statuses of one commit and context, and then no more. */
const STATUSES_LIMIT = 1000;
const DESCRIPTION_LIMIT = 140;

const createStatus = async (call: Call): Promise<Answer> => {
  const { hub, body } = call;
  const repo = repoOf(call);
  const sha = await shaOf(repo, call.path['sha'] ?? '');
  const context = textOf(body['context'], 'default');
  if (textOf(body['description']).length > DESCRIPTION_LIMIT) {
    const message = `description is too long (maximum is ${DESCRIPTION_LIMIT} characters)`;
    throw unprocessable('Status', 'description', { code: 'custom', message });
  }
  const same = repo.statuses.filter((each) => each.sha === sha && each.context === context);
  if (same.length >= STATUSES_LIMIT) {
    const message = 'This SHA and context has reached the maximum number of statuses.';
    throw unprocessable('Status', 'base', { code: 'custom', message });
  }
  const text = (key: string): string | null => {
    const value = body[key];
    return typeof value === 'string' ? value : null;
  };
  const status: Status = {
    id: hub.nextId(),
    sha,
    context,
    state: String(body['state']),
    description: text('description'),
    targetUrl: text('target_url'),
    creator: actorOf(call.caller),
    atMs: hub.now(),
  };
  repo.statuses.push(status);
  return ok(statusShape(hub, repo, status), 201);
};

/** The newest of each context. */
export const latestStatuses = (repo: Repo, sha: string): readonly Status[] => {
  const latest = new Map<string, Status>();
  for (const status of repo.statuses) if (status.sha === sha) latest.set(status.context, status);
  return [...latest.values()];
};

const combined = async (call: Call): Promise<Answer> => {
  const { hub } = call;
  const repo = repoOf(call);
  const sha = await shaOf(repo, call.path['ref'] ?? '');
  const latest = latestStatuses(repo, sha);
  const isBad = latest.some(({ state }) => state === 'failure' || state === 'error');
  const isGood = latest.length > 0 && latest.every(({ state }) => state === 'success');
  const url = `${repoUrl(hub, repo)}/commits/${sha}`;
  return {
    kind: 'list',
    items: latest.map((status) => simpleStatusShape(hub, repo, status)),
    wrap: (statuses, total) => ({
      state: isBad ? 'failure' : isGood ? 'success' : 'pending',
      statuses,
      sha,
      total_count: total,
      repository: minimalRepoShape(hub, repo),
      commit_url: url,
      url: `${url}/status`,
    }),
  };
};

/** What GitHub checks before it deploys, unless it is told not to: contexts, and the branch. */
const checkDeployable = async (call: Call, sha: string): Promise<void> => {
  const repo = repoOf(call);
  const { required_contexts: required, auto_merge: autoMerge, ref } = call.body;
  const names = Array.isArray(required) ? (required as readonly string[]) : null;
  const states = new Map<string, boolean>();
  for (const status of latestStatuses(repo, sha)) {
    states.set(status.context, status.state === 'success');
  }
  for (const run of repo.checks.values()) {
    if (run.sha === sha) states.set(run.name, run.conclusion === 'success');
  }
  const bad = (names ?? [...states.keys()]).filter((name) => states.get(name) !== true);
  if (bad.length > 0) {
    throw new HubError(409, {
      message: `Conflict: Commit status checks failed for ${String(ref)}.`,
      errors: [
        { contexts: bad, resource: 'Deployment', field: 'required_contexts', code: 'invalid' },
      ],
      status: '409',
    });
  }
  const base = await shaOf(repo, repo.defaultBranch);
  if (autoMerge === false || sha === ref || (await isAncestor(repo.folder, base, sha))) return;
  const message = `Conflict merging ${repo.defaultBranch} into ${String(ref)}.`;
  throw new HubError(409, { message, status: '409' });
};

const createDeployment = async (call: Call): Promise<Answer> => {
  const { hub, body } = call;
  const repo = repoOf(call);
  const ref = String(body['ref']);
  const sha = await shaOf(repo, ref);
  await checkDeployable(call, sha);
  const environment = textOf(body['environment'], 'production');
  const production = body['production_environment'];
  const deployment: Deployment = {
    id: hub.nextId(),
    sha,
    ref,
    task: textOf(body['task'], 'deploy'),
    environment,
    description: typeof body['description'] === 'string' ? body['description'] : null,
    payload: body['payload'] ?? {},
    creator: actorOf(call.caller),
    app: appOf(call.caller),
    transient: body['transient_environment'] === true,
    production: typeof production === 'boolean' ? production : environment === 'production',
    createdAtMs: hub.now(),
    statuses: [],
  };
  repo.deployments.set(deployment.id, deployment);
  return ok(deploymentShape(hub, repo, deployment), 201);
};

const listDeployments = (call: Call): Answer => {
  const { hub, query } = call;
  const repo = repoOf(call);
  const wanted = ['sha', 'ref', 'task', 'environment'] as const;
  const found = [...repo.deployments.values()]
    .filter((each) =>
      wanted.every((key) => {
        const value = query.get(key);
        return value === null || value === 'none' || each[key] === value;
      }),
    )
    .toReversed();
  return list(found.map((each) => deploymentShape(hub, repo, each)));
};

const createDeploymentStatus = (call: Call): Answer => {
  const { hub, body } = call;
  const repo = repoOf(call);
  const deployment = recordOf(repo.deployments, call.path['deployment_id']);
  const description = textOf(body['description']);
  if (description.length > DESCRIPTION_LIMIT) {
    const message = `description is too long (maximum is ${DESCRIPTION_LIMIT} characters)`;
    throw unprocessable('DeploymentStatus', 'description', { code: 'custom', message });
  }
  const status: DeploymentStatus = {
    id: hub.nextId(),
    state: String(body['state']),
    description,
    environmentUrl: textOf(body['environment_url']),
    logUrl: textOf(body['log_url'], textOf(body['target_url'])),
    creator: actorOf(call.caller),
    atMs: hub.now(),
  };
  deployment.statuses.push(status);
  if (status.state === 'success' && body['auto_inactive'] !== false) retire(call, deployment);
  return ok(deploymentStatusShape({ hub, repo }, deployment, status), 201);
};

/** A success makes older ones of the environment inactive that succeeded, but for production. */
const retire = (call: Call, success: Deployment): void => {
  for (const old of repoOf(call).deployments.values()) {
    if (old === success || old.environment !== success.environment) continue;
    if (old.transient || old.production || old.id > success.id) continue;
    if (old.statuses.at(-1)?.state !== 'success') continue;
    old.statuses.push({
      id: call.hub.nextId(),
      state: 'inactive',
      description: '',
      environmentUrl: '',
      logUrl: '',
      creator: success.creator,
      atMs: call.hub.now(),
    });
  }
};

export const statusRoutes: Routes = {
  'POST /repos/{owner}/{repo}/statuses/{sha}': createStatus,
  'GET /repos/{owner}/{repo}/commits/{ref}/status': combined,
  'GET /repos/{owner}/{repo}/commits/{ref}/statuses': async (call) => {
    const repo = repoOf(call);
    const sha = await shaOf(repo, call.path['ref'] ?? '');
    const found = repo.statuses.filter((each) => each.sha === sha).toReversed();
    return list(found.map((each) => statusShape(call.hub, repo, each)));
  },
  'GET /repos/{owner}/{repo}/deployments': listDeployments,
  'POST /repos/{owner}/{repo}/deployments': createDeployment,
  'GET /repos/{owner}/{repo}/deployments/{deployment_id}': (call) => {
    const repo = repoOf(call);
    const found = recordOf(repo.deployments, call.path['deployment_id']);
    return ok(deploymentShape(call.hub, repo, found));
  },
  'GET /repos/{owner}/{repo}/deployments/{deployment_id}/statuses': (call) => {
    const { hub } = call;
    const repo = repoOf(call);
    const deployment = recordOf(repo.deployments, call.path['deployment_id']);
    const at = { hub, repo };
    return list(
      deployment.statuses.toReversed().map((each) => deploymentStatusShape(at, deployment, each)),
    );
  },
  'POST /repos/{owner}/{repo}/deployments/{deployment_id}/statuses': createDeploymentStatus,
};
