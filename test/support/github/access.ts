// Who asks, and whether they may: tokens, Apps' JSON web tokens, permissions of Apps and people.
// In: the Authorization header, the operation. Out: a caller, or GitHub's 401, 403 or 404.

import { createPublicKey, randomBytes, verify } from 'node:crypto';
import type { OperationName } from './operations.ts';
import { grantedTo } from './shapes.ts';
import type { App, Call, Caller, Comment, Hub, Json, Level, Permissions } from './state.ts';
import type { Repo } from './state.ts';
import { HubError, atLeast, findRepo, notAccessible, notFound, reaches, roleOf } from './state.ts';

/**
 * `jwt`: as the App itself. `user`: as a person. `<permission>:<level>`: an App's installation with
 * it, or a person with that role. `checks:write` is for Apps only. `open`: anyone.
 */
type Need =
  | 'open'
  | 'jwt'
  | 'user'
  | 'installation'
  /** The organization's permission, or a person. */
  | 'members'
  | `${string}:${Level}`
  | `${string}:${Level}:people-read`;

const NEEDS: Readonly<Record<OperationName, Need>> = {
  'POST /app-manifests/{code}/conversions': 'open',
  'GET /app': 'jwt',
  'GET /app/installations': 'jwt',
  'GET /app/installations/{installation_id}': 'jwt',
  'POST /app/installations/{installation_id}/access_tokens': 'jwt',
  'GET /app/hook/config': 'jwt',
  'PATCH /app/hook/config': 'jwt',
  'GET /app/hook/deliveries': 'jwt',
  'GET /app/hook/deliveries/{delivery_id}': 'jwt',
  'POST /app/hook/deliveries/{delivery_id}/attempts': 'jwt',
  'GET /installation/repositories': 'installation',
  'GET /repos/{owner}/{repo}/installation': 'jwt',
  'GET /repos/{owner}/{repo}': 'metadata:read',
  'GET /repos/{owner}/{repo}/collaborators/{username}/permission': 'metadata:read',
  'GET /repos/{owner}/{repo}/branches/{branch}': 'contents:read',
  'GET /repos/{owner}/{repo}/branches/{branch}/protection': 'administration:read',
  'GET /repos/{owner}/{repo}/rules/branches/{branch}': 'metadata:read',
  'GET /repos/{owner}/{repo}/rulesets': 'metadata:read',
  'GET /repos/{owner}/{repo}/rulesets/{ruleset_id}': 'metadata:read',
  'GET /repos/{owner}/{repo}/contents/{path}': 'contents:read',
  'GET /repos/{owner}/{repo}/commits': 'contents:read',
  'GET /repos/{owner}/{repo}/commits/{ref}': 'contents:read',
  'GET /repos/{owner}/{repo}/commits/{commit_sha}/pulls': 'pull_requests:read',
  'GET /repos/{owner}/{repo}/git/ref/{ref}': 'contents:read',
  'GET /repos/{owner}/{repo}/git/matching-refs/{ref}': 'contents:read',
  'POST /repos/{owner}/{repo}/git/refs': 'contents:write',
  'PATCH /repos/{owner}/{repo}/git/refs/{ref}': 'contents:write',
  'DELETE /repos/{owner}/{repo}/git/refs/{ref}': 'contents:write',
  'GET /repos/{owner}/{repo}/pulls': 'pull_requests:read',
  'POST /repos/{owner}/{repo}/pulls': 'pull_requests:write:people-read',
  'GET /repos/{owner}/{repo}/pulls/{pull_number}': 'pull_requests:read',
  'PATCH /repos/{owner}/{repo}/pulls/{pull_number}': 'pull_requests:write',
  'GET /repos/{owner}/{repo}/pulls/{pull_number}/commits': 'pull_requests:read',
  'GET /repos/{owner}/{repo}/pulls/{pull_number}/files': 'pull_requests:read',
  'GET /repos/{owner}/{repo}/pulls/{pull_number}/merge': 'contents:read',
  'PUT /repos/{owner}/{repo}/pulls/{pull_number}/merge': 'contents:write',
  'GET /repos/{owner}/{repo}/pulls/{pull_number}/reviews': 'pull_requests:read',
  'POST /repos/{owner}/{repo}/pulls/{pull_number}/reviews': 'pull_requests:write:people-read',
  'PUT /repos/{owner}/{repo}/pulls/{pull_number}/reviews/{review_id}/dismissals':
    'pull_requests:write',
  'GET /repos/{owner}/{repo}/issues/comments': 'pull_requests:read',
  'GET /repos/{owner}/{repo}/issues/comments/{comment_id}': 'pull_requests:read',
  'PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}': 'pull_requests:write',
  'DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}': 'pull_requests:write',
  'GET /repos/{owner}/{repo}/issues/{issue_number}/comments': 'pull_requests:read',
  'POST /repos/{owner}/{repo}/issues/{issue_number}/comments': 'pull_requests:write:people-read',
  'GET /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions': 'pull_requests:read',
  'POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions':
    'pull_requests:write:people-read',
  'POST /repos/{owner}/{repo}/check-runs': 'checks:write',
  'GET /repos/{owner}/{repo}/check-runs/{check_run_id}': 'checks:read',
  'PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}': 'checks:write',
  'GET /repos/{owner}/{repo}/check-runs/{check_run_id}/annotations': 'checks:read',
  'POST /repos/{owner}/{repo}/check-runs/{check_run_id}/rerequest': 'checks:write',
  'GET /repos/{owner}/{repo}/commits/{ref}/check-runs': 'checks:read',
  'GET /repos/{owner}/{repo}/commits/{ref}/check-suites': 'checks:read',
  'POST /repos/{owner}/{repo}/check-suites': 'checks:write',
  'GET /repos/{owner}/{repo}/check-suites/{check_suite_id}': 'checks:read',
  'POST /repos/{owner}/{repo}/check-suites/{check_suite_id}/rerequest': 'checks:write',
  'GET /repos/{owner}/{repo}/check-suites/{check_suite_id}/check-runs': 'checks:read',
  'POST /repos/{owner}/{repo}/statuses/{sha}': 'statuses:write',
  'GET /repos/{owner}/{repo}/commits/{ref}/status': 'statuses:read',
  'GET /repos/{owner}/{repo}/commits/{ref}/statuses': 'statuses:read',
  'GET /repos/{owner}/{repo}/deployments': 'deployments:read',
  'POST /repos/{owner}/{repo}/deployments': 'deployments:write',
  'GET /repos/{owner}/{repo}/deployments/{deployment_id}': 'deployments:read',
  'GET /repos/{owner}/{repo}/deployments/{deployment_id}/statuses': 'deployments:read',
  'POST /repos/{owner}/{repo}/deployments/{deployment_id}/statuses': 'deployments:write',
  'GET /orgs/{org}/teams/{team_slug}/memberships/{username}': 'members',
  'GET /user': 'user',
  'GET /users/{username}': 'open',
  'GET /rate_limit': 'open',
  'GET /meta': 'open',
};

/** Comments of a pull request may also be written with `issues`. */
const ALSO: Readonly<Record<string, string>> = { pull_requests: 'issues' };

const unauthorized = (message: string): HubError => new HubError(401, { message, status: '401' });

/** Who asks; throws 401 for a token that is wrong or has ended. */
export const callerOf = (hub: Hub, header: string | undefined): Caller => {
  if (header === undefined) return { kind: 'nobody' };
  const [scheme = '', value = ''] = header.split(' ');
  const basic = scheme.toLowerCase() === 'basic';
  const text = basic ? passwordOf(value) : value;
  if (text.split('.').length === 3) return { kind: 'app', app: appOfJwt(hub, text) };
  const token = hub.tokens.get(text);
  if (token === undefined) throw unauthorized('Bad credentials');
  if (token.expiresAtMs !== null && token.expiresAtMs <= hub.now()) {
    throw unauthorized('Bad credentials');
  }
  return standing(hub, token.caller);
};

/** A token reaches what its installation reaches by now. */
const standing = (hub: Hub, caller: Caller): Caller => {
  if (caller.kind !== 'installation') return caller;
  const now = hub.installations.find(({ id }) => id === caller.installation.id);
  if (now === undefined) throw unauthorized('Bad credentials');
  if (now.suspendedAtMs !== null) throw suspended();
  const { repos } = caller.installation;
  const left = now.repos?.filter((repo) => repos === null || repos.includes(repo)) ?? repos;
  return { ...caller, installation: { ...caller.installation, repos: left } };
};

export const suspended = (): HubError =>
  new HubError(403, { message: 'This installation has been suspended', status: '403' });

const archived = (): HubError =>
  new HubError(403, { message: 'Repository was archived so is read-only.', status: '403' });

/** Git sends `x-access-token:<token>`, or the token as the name. */
const passwordOf = (value: string): string => {
  const login = Buffer.from(value, 'base64').toString('utf8');
  const [name = '', ...password] = login.split(':');
  return password.join(':') === '' ? name : password.join(':');
};

/** A token may live at most ten minutes, and a minute of clock skew is allowed. */
const JWT_LIFE_S = 600;
const JWT_SKEW_S = 60;

const appOfJwt = (hub: Hub, text: string): App => {
  const undecodable = unauthorized('A JSON web token could not be decoded');
  const [head = '', body = '', signature = ''] = text.split('.');
  let claims: Json = {};
  try {
    const header = JSON.parse(Buffer.from(head, 'base64url').toString()) as Json;
    if (header['alg'] !== 'RS256') throw undecodable;
    claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as Json;
  } catch {
    throw undecodable;
  }
  const issuer = String(claims['iss']);
  const app = hub.apps.find(({ id, clientId }) => issuer === String(id) || issuer === clientId);
  if (app === undefined)
    throw new HubError(404, { message: 'Integration not found', status: '404' });
  const key = createPublicKey(app.privateKey);
  const isTrue = verify(
    'RSA-SHA256',
    Buffer.from(`${head}.${body}`),
    key,
    Buffer.from(signature, 'base64url'),
  );
  if (!isTrue) throw undecodable;
  const [nowS, iat, exp] = [hub.now() / 1000, claims['iat'], claims['exp']];
  if (typeof iat !== 'number' || iat > nowS + JWT_SKEW_S) {
    throw unauthorized(
      "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
    );
  }
  if (typeof exp !== 'number' || exp <= nowS) {
    throw unauthorized(
      "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
    );
  }
  if (exp > nowS + JWT_LIFE_S + JWT_SKEW_S) {
    throw unauthorized("'Expiration time' claim ('exp') is too far in the future");
  }
  return app;
};

/** Throws GitHub's refusal if the caller may not do this. */
export const mayCall = (call: Call): void => {
  mayAsk(call);
  const { hub, name, path } = call;
  const repo = findRepo(hub, path['owner'] ?? '', path['repo'] ?? '');
  if (repo?.archived === true && !name.startsWith('GET ')) throw archived();
};

const mayAsk = ({ hub, name, path, caller }: Call): void => {
  const need = NEEDS[name];
  const isRead = name.startsWith('GET ');
  if (need === 'open') return;
  if (need === 'jwt') {
    if (caller.kind === 'app') return;
    throw unauthorized('A JSON web token could not be decoded');
  }
  if (need === 'user') {
    if (caller.kind === 'user') return;
    if (caller.kind === 'nobody') throw unauthorized('Requires authentication');
    throw notAccessible();
  }
  if (need === 'members') {
    if (caller.kind === 'user') return;
    if (caller.kind !== 'installation') throw unauthorized('Requires authentication');
    if (atLeast(caller.permissions['members'] ?? 'none', 'read')) return;
    throw notAccessible();
  }
  if (need === 'installation') {
    if (caller.kind === 'installation') return;
    throw new HubError(403, {
      message:
        'You must authenticate with an installation access token in order to list repositories for an installation.',
      status: '403',
    });
  }
  const repo = findRepo(hub, path['owner'] ?? '', path['repo'] ?? '');
  if (repo === null) throw notFound();
  const [permission = '', level = '', people] = need.split(':');
  if (caller.kind === 'nobody') {
    if (repo.private) throw notFound();
    if (!isRead || permission === 'administration') throw unauthorized('Requires authentication');
    return;
  }
  if (caller.kind === 'app') {
    throw unauthorized('A JSON web token is for the App’s own endpoints only');
  }
  if (caller.kind === 'user') {
    const role = roleOf(repo, caller.account);
    if (role === 'none') throw notFound();
    if (permission === 'checks' && level === 'write') {
      throw new HubError(403, {
        message: 'You must authenticate via a GitHub App.',
        status: '403',
      });
    }
    const wanted =
      permission === 'administration' ? 'admin' : people === 'people-read' ? 'read' : level;
    if (atLeast(role, wanted)) return;
    throw wanted === 'admin'
      ? notFound()
      : new HubError(403, { message: 'Must have write access to the repository.', status: '403' });
  }
  if (!reaches(caller.installation, repo)) {
    if (repo.private) throw notFound();
    if (isRead) return;
    throw notAccessible();
  }
  const names = [permission, ...(ALSO[permission] === undefined ? [] : [ALSO[permission]])];
  if (!names.some((each) => atLeast(caller.permissions[each] ?? 'none', level))) {
    throw notAccessible(
      names
        .toReversed()
        .map((each) => `${each}=${level}`)
        .join('; '),
    );
  }
};

/** Whether the caller may read or push this repository by Git. */
export const mayUseGit = (repo: Repo, caller: Caller, level: Level): boolean => {
  switch (caller.kind) {
    case 'nobody':
      return level === 'read' && !repo.private;
    case 'app':
      return false;
    case 'user':
      return atLeast(roleOf(repo, caller.account), level);
    case 'installation':
      if (!reaches(caller.installation, repo)) return level === 'read' && !repo.private;
      return atLeast(caller.permissions['contents'] ?? 'none', level);
    default:
      return caller satisfies never;
  }
};

/** GraphQL's rule: with write access; an App its own and others' comments. */
export const mayMinimize = (repo: Repo, comment: Comment, caller: Caller): boolean => {
  if (caller.kind === 'user') {
    return caller.account === comment.author || atLeast(roleOf(repo, caller.account), 'write');
  }
  if (caller.kind !== 'installation' || !reaches(caller.installation, repo)) return false;
  return ['pull_requests', 'issues'].some((name) => caller.permissions[name] === 'write');
};

/** A token that ends; 422 if more is asked than the App was given. */
export const makeToken = (
  hub: Hub,
  caller: Extract<Caller, { kind: 'installation' | 'user' }>,
  lifeMs: number | null,
): { readonly text: string; readonly expiresAtMs: number | null } => {
  const prefix = caller.kind === 'installation' ? 'ghs' : 'ghp';
  const text = `${prefix}_${randomBytes(18).toString('hex')}`;
  const expiresAtMs = lifeMs === null ? null : hub.now() + lifeMs;
  hub.tokens.set(text, { text, caller, expiresAtMs });
  return { text, expiresAtMs };
};

export const permissionsFor = (app: App, asked: Permissions | undefined): Permissions => {
  const granted = grantedTo(app.permissions);
  for (const [name, level] of Object.entries(asked ?? {})) {
    if (atLeast(granted[name] ?? 'none', level)) continue;
    throw new HubError(422, {
      message: 'The permissions requested are not granted to this installation.',
      status: '422',
    });
  }
  return asked ?? granted;
};
