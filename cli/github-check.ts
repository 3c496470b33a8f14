// What of a setup on GitHub works, and what is missing with the way to mend it.
// In: a configuration. Out: findings, each a sentence. It changes nothing. Not here: making the App
// (github-app), the webhook (github-webhook), teams (github-teams), printing (github-setup).

import { siteOf } from '../reconciler/edge/forge/options.ts';
import { covers, PERMISSIONS, permissionWords } from '../reconciler/edge/forge/permissions.ts';
import { EVENTS, installUrl } from './github-app.ts';
import type { CheckAsk, Finding } from './github-finding.ts';
import { teamFindings } from './github-teams.ts';
import { webhookFinding } from './github-webhook.ts';

export const checkSetup = async (ask: CheckAsk): Promise<readonly Finding[]> => {
  const repository = await attempt('repository', () => repositoryFinding(ask));
  if (repository.state === 'missing') return [repository];
  return [
    repository,
    ...(await (ask.wire.isApp ? permissionFindings(ask) : tokenFindings(ask))),
    await attempt('branch', () => branchFinding(ask)),
    await attempt('webhook', () => webhookFinding(ask)),
  ];
};

/** A question that fails is a finding too. */
const attempt = async (name: string, work: () => Promise<Finding>): Promise<Finding> => {
  try {
    return await work();
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    const isAbsent = error instanceof Error && 'status' in error && error.status === 404;
    if (name === 'branch' && isAbsent) {
      const fix = 'push a first commit to it, or name another one with --branch';
      return { name, state: 'missing', words: 'the branch is not there', fix };
    }
    return { name, state: 'missing', words };
  }
};

interface ApiRepository {
  readonly full_name: string;
  readonly archived?: boolean;
  readonly permissions?: { readonly push?: boolean };
}

const repositoryFinding = async ({ wire }: CheckAsk): Promise<Finding> => {
  const name = 'repository';
  const found = await wire.poll({
    route: 'GET /repos/{owner}/{repo}',
    params: {},
    pick: (data) => data as ApiRepository,
  });
  if (found.archived === true) {
    const fix = 'unarchive it in its settings';
    return { name, state: 'missing', words: `${found.full_name} is archived`, fix };
  }
  if (!wire.isApp && found.permissions?.push !== true) {
    const words = `the token may not write to ${found.full_name}`;
    const fix =
      'give it «Contents», «Commit statuses», «Deployments» and «Pull requests: Read and write»';
    return { name, state: 'missing', words, fix };
  }
  return { name, state: 'ok', words: `${found.full_name} is open to Purser` };
};

const tokenFindings = async (ask: CheckAsk): Promise<readonly Finding[]> => [
  tokenFinding(ask),
  ...(await teamFindings(ask, null)),
];

const tokenFinding = ({ config }: CheckAsk): Finding => {
  const shown = config.comments ? 'commit statuses and one comment' : 'commit statuses';
  const words = `a token shows ${shown} on a pull request: checks and their buttons need an App`;
  return { name: 'login', state: 'ok', words };
};

interface ApiApp {
  readonly slug: string;
  readonly html_url: string;
  readonly owner?: { readonly login: string; readonly type: string } | null;
  readonly permissions: Readonly<Record<string, string>>;
  readonly events: readonly string[];
}

interface ApiInstallation {
  readonly html_url: string;
  readonly permissions: Readonly<Record<string, string>>;
}

/** What the App asks for, and what the installation was granted: both must hold. */
const permissionFindings = async (ask: CheckAsk): Promise<readonly Finding[]> => {
  const { wire, config } = ask;
  const app = await wire.poll({
    route: 'GET /app',
    params: {},
    pick: (data) => data as ApiApp,
  });
  const installed = await installationIn(ask);
  if (installed === null) return [notInstalled(config, app)];
  const { permissions: granted, html_url: accept } = installed;
  const settings = `${settingsOf(siteOf(config.apiUrl), app)}/permissions`;
  const missing = Object.entries(PERMISSIONS).filter(
    ([name, level]) => !covers(app.permissions[name], level) || !covers(granted[name], level),
  );
  const grant = (name: string, level: string): string =>
    covers(app.permissions[name], level)
      ? `accept the App's new permissions at ${accept}`
      : `grant it at ${settings}, then accept it at ${accept}`;
  const teams = covers(granted['members'], 'read')
    ? []
    : await teamFindings(ask, grant('members', 'read'));
  const lost = EVENTS.filter((event) => !app.events.includes(event));
  return [
    ...missing.map(([name, level]) => ({
      name: `permission ${name}`,
      state: 'missing' as const,
      words: `the App lacks ${permissionWords(name, level)}`,
      fix: grant(name, level),
    })),
    ...teams,
    ...(missing.length + teams.length === 0
      ? [{ name: 'permissions', state: 'ok' as const, words: 'the App may do all it needs' }]
      : []),
    ...(lost.length === 0
      ? []
      : [
          {
            name: 'events',
            state: 'missing' as const,
            words: `the App does not subscribe to ${lost.join(', ')}`,
            fix: `tick them under «Subscribe to events» at ${settings}`,
          },
        ]),
  ];
};

/** null: a public repository is shown to the App all the same. */
const installationIn = async ({ wire }: CheckAsk): Promise<ApiInstallation | null> => {
  try {
    return await wire.poll({
      route: 'GET /repos/{owner}/{repo}/installation',
      params: {},
      pick: (data) => data as ApiInstallation,
    });
  } catch (error) {
    if (error instanceof Error && 'status' in error && error.status === 404) return null;
    throw error;
  }
};

const notInstalled = ({ owner, repo }: CheckAsk['config'], app: ApiApp): Finding => {
  const words = `the App is not installed in ${owner}/${repo} (any more)`;
  const page = installUrl({ url: app.html_url });
  const fix = `install it, or add the repository to those that it may see, at ${page}`;
  return { name: 'installation', state: 'missing', words, fix };
};

/** Where whoever owns the App changes it. */
const settingsOf = (site: string, { slug, owner }: ApiApp): string =>
  owner?.type === 'Organization'
    ? `${site}/organizations/${owner.login}/settings/apps/${slug}`
    : `${site}/settings/apps/${slug}`;

interface ApiRule {
  readonly type: string;
  readonly ruleset_id?: number;
}

/** Rules that keep a push of Purser's from the branch, unless it may pass them by. */
const CLOSING = new Set(['pull_request', 'required_status_checks', 'update', 'merge_queue']);

const branchFinding = async ({ wire, config, branch }: CheckAsk): Promise<Finding> => {
  const name = 'branch';
  const rules = await wire.poll({
    route: 'GET /repos/{owner}/{repo}/rules/branches/{branch}',
    params: { branch },
    pick: (data) => data as readonly ApiRule[],
  });
  const settings = `${siteOf(config.apiUrl)}/${config.owner}/${config.repo}/settings`;
  const closing = rules.filter(({ type }) => CLOSING.has(type));
  for (const id of new Set(closing.flatMap(({ ruleset_id }) => ruleset_id ?? []))) {
    const bypass = await wire.poll({
      route: 'GET /repos/{owner}/{repo}/rulesets/{ruleset_id}',
      params: { ruleset_id: id },
      pick: (data) => (data as { current_user_can_bypass?: string }).current_user_can_bypass,
    });
    if (bypass === 'always') continue;
    return {
      name,
      state: 'missing',
      words: `a ruleset keeps Purser from pushing to ${branch}: it would offer its commits as pull requests`,
      fix: `add Purser under «Bypass list» with «Always» at ${settings}/rules/${id}`,
    };
  }
  const isProtected = await wire.poll({
    route: 'GET /repos/{owner}/{repo}/branches/{branch}',
    params: { branch },
    pick: (data) => (data as { readonly protected?: boolean }).protected === true,
  });
  if (isProtected && rules.length === 0) {
    return {
      name,
      state: 'unknown',
      words: `${branch} has a branch protection, which cannot be read without administering the repository`,
      fix: `if it requires pull requests, add Purser under «Allow specified actors to bypass required pull requests» at ${settings}/branches`,
    };
  }
  return { name, state: 'ok', words: `Purser may push to ${branch}` };
};
