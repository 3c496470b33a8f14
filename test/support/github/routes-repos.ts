// Routes of a repository: itself, who may what, branches and their rules, commits, refs.
// In: calls. Out: answers. Not here: pull requests (routes-pulls.ts).

import {
  blobAt,
  commitOf,
  gitIn,
  isAncestor,
  logOf,
  moveRef,
  readRefs,
  resolveCommit,
} from './git.ts';
import { changingRefs } from './pulls.ts';
import { commitShape, fileShape, fullRepoShape, nodeId, repoPage, repoUrl } from './shapes.ts';
import { userShape } from './shapes.ts';
import { filesBetween } from './git.ts';
import { simplePullShape } from './shapes-pulls.ts';
import type { Answer, Call, Caller, Hub, Json, Protection, Pull, Repo, Routes } from './state.ts';
import { HubError, actorOf, appOf, atLeast, fullName, list, notFound, ok } from './state.ts';
import { repoOf, roleOf } from './state.ts';

export const shaOf = async (repo: Repo, ref: string): Promise<string> => {
  const sha = await resolveCommit(repo.folder, ref);
  if (sha !== null) return sha;
  throw new HubError(422, { message: `No commit found for SHA: ${ref}`, status: '422' });
};

const permissionsOf = (repo: Repo, caller: Caller): Json => {
  const role =
    caller.kind === 'user'
      ? roleOf(repo, caller.account)
      : caller.kind === 'installation'
        ? (caller.permissions['contents'] ?? 'none')
        : 'read';
  return {
    admin: role === 'admin',
    maintain: role === 'admin',
    push: atLeast(role, 'write'),
    triage: atLeast(role, 'write'),
    pull: atLeast(role, 'read'),
  };
};

const permission = (call: Call): Answer => {
  const repo = repoOf(call);
  const account = call.hub.accounts.get((call.path['username'] ?? '').toLowerCase());
  if (account === undefined) throw notFound();
  const role = roleOf(repo, account);
  const permissions = permissionsOf(repo, { kind: 'user', account });
  const user = { ...userShape(call.hub, account), permissions, role_name: role };
  return ok({ permission: role, role_name: role, user });
};

/** A file; folders are not served. */
const contents = async (call: Call): Promise<Answer> => {
  const repo = repoOf(call);
  const { path = '' } = call.path;
  const at = await shaOf(repo, call.query.get('ref') ?? repo.defaultBranch);
  const sha = await blobAt(repo.folder, at, path);
  if (sha === null) throw notFound();
  const text = await gitIn(repo.folder, ['cat-file', 'blob', sha]);
  const url = `${repoUrl(call.hub, repo)}/contents/${path}?ref=${at}`;
  const git = `${repoUrl(call.hub, repo)}/git/blobs/${sha}`;
  const html = `${repoPage(call.hub, repo)}/blob/${at}/${path}`;
  const { length: size } = Buffer.from(text);
  const name = path.split('/').at(-1) ?? '';
  const links = { self: url, git, html };
  const more = { url, git_url: git, html_url: html, download_url: html, _links: links };
  const content = `${Buffer.from(text).toString('base64')}\n`;
  return ok({ type: 'file', encoding: 'base64', size, name, path, content, sha, ...more });
};

/** Whether a rule does not hold for this caller. */
const bypasses = ({ bypass }: Protection, caller: Caller): boolean => {
  const app = appOf(caller);
  if (app !== null) return bypass.includes(app.slug);
  return caller.kind === 'user' && bypass.includes(caller.account.login);
};

/** Why a push of this branch is refused; null: it is not. */
export const refusedPush = (repo: Repo, caller: Caller, branch: string): string | null => {
  const rule = repo.protections.find((each) => each.branch === branch && !bypasses(each, caller));
  if (rule === undefined) return null;
  const why = rule.requirePull
    ? 'Changes must be made through a pull request.'
    : rule.requiredChecks.length > 0
      ? `Required status check "${rule.requiredChecks[0]}" is expected.`
      : null;
  if (why === null) return null;
  return rule.kind === 'classic'
    ? `error: GH006: Protected branch update failed for refs/heads/${branch}.\nerror: ${why}`
    : `error: GH013: Repository rule violations found for refs/heads/${branch}.\n\n- ${why}`;
};

const protectionShape = (hub: Hub, repo: Repo, rule: Protection): Json => {
  const url = `${repoUrl(hub, repo)}/branches/${rule.branch}/protection`;
  return {
    url,
    ...(rule.requiredChecks.length === 0
      ? {}
      : {
          required_status_checks: {
            url: `${url}/required_status_checks`,
            strict: false,
            contexts: rule.requiredChecks,
            contexts_url: `${url}/required_status_checks/contexts`,
            checks: rule.requiredChecks.map((context) => ({ context, app_id: null })),
          },
        }),
    ...(rule.requirePull
      ? {
          required_pull_request_reviews: {
            url: `${url}/required_pull_request_reviews`,
            dismiss_stale_reviews: false,
            require_code_owner_reviews: false,
            required_approving_review_count: 0,
          },
        }
      : {}),
    enforce_admins: { url: `${url}/enforce_admins`, enabled: true },
    allow_force_pushes: { enabled: false },
    allow_deletions: { enabled: false },
  };
};

const rulesOf = (repo: Repo, rule: Protection): readonly Json[] => {
  const from = {
    ruleset_source_type: 'Repository',
    ruleset_source: fullName(repo),
    ruleset_id: rule.id,
  };
  const checks = rule.requiredChecks.map((context) => ({ context }));
  return [
    ...(rule.requirePull
      ? [
          {
            type: 'pull_request',
            parameters: {
              required_approving_review_count: 0,
              dismiss_stale_reviews_on_push: false,
              require_code_owner_review: false,
              require_last_push_approval: false,
              required_review_thread_resolution: false,
            },
            ...from,
          },
        ]
      : []),
    ...(checks.length === 0
      ? []
      : [
          {
            type: 'required_status_checks',
            parameters: {
              required_status_checks: checks,
              strict_required_status_checks_policy: false,
            },
            ...from,
          },
        ]),
  ];
};

const rulesets = (repo: Repo): readonly Protection[] =>
  repo.protections.filter(({ kind }) => kind === 'ruleset');

const rulesetShape = (call: Call, repo: Repo, rule: Protection, whole: boolean): Json => {
  const { hub, caller } = call;
  const app = (slug: string) => hub.apps.find((each) => each.slug === slug);
  return {
    id: rule.id,
    name: `rules of ${rule.branch}`,
    target: 'branch',
    source_type: 'Repository',
    source: fullName(repo),
    enforcement: 'active',
    node_id: nodeId('RepositoryRuleset', rule.id),
    ...(whole
      ? {
          current_user_can_bypass: bypasses(rule, caller) ? 'always' : 'never',
          conditions: { ref_name: { include: [`refs/heads/${rule.branch}`], exclude: [] } },
          rules: rulesOf(repo, rule).map(({ type, parameters }) => ({ type, parameters })),
          // Only for those who may change the rules.
          ...(caller.kind === 'user' && roleOf(repo, caller.account) === 'admin'
            ? {
                bypass_actors: rule.bypass.map((slug) => ({
                  actor_id: app(slug)?.id ?? hub.accounts.get(slug)?.id ?? 0,
                  actor_type: app(slug) === undefined ? 'User' : 'Integration',
                  bypass_mode: 'always',
                })),
              }
            : {}),
        }
      : {}),
  };
};

const branch = async (call: Call): Promise<Answer> => {
  const { hub, path } = call;
  const repo = repoOf(call);
  const name = path['branch'] ?? '';
  const sha = (await readRefs(repo.folder)).get(`refs/heads/${name}`);
  if (sha === undefined) throw new HubError(404, { message: 'Branch not found', status: '404' });
  const url = `${repoUrl(hub, repo)}/branches/${name}`;
  const rule = repo.protections.find((each) => each.branch === name);
  return ok({
    name,
    commit: commitShape(hub, repo, await commitOf(repo.folder, sha)),
    _links: { self: url, html: `${repoPage(hub, repo)}/tree/${name}` },
    protected: rule !== undefined,
    protection: { enabled: rule?.kind === 'classic' },
    protection_url: `${url}/protection`,
  });
};

const refShape = (hub: Hub, repo: Repo, [ref, sha]: readonly [string, string]): Json => ({
  ref,
  node_id: nodeId('Ref', ref),
  url: `${repoUrl(hub, repo)}/git/${ref}`,
  object: { type: 'commit', sha, url: `${repoUrl(hub, repo)}/git/commits/${sha}` },
});

const writeRef = async (
  call: Call,
  ref: string,
  { to, isNew, force }: { readonly to: string | null; readonly isNew: boolean; force: boolean },
): Promise<Answer> => {
  const { hub, caller } = call;
  const repo = repoOf(call);
  const custom = (message: string): HubError => new HubError(422, { message, status: '422' });
  if (!/^refs\/[^/]+\/.+/.test(ref)) throw custom('Reference name must start with refs/');
  if (to !== null)
    await shaOf(repo, to).catch(() => Promise.reject(custom('Object does not exist')));
  const head = ref.startsWith('refs/heads/') ? ref.slice('refs/heads/'.length) : null;
  const refused = head === null ? null : refusedPush(repo, caller, head);
  if (refused !== null) throw custom(refused.split('\n').at(-1) ?? refused);
  return changingRefs({ hub, repo }, actorOf(caller), async () => {
    const old = (await readRefs(repo.folder)).get(ref) ?? null;
    if (isNew && old !== null) throw custom('Reference already exists');
    if (!isNew && old === null) throw custom('Reference does not exist');
    if (!force && old !== null && to !== null && !(await isAncestor(repo.folder, old, to))) {
      throw custom('Update is not a fast forward');
    }
    await moveRef(repo.folder, ref, { old, to });
    if (to === null) return { kind: 'one', status: 204 };
    return ok(refShape(hub, repo, [ref, to]), isNew ? 201 : 200);
  });
};

const oneCommit = async (call: Call): Promise<Answer> => {
  const { hub, path } = call;
  const repo = repoOf(call);
  const commit = await commitOf(repo.folder, await shaOf(repo, path['ref'] ?? ''));
  const files = await filesBetween(repo.folder, commit.parents[0] ?? null, commit.sha);
  const sum = (key: 'additions' | 'deletions'): number =>
    files.reduce((all, file) => all + file[key], 0);
  return ok({
    ...commitShape(hub, repo, commit),
    stats: {
      total: sum('additions') + sum('deletions'),
      additions: sum('additions'),
      deletions: sum('deletions'),
    },
    files: files.map((file) => fileShape({ hub, repo }, file, commit.sha)),
  });
};

/** So many commits are read for one list. */
const COMMITS_LIMIT = 1000;

const commits = async (call: Call): Promise<Answer> => {
  const { hub, query } = call;
  const repo = repoOf(call);
  const sha = await shaOf(repo, query.get('sha') ?? repo.defaultBranch);
  const path = query.get('path');
  const author = query.get('author')?.toLowerCase();
  const found =
    path === null
      ? await logOf(repo.folder, `--max-count=${COMMITS_LIMIT}`, sha)
      : await logOfPath(repo, sha, path);
  const theirs = found.filter(
    (commit) => author === undefined || commit.author.email.toLowerCase() === author,
  );
  return list(theirs.map((commit) => commitShape(hub, repo, commit)));
};

const logOfPath = async (repo: Repo, sha: string, path: string) => {
  const ids = await gitIn(repo.folder, [
    'rev-list',
    `--max-count=${COMMITS_LIMIT}`,
    sha,
    '--',
    path,
  ]);
  const shas = ids.split('\n').filter((id) => id !== '');
  return Promise.all(shas.map((id) => commitOf(repo.folder, id)));
};

/** A commit that a merged pull request brought in, also one of several that were rebased. */
const broughtIn = async (repo: Repo, { merged, base }: Pull, sha: string): Promise<boolean> =>
  merged !== null &&
  (await isAncestor(repo.folder, sha, merged.sha)) &&
  !(await isAncestor(repo.folder, sha, base.sha));

export const repoRoutes: Routes = {
  'GET /repos/{owner}/{repo}': (call) => {
    const repo = repoOf(call);
    return ok(fullRepoShape(call.hub, repo, permissionsOf(repo, call.caller)));
  },
  'GET /repos/{owner}/{repo}/collaborators/{username}/permission': permission,
  'GET /repos/{owner}/{repo}/branches/{branch}': branch,
  'GET /repos/{owner}/{repo}/branches/{branch}/protection': (call) => {
    const repo = repoOf(call);
    const rule = repo.protections.find(
      (each) => each.branch === call.path['branch'] && each.kind === 'classic',
    );
    if (rule !== undefined) return ok(protectionShape(call.hub, repo, rule));
    throw new HubError(404, { message: 'Branch not protected', status: '404' });
  },
  'GET /repos/{owner}/{repo}/rules/branches/{branch}': (call) => {
    const repo = repoOf(call);
    const rules = rulesets(repo).filter((each) => each.branch === call.path['branch']);
    return list(rules.flatMap((rule) => rulesOf(repo, rule)));
  },
  'GET /repos/{owner}/{repo}/rulesets': (call) => {
    const repo = repoOf(call);
    return list(rulesets(repo).map((rule) => rulesetShape(call, repo, rule, false)));
  },
  'GET /repos/{owner}/{repo}/rulesets/{ruleset_id}': (call) => {
    const repo = repoOf(call);
    const rule = rulesets(repo).find(({ id }) => id === Number(call.path['ruleset_id']));
    if (rule === undefined) throw notFound();
    return ok(rulesetShape(call, repo, rule, true));
  },
  'GET /repos/{owner}/{repo}/contents/{path}': contents,
  'GET /repos/{owner}/{repo}/commits': commits,
  'GET /repos/{owner}/{repo}/commits/{ref}': oneCommit,
  'GET /orgs/{org}/teams/{team_slug}/memberships/{username}': (call) => {
    const { org = '', team_slug: slug = '', username = '' } = call.path;
    const team = `${org}/${slug}`.toLowerCase();
    const isMember = call.hub.teams.get(team)?.has(username.toLowerCase()) === true;
    if (!isMember) return { kind: 'one', status: 404 };
    const url = `${call.hub.api}/orgs/${org}/teams/${slug}/memberships/${username}`;
    return ok({ url, role: 'member', state: 'active' });
  },
  'GET /repos/{owner}/{repo}/commits/{commit_sha}/pulls': async (call) => {
    const repo = repoOf(call);
    const sha = await shaOf(repo, call.path['commit_sha'] ?? '');
    const found = [];
    for (const pull of repo.pulls.values()) {
      const { head, merged } = pull;
      if (head.sha === sha || merged?.sha === sha || (await broughtIn(repo, pull, sha))) {
        found.push(pull);
      }
    }
    return list(found.map((pull) => simplePullShape(call.hub, repo, pull)));
  },
  'GET /repos/{owner}/{repo}/git/ref/{ref}': async (call) => {
    const repo = repoOf(call);
    const ref = `refs/${call.path['ref']}`;
    const sha = (await readRefs(repo.folder)).get(ref);
    if (sha === undefined) throw notFound();
    return ok(refShape(call.hub, repo, [ref, sha]));
  },
  'GET /repos/{owner}/{repo}/git/matching-refs/{ref}': async (call) => {
    const repo = repoOf(call);
    const refs = [...(await readRefs(repo.folder))].filter(([ref]) =>
      ref.startsWith(`refs/${call.path['ref']}`),
    );
    return list(refs.map((entry) => refShape(call.hub, repo, entry)));
  },
  'POST /repos/{owner}/{repo}/git/refs': (call) =>
    writeRef(call, String(call.body['ref']), {
      to: String(call.body['sha']),
      isNew: true,
      force: false,
    }),
  'PATCH /repos/{owner}/{repo}/git/refs/{ref}': (call) =>
    writeRef(call, `refs/${call.path['ref']}`, {
      to: String(call.body['sha']),
      isNew: false,
      force: call.body['force'] === true,
    }),
  'DELETE /repos/{owner}/{repo}/git/refs/{ref}': (call) =>
    writeRef(call, `refs/${call.path['ref']}`, { to: null, isNew: false, force: true }),
};
