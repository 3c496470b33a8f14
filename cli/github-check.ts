// What of a setup on GitHub works, and what is missing with the way to mend it.
// In: a configuration. Out: findings, each a sentence. It changes one thing only: an App's webhook
// address, where one is given. Not here: making the App (github-app), printing (github).

import type { ForgeConfig } from '../reconciler/config.ts';
import type { ApiDelivery } from '../reconciler/edge/forge/answers.ts';
import { permissionWords } from '../reconciler/edge/forge/failure.ts';
import { siteOf } from '../reconciler/edge/forge/options.ts';
import { createReceiver } from '../reconciler/edge/forge/webhooks.ts';
import type { Wire } from '../reconciler/edge/forge/wire.ts';
import type { ClockPort } from '../reconciler/ports.ts';
import { EVENTS, PERMISSIONS } from './github-app.ts';

export interface Finding {
  readonly name: string;
  /** `unknown`: it cannot be read with what was given. */
  readonly state: 'ok' | 'missing' | 'unknown';
  readonly words: string;
  /** What to do; absent where nothing is to be done. */
  readonly fix?: string;
}

export interface CheckAsk {
  readonly config: ForgeConfig;
  readonly wire: Wire;
  readonly branch: string;
  /** What GitHub sends deliveries to; null: nowhere. */
  readonly webhookUrl: string | null;
  readonly clock: ClockPort;
}

export const checkSetup = async (ask: CheckAsk): Promise<readonly Finding[]> => {
  const repository = await attempt('repository', () => repositoryFinding(ask));
  if (repository.state === 'missing') return [repository];
  return [
    repository,
    ...(ask.wire.isApp ? await permissionFindings(ask) : []),
    await attempt('branch', () => branchFinding(ask)),
    ...(ask.wire.isApp ? [await attempt('webhook', () => webhookFinding(ask))] : []),
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

interface ApiApp {
  readonly slug: string;
  readonly html_url: string;
  readonly permissions: Readonly<Record<string, string>>;
  readonly events: readonly string[];
}

/** What the App asks for, and what the installation was granted: both must hold. */
const permissionFindings = async ({ wire, config }: CheckAsk): Promise<readonly Finding[]> => {
  const app = await wire.poll({
    route: 'GET /app',
    params: {},
    pick: (data) => data as ApiApp,
  });
  const granted = await wire.poll({
    route: 'GET /repos/{owner}/{repo}/installation',
    params: {},
    pick: (data) => (data as ApiApp).permissions,
  });
  const site = siteOf(config.apiUrl);
  const missing = Object.entries(PERMISSIONS).filter(
    ([name, level]) => !covers(app.permissions[name], level) || !covers(granted[name], level),
  );
  const lost = EVENTS.filter((event) => !app.events.includes(event));
  const accept = `${site}/${config.owner}/${config.repo}/settings/installations`;
  return [
    ...missing.map(([name, level]) => ({
      name: `permission ${name}`,
      state: 'missing' as const,
      words: `the App lacks ${permissionWords(name, level)}`,
      fix: covers(app.permissions[name], level)
        ? `accept the App's new permissions at ${accept}`
        : `grant it in the settings of ${app.html_url} under «Permissions & events», then accept it at ${accept}`,
    })),
    ...(missing.length === 0
      ? [{ name: 'permissions', state: 'ok' as const, words: 'the App may do all it needs' }]
      : []),
    ...(lost.length === 0
      ? []
      : [
          {
            name: 'events',
            state: 'missing' as const,
            words: `the App does not subscribe to ${lost.join(', ')}`,
            fix: `tick them in the settings of ${app.html_url} under «Permissions & events»`,
          },
        ]),
  ];
};

const covers = (has: string | undefined, needs: string): boolean =>
  has === 'write' || has === 'admin' || (has === 'read' && needs === 'read');

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

/** So long is waited for a delivery that was asked for. */
const DELIVERY_WAIT_MS = 20_000;

/** Asks GitHub for a delivery and waits until it is here, signed with our secret. */
const webhookFinding = async ({ wire, config, webhookUrl, clock }: CheckAsk): Promise<Finding> => {
  const name = 'webhook';
  if (config.webhook === null) {
    const words = 'there is no webhook: GitHub is asked every ten seconds instead';
    const fix = 'give `--webhook-url` an address that GitHub reaches to have changes at once';
    return { name, state: 'ok', words, fix };
  }
  const arrived = { at: 0 };
  const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };
  const receiver = createReceiver({
    config: config.webhook,
    clock,
    log: quiet,
    onDelivery: () => void (arrived.at = clock.now()),
  });
  await receiver.listen();
  try {
    const [newest] = await wire.poll({
      route: 'GET /app/hook/deliveries',
      params: { per_page: 1 },
      pick: (data) => data as readonly ApiDelivery[],
      once: true,
    });
    if (newest === undefined) {
      const words = 'GitHub has not sent anything yet';
      const fix = 'push a commit, then run `purser github setup` again';
      return { name, state: 'unknown', words, fix };
    }
    const route = 'POST /app/hook/deliveries/{delivery_id}/attempts';
    await wire.send(route, { delivery_id: newest.id });
    const until = clock.now() + DELIVERY_WAIT_MS;
    while (arrived.at === 0 && clock.now() < until) {
      await clock.sleepUntil(clock.now() + 50, new AbortController().signal);
    }
  } finally {
    await receiver.close();
  }
  if (arrived.at > 0) return { name, state: 'ok', words: 'a delivery of GitHub arrived, signed' };
  return {
    name,
    state: 'missing',
    words: `no delivery arrived at ${config.webhook.address}${config.webhook.path} within 20 s`,
    fix: `let ${webhookUrl ?? "the App's webhook address"} lead there, with the secret of this setup; «Recent deliveries» in the App's settings say what GitHub got for an answer`,
  };
};
