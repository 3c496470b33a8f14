// What the local GitHub knows: records in memory, one hub each test. Git objects alone are on disk.
// In: nothing. Out: types, lookups, GitHub's errors. Not here: how anything changes (routes-*.ts).

import type { OperationName } from './operations.ts';

export type Json = Readonly<Record<string, unknown>>;
export type Role = 'admin' | 'write' | 'read';
export type Level = 'read' | 'write';
/** `checks: write`, as in an App's manifest. */
export type Permissions = Readonly<Record<string, Level>>;

export interface Account {
  readonly login: string;
  readonly id: number;
  readonly kind: 'User' | 'Organization' | 'Bot';
  readonly email: string;
}

/** What a branch asks of pushes and merges; `bypass`: logins and slugs of Apps that need not. */
export interface Protection {
  readonly id: number;
  readonly kind: 'classic' | 'ruleset';
  readonly branch: string;
  readonly requirePull: boolean;
  readonly requiredChecks: readonly string[];
  readonly bypass: readonly string[];
}

export interface Pull {
  readonly id: number;
  readonly number: number;
  title: string;
  body: string | null;
  readonly author: Account;
  state: 'open' | 'closed';
  draft: boolean;
  base: { ref: string; sha: string };
  /** `repo`: where the branch is, the same repository or a fork. */
  readonly head: { readonly repo: Repo; readonly ref: string; sha: string };
  readonly createdAtMs: number;
  updatedAtMs: number;
  closedAtMs: number | null;
  merged: { readonly sha: string; readonly by: Account; readonly atMs: number } | null;
  /** Of these two commits: whether they merge, and into what. */
  trial: { readonly key: string; readonly sha: string | null } | null;
}

export interface Comment {
  readonly id: number;
  readonly issue: number;
  readonly author: Account;
  readonly app: App | null;
  body: string;
  readonly createdAtMs: number;
  updatedAtMs: number;
  /** Folded, and why (GraphQL's classifier); null: shown. */
  minimized: string | null;
  readonly reactions: { readonly id: number; readonly content: string; readonly by: Account }[];
}

export interface Review {
  readonly id: number;
  readonly pull: number;
  readonly author: Account;
  state: 'APPROVED' | 'CHANGES_REQUESTED' | 'COMMENTED' | 'DISMISSED';
  readonly body: string;
  readonly commit: string;
  readonly atMs: number;
}

export interface Suite {
  readonly id: number;
  readonly app: App;
  readonly sha: string;
  readonly branch: string | null;
  readonly before: string | null;
  readonly createdAtMs: number;
  updatedAtMs: number;
  status: string;
  conclusion: string | null;
}

export interface CheckRun {
  readonly id: number;
  readonly suite: Suite;
  name: string;
  readonly sha: string;
  externalId: string;
  detailsUrl: string | null;
  status: string;
  conclusion: string | null;
  startedAt: string;
  completedAt: string | null;
  output: { title: string | null; summary: string | null; text: string | null };
  annotations: Json[];
  actions: readonly { label: string; description: string; identifier: string }[];
}

export interface Status {
  readonly id: number;
  readonly sha: string;
  readonly context: string;
  readonly state: string;
  readonly description: string | null;
  readonly targetUrl: string | null;
  readonly creator: Account;
  readonly atMs: number;
}

export interface Deployment {
  readonly id: number;
  readonly sha: string;
  readonly ref: string;
  readonly task: string;
  readonly environment: string;
  readonly description: string | null;
  readonly payload: unknown;
  readonly creator: Account;
  readonly app: App | null;
  readonly transient: boolean;
  readonly production: boolean;
  readonly createdAtMs: number;
  readonly statuses: DeploymentStatus[];
}

export interface DeploymentStatus {
  readonly id: number;
  readonly state: string;
  readonly description: string;
  readonly environmentUrl: string;
  readonly logUrl: string;
  readonly creator: Account;
  readonly atMs: number;
}

export interface Repo {
  id: number;
  owner: Account;
  name: string;
  private: boolean;
  /** Nothing of it may be changed. */
  archived: boolean;
  defaultBranch: string;
  readonly parent: Repo | null;
  /** The bare repository. */
  readonly folder: string;
  readonly createdAtMs: number;
  pushedAtMs: number;
  readonly roles: Map<string, Role>;
  protections: Protection[];
  readonly pulls: Map<number, Pull>;
  readonly comments: Map<number, Comment>;
  readonly reviews: Review[];
  readonly suites: Map<number, Suite>;
  readonly checks: Map<number, CheckRun>;
  readonly statuses: Status[];
  readonly deployments: Map<number, Deployment>;
  nextNumber: number;
  /** Changes of refs one after the other, so that each is told once. */
  queue: Promise<unknown>;
}

export interface App {
  readonly id: number;
  readonly slug: string;
  readonly name: string;
  readonly owner: Account;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly privateKey: string;
  readonly createdAtMs: number;
  readonly externalUrl: string;
  readonly description: string;
  permissions: Permissions;
  events: readonly string[];
  hook: { url: string | null; secret: string | null; contentType: string };
  /** Where a browser goes once it is installed; '': to its settings. */
  readonly setupUrl: string;
  /** Others than its owner may install it. */
  readonly isPublic: boolean;
}

export interface Installation {
  readonly id: number;
  readonly app: App;
  readonly account: Account;
  /** Null: all of the account's. */
  repos: readonly Repo[] | null;
  /** Null: it is not. */
  suspendedAtMs: number | null;
  readonly createdAtMs: number;
}

export type Caller =
  | { readonly kind: 'nobody' }
  | { readonly kind: 'app'; readonly app: App }
  | {
      readonly kind: 'installation';
      readonly installation: Installation;
      readonly permissions: Permissions;
    }
  | { readonly kind: 'user'; readonly account: Account };

export interface Token {
  readonly text: string;
  readonly caller: Caller;
  /** Null: it does not end. */
  readonly expiresAtMs: number | null;
}

export interface Delivery {
  readonly id: number;
  readonly guid: string;
  readonly app: App;
  readonly event: string;
  readonly action: string | null;
  readonly repo: Repo | null;
  readonly installation: Installation | null;
  readonly redelivery: boolean;
  readonly atMs: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  durationMs: number;
  /** 0: nobody answered. */
  statusCode: number;
  status: string;
  answer: string;
}

/** A request that changed something, as the content limits count it. */
export interface Write {
  readonly method: string;
  readonly path: string;
  readonly atMs: number;
}

export interface Hub {
  /** `http://127.0.0.1:<port>`: web pages and Git. */
  readonly web: string;
  /** Where the REST API begins. */
  readonly api: string;
  readonly folder: string;
  readonly now: () => number;
  readonly nextId: () => number;
  readonly accounts: Map<string, Account>;
  readonly repos: Map<string, Repo>;
  /** Names that repositories had before: `owner/name` in lower case → the repository. */
  readonly renamed: Map<string, Repo>;
  /** `org/team` in lower case → logins of its members. */
  readonly teams: Map<string, Set<string>>;
  readonly apps: App[];
  readonly installations: Installation[];
  readonly tokens: Map<string, Token>;
  readonly deliveries: Delivery[];
  /** Deliveries under way. */
  readonly sending: Set<Promise<void>>;
  /** Apps that were made of a manifest, by the code that is exchanged for their key. */
  readonly manifests: Map<string, { readonly app: App; readonly madeAtMs: number }>;
  /** Wrong requests, and wrong answers of ours: `close` throws if one is left. */
  readonly problems: string[];
  readonly writes: Write[];
  readonly tokenLifeMs: number;
  /** A pushed new branch becomes a pull request (`npm start -- --with-forge`). */
  readonly pullsByPush: boolean;
}

export interface Call {
  readonly hub: Hub;
  readonly name: OperationName;
  readonly path: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly body: Json;
  readonly caller: Caller;
}

export type Answer =
  | { readonly kind: 'one'; readonly status: number; readonly body?: unknown; headers?: Headers }
  /** Cut into pages; `wrap` puts a page into its object (`{total_count, check_runs}`). */
  | {
      readonly kind: 'list';
      readonly items: readonly unknown[];
      readonly wrap?: (page: readonly unknown[], total: number) => unknown;
    };
export type Headers = Readonly<Record<string, string>>;

export type Handler = (call: Call) => Answer | Promise<Answer>;
export type Routes = Partial<Record<OperationName, Handler>>;

/** An answer that is a refusal, as GitHub words it. */
export class HubError extends Error {
  readonly status: number;
  readonly body: Json;
  readonly headers: Headers;

  constructor(status: number, body: Json, headers: Headers = {}) {
    super(String(body['message']));
    this.status = status;
    this.body = { documentation_url: 'https://docs.github.com/rest', ...body };
    this.headers = headers;
  }
}

export const notFound = (): HubError => new HubError(404, { message: 'Not Found', status: '404' });

/** @param needs what would do: `checks=write`, or `issues=write; pull_requests=write` */
export const notAccessible = (needs?: string): HubError =>
  new HubError(
    403,
    { message: 'Resource not accessible by integration', status: '403' },
    needs === undefined ? {} : { 'x-accepted-github-permissions': needs },
  );

/** 422 with one error; `code` as in GitHub's documents (`missing_field`, `invalid`, `custom`). */
export const unprocessable = (
  resource: string,
  field: string,
  why: { readonly code: string; readonly message?: string },
): HubError =>
  new HubError(422, {
    message: 'Validation Failed',
    errors: [{ resource, field, ...why }],
    status: '422',
  });

export const ok = (body: unknown, status = 200): Answer => ({ kind: 'one', status, body });
export const list = (items: readonly unknown[]): Answer => ({ kind: 'list', items });

/** A text of a body; `otherwise` where there is none. */
export const textOf = (value: unknown, otherwise = ''): string =>
  typeof value === 'string' ? value : otherwise;

export const isoTime = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;
export const isoOrNull = (ms: number | null): string | null => (ms === null ? null : isoTime(ms));

export const fullName = (repo: Repo): string => `${repo.owner.login}/${repo.name}`;

export const findRepo = (hub: Hub, owner: string, name: string): Repo | null =>
  hub.repos.get(`${owner}/${name}`.toLowerCase()) ?? null;

export const repoOf = ({ hub, path }: Call): Repo => {
  const repo = findRepo(hub, path['owner'] ?? '', path['repo'] ?? '');
  if (repo === null) throw notFound();
  return repo;
};

/** A number of the path as the key of a record that exists, else 404. */
export const recordOf = <T>(records: ReadonlyMap<number, T>, id: string | undefined): T => {
  const found = records.get(Number(id));
  if (found === undefined) throw notFound();
  return found;
};

/** The App's account: `purser[bot]`. Its id is not the App's. */
export const botOf = (app: App): Account => ({
  login: `${app.slug}[bot]`,
  id: app.id + 1_000_000,
  kind: 'Bot',
  email: `${app.id + 1_000_000}+${app.slug}[bot]@users.noreply.github.com`,
});

/** Who did it; an App acts as its bot. */
export const actorOf = (caller: Caller): Account => {
  if (caller.kind === 'user') return caller.account;
  if (caller.kind === 'installation') return botOf(caller.installation.app);
  throw new HubError(401, { message: 'Requires authentication', status: '401' });
};

export const appOf = (caller: Caller): App | null =>
  caller.kind === 'app'
    ? caller.app
    : caller.kind === 'installation'
      ? caller.installation.app
      : null;

export const roleOf = (repo: Repo, account: Account): Role | 'none' =>
  account.login === repo.owner.login
    ? 'admin'
    : (repo.roles.get(account.login.toLowerCase()) ?? (repo.private ? 'none' : 'read'));

const STEPS = ['none', 'read', 'write', 'admin'];
export const atLeast = (role: string, wanted: string): boolean =>
  STEPS.indexOf(role) >= STEPS.indexOf(wanted);

export const reaches = (installation: Installation, repo: Repo): boolean =>
  installation.account.login === repo.owner.login &&
  (installation.repos === null || installation.repos.includes(repo));
