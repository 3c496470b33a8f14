// Makes what a hub is made of: accounts, repositories with their bare folders, Apps, installations.
// In: names. Out: records in the hub. Not here: how they change later.

import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { installHook } from './git-http.ts';
import { installationPayload, pingPayload } from './payloads.ts';
import { userShape } from './shapes.ts';
import type { Account, App, Hub, Installation, Permissions, Repo } from './state.ts';
import { fullName } from './state.ts';
import { deliver } from './webhooks.ts';

/** The account of this name; made when nobody has it. */
export const accountOf = (
  hub: Hub,
  login: string,
  kind: 'User' | 'Organization' = 'User',
): Account => {
  const old = hub.accounts.get(login.toLowerCase());
  if (old !== undefined) return old;
  const id = hub.nextId();
  const email = `${id}+${login}@users.noreply.github.com`;
  const account: Account = { login, id, kind, email };
  hub.accounts.set(login.toLowerCase(), account);
  return account;
};

export interface RepoAsk {
  readonly owner: Account;
  readonly name: string;
  readonly private?: boolean;
  readonly defaultBranch?: string;
  /** Made as a fork of it, with its branches. */
  readonly parent?: Repo;
}

export const createRepo = (hub: Hub, ask: RepoAsk): Repo => {
  const id = hub.nextId();
  const folder = join(hub.folder, `${id}.git`);
  const branch = ask.defaultBranch ?? ask.parent?.defaultBranch ?? 'main';
  const git = (...args: readonly string[]): void => {
    const env = { PATH: process.env['PATH'], GIT_CONFIG_GLOBAL: '/dev/null' };
    execFileSync('git', [...args], { env, stdio: 'ignore' });
  };
  mkdirSync(folder, { recursive: true });
  if (ask.parent !== undefined) git('clone', '--quiet', '--bare', ask.parent.folder, folder);
  else git('init', '--quiet', '--bare', `--initial-branch=${branch}`, folder);
  // GitHub's own refs are nobody's to push, and any commit may be fetched by its id.
  git('-C', folder, 'config', 'receive.hideRefs', 'refs/pull');
  git('-C', folder, 'config', 'uploadpack.allowAnySHA1InWant', 'true');
  git('-C', folder, 'config', 'gc.auto', '0');
  installHook(folder);
  const repo: Repo = {
    id,
    owner: ask.owner,
    name: ask.name,
    private: ask.private ?? false,
    archived: false,
    defaultBranch: branch,
    parent: ask.parent ?? null,
    folder,
    createdAtMs: hub.now(),
    pushedAtMs: hub.now(),
    roles: new Map(),
    protections: [],
    pulls: new Map(),
    comments: new Map(),
    reviews: [],
    suites: new Map(),
    checks: new Map(),
    statuses: [],
    deployments: new Map(),
    nextNumber: 1,
    queue: Promise.resolve(),
  };
  hub.repos.set(fullName(repo).toLowerCase(), repo);
  return repo;
};

/** One key a process: making one takes a tenth of a second, and no test tells two apart. */
let key: string | null = null;
const privateKey = (): string => {
  key ??= generateKeyPairSync('rsa', { modulusLength: 2048 })
    .privateKey.export({ type: 'pkcs1', format: 'pem' })
    .toString();
  return key;
};

export interface AppAsk {
  readonly name: string;
  readonly owner: Account;
  readonly url?: string;
  readonly description?: string;
  readonly permissions: Permissions;
  readonly events: readonly string[];
  readonly hookUrl?: string | null;
  readonly hookSecret?: string | null;
  readonly setupUrl?: string;
  readonly isPublic?: boolean;
  readonly privateKey?: string;
}

export const createApp = (hub: Hub, ask: AppAsk): App => {
  const slug = ask.name.toLowerCase().replace(/[^a-z0-9]+/g, '-');
  const app: App = {
    id: hub.nextId(),
    slug,
    name: ask.name,
    owner: ask.owner,
    clientId: `Iv23${randomBytes(8).toString('hex')}`,
    clientSecret: randomBytes(20).toString('hex'),
    privateKey: ask.privateKey ?? privateKey(),
    createdAtMs: hub.now(),
    externalUrl: ask.url ?? 'https://example.org/purser',
    description: ask.description ?? '',
    permissions: ask.permissions,
    events: ask.events,
    hook: {
      url: ask.hookUrl ?? null,
      secret: ask.hookSecret === undefined ? randomBytes(20).toString('hex') : ask.hookSecret,
      contentType: 'json',
    },
    setupUrl: ask.setupUrl ?? '',
    isPublic: ask.isPublic ?? false,
  };
  hub.apps.push(app);
  const body = pingPayload(hub, app, ask.owner);
  deliver(hub, app, { event: 'ping', body, repo: null, installation: null });
  return app;
};

/** `repos` null: all of the account's. */
export const install = (
  hub: Hub,
  app: App,
  { account, repos }: { readonly account: Account; readonly repos: readonly Repo[] | null },
): Installation => {
  const made: Installation = {
    id: hub.nextId(),
    app,
    account,
    repos,
    suspendedAtMs: null,
    createdAtMs: hub.now(),
  };
  hub.installations.push(made);
  const body = {
    ...installationPayload(hub, made, 'created'),
    sender: userShape(hub, account),
  };
  deliver(hub, app, { event: 'installation', body, repo: null, installation: made });
  return made;
};

export const uninstall = (hub: Hub, installation: Installation): void => {
  const at = hub.installations.indexOf(installation);
  if (at < 0) return;
  const { app, account } = installation;
  const body = {
    ...installationPayload(hub, installation, 'deleted'),
    sender: userShape(hub, account),
  };
  hub.installations.splice(at, 1);
  for (const [text, { caller }] of hub.tokens) {
    if (caller.kind === 'installation' && caller.installation.id === installation.id) {
      hub.tokens.delete(text);
    }
  }
  deliver(hub, app, { event: 'installation', body, repo: null, installation });
};
