// A GitHub of one's own, on loopback: for tests, and for `npm start -- --with-forge`.
//
//   const hub = await startGitHub();                      // repository shop/cluster, App installed
//   hub.hook('http://127.0.0.1:4567/webhook');            // where deliveries go
//   await hub.push(folder, 'ada', 'topic');               // real Git; ada may write
//   const { number } = await hub.openPull({ head: 'topic', by: 'ada' });
//   … the code under test, with baseUrl hub.api and hub.app.{id, privateKey, installationId} …
//   await hub.settled();                                  // pushes told, deliveries answered
//   hub.checks(), hub.comments(1), hub.writes(), hub.deliveries()
//   await hub.click({ check: 'plan/shop', commit, button: 'approve', by: 'ada' });
//   const mend = hub.fault({ path: /check-runs/, times: 2, kind: { status: 502 } });
//   await hub.close();                                    // throws if a request was wrong
//
// REST (operations.ts lists all of it) is served below `/api/v3` as on GitHub Enterprise, or below
// `/` with `{ api: 'root' }`; `/api/graphql` folds comments. Every request and every answer of ours
// is validated against GitHub's OpenAPI description (description.ts, extract.ts): a wrong request
// gets 422 and stands in `problems()`, and `close` throws while one stands there. Limits, faults:
// limits.ts. Web pages: pages.ts. Records are in memory; only Git's objects are on disk, in a
// folder that `close` removes.

import { mkdtempSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EVENTS } from '../../../cli/github-app.ts';
import { PERMISSIONS } from '../../../reconciler/edge/forge/permissions.ts';
import { makeToken } from './access.ts';
import { accountOf, createApp, createRepo, install, uninstall } from './create.ts';
import { serveGitHttp } from './git-http.ts';
import { commitOf, gitIn } from './git.ts';
import type { Fault, Limits } from './limits.ts';
import { DEFAULT_LIMITS, newLimits } from './limits.ts';
import { createPages } from './pages.ts';
import type { Place } from './payloads.ts';
import { mergeGroupPayload } from './payloads.ts';
import type { MergeMethod } from './pulls.ts';
import { changingRefs, closePull, mergePull, openPull, reopenPull, tryMerge } from './pulls.ts';
import { serveRest } from './rest.ts';
import { askAgain, pressNamed } from './routes-checks.ts';
import { addComment, addReview, dismissReview } from './routes-pulls.ts';
import type { App, CheckRun, Comment, Delivery, Deployment, Hub, Installation } from './state.ts';
import type { Permissions, Protection, Pull, Repo, Review, Role, Status, Write } from './state.ts';
import { fullName } from './state.ts';
import { redeliver, tell } from './webhooks.ts';

export interface GitHubOptions {
  /** Default `shop/cluster`. */
  readonly repository?: string;
  /** Whose it is: default `Organization`. */
  readonly ownerKind?: 'User' | 'Organization';
  readonly private?: boolean;
  /** Where REST begins: `/api/v3` as on GitHub Enterprise (default), or `/`. */
  readonly api?: 'enterprise' | 'root';
  /** An App that is there and installed from the start; null: none. */
  readonly app?: { readonly permissions?: Permissions; readonly events?: readonly string[] } | null;
  /** Default: GitHub's. */
  readonly limits?: Partial<Limits>;
  /** Default: an hour. */
  readonly tokenLifeMs?: number;
  readonly now?: () => number;
  /** A pushed new branch becomes a pull request. */
  readonly pullsByPush?: boolean;
  readonly port?: number;
  /** Git's objects are here, found again and not removed; default: a folder of its own. */
  readonly folder?: string;
  /** Of the App; default: new ones. */
  readonly keys?: { readonly privateKey: string; readonly webhookSecret: string };
}

export interface GitHub {
  /** `http://127.0.0.1:<port>`. */
  readonly url: string;
  /** Base of REST, without a slash at the end. */
  readonly api: string;
  readonly owner: string;
  readonly name: string;
  /** `http://…/owner/name.git`. */
  readonly cloneUrl: string;
  /** The bare repository's folder: what a test reads with git. */
  readonly folder: string;
  readonly app: {
    readonly id: number;
    readonly slug: string;
    readonly privateKey: string;
    readonly clientId: string;
    readonly webhookSecret: string;
    readonly installationId: number;
  };
  /** A person of this name with this role (default: as before, else write), and a token. */
  readonly person: (login: string, role?: Role | 'none') => { id: number; token: string };
  /** Clone URL with a token of this person, or of the App (`null`). */
  readonly pushUrl: (login: string | null) => string;
  /**
   * `git push` by this person, refs and flags as git has them; told to all when it is done. Throws
   * with git's words. Never push to the hub by a synchronous git: both are in one process.
   */
  readonly push: (
    folder: string,
    login: string | null,
    ...refs: readonly string[]
  ) => Promise<void>;
  readonly openPull: (ask: {
    readonly head: string;
    readonly by: string;
    readonly base?: string;
    readonly title?: string;
    readonly body?: string;
    /** The head is in this person's fork. */
    readonly fromFork?: boolean;
  }) => Promise<Pull>;
  readonly closePull: (number: number, by: string) => Promise<void>;
  readonly reopenPull: (number: number, by: string) => Promise<void>;
  readonly merge: (ask: {
    readonly pull: number;
    readonly by: string;
    readonly method?: MergeMethod;
  }) => Promise<string>;
  /** What a merge queue does: a commit on a branch of its own, and `merge_group`. */
  readonly queue: (pull: number, by: string) => Promise<{ head: string; base: string }>;
  readonly comment: (pull: number, by: string, body: string) => Comment;
  readonly review: (
    pull: number,
    by: string,
    event: 'APPROVE' | 'REQUEST_CHANGES' | 'COMMENT',
  ) => Review;
  readonly dismiss: (review: Review, by: string) => void;
  /** Makes the team, `org/team`, with these members alone. */
  readonly team: (name: string, ...logins: readonly string[]) => void;
  readonly click: (ask: {
    readonly check: string;
    readonly commit: string;
    readonly button: string;
    readonly by: string;
  }) => void;
  readonly rerun: (check: string, commit: string, by: string) => void;
  /** A fork of this person: its clone URL with their token. */
  readonly fork: (login: string) => string;
  readonly protect: (rules: readonly Partial<Protection>[]) => void;
  /** The App's permissions from now on, also of tokens that are out. */
  readonly permit: (permissions: Permissions) => void;
  readonly uninstall: () => void;
  /** The repository has another name; the one before leads to it. */
  readonly rename: (name: string) => void;
  /** It was deleted, and made anew with the same branches: nothing else is as it was. */
  readonly remake: () => void;
  readonly hook: (url: string | null) => void;
  readonly redeliver: (id: number) => void;
  /** Ends every token that is out. */
  readonly expireTokens: () => void;
  readonly checks: (commit?: string) => readonly CheckRun[];
  readonly comments: (pull: number) => readonly Comment[];
  readonly pulls: () => readonly Pull[];
  readonly statuses: (commit?: string) => readonly Status[];
  readonly deployments: () => readonly Deployment[];
  readonly deliveries: () => readonly Delivery[];
  /** Content writes so far, as GitHub's limits count them. */
  readonly writes: () => readonly Write[];
  readonly requests: () => readonly string[];
  readonly fault: (fault: Fault) => () => void;
  /** From now on nothing is answered, Git included; null: all is well again. */
  readonly away: (how: Away | null) => void;
  /** Wrong requests so far; `take` empties the list, for tests of wrong requests. */
  readonly problems: () => readonly string[];
  readonly takeProblems: () => readonly string[];
  /** Everything pushed is told, and every delivery answered. */
  readonly settled: () => Promise<void>;
  readonly hub: Hub;
  readonly close: () => Promise<void>;
}

const HOUR_MS = 3_600_000;

/** Every connection ends, every answer is 502, or none ever comes. */
export type Away = 'reset' | 'bad-gateway' | 'silent';

const meetAway = (how: Away, request: http.IncomingMessage, response: http.ServerResponse) => {
  request.resume();
  if (how === 'reset') response.destroy();
  if (how === 'bad-gateway') response.writeHead(502).end('<html>Bad Gateway</html>');
};

export const startGitHub = async (options: GitHubOptions = {}): Promise<GitHub> => {
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'purser-github-'));
  const requests: string[] = [];
  const state = newLimits();
  const server = http.createServer();
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening'); // throws what keeps it from that
  const web = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const hub = newHub(options, { web, folder });
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const pages = createPages(hub);
  const answer = async (
    request: http.IncomingMessage,
    response: http.ServerResponse,
  ): Promise<void> => {
    requests.push(`${request.method} ${request.url}`);
    const moved = movedTo(hub, request);
    if (moved !== null) return moved.answer(response);
    const path = apiPath(hub, request.url ?? '/');
    if (await serveGitHttp(hub, request, response)) return;
    if (path !== null) return serveRest({ hub, limits, state }, request, { response, path });
    pages(request, response);
  };
  let gone: Away | null = null;
  server.on('request', (request, response) => {
    if (gone !== null) return meetAway(gone, request, response);
    answer(request, response).catch((error: unknown) => {
      hub.problems.push(`${request.method} ${request.url}: ${String(error)}`);
      response.destroy();
    });
  });
  const [owner = '', name = ''] = (options.repository ?? 'shop/cluster').split('/');
  const repo = createRepo(hub, {
    owner: accountOf(hub, owner, options.ownerKind ?? 'Organization'),
    name,
    private: options.private ?? false,
  });
  const app = options.app === null ? null : startApp(hub, repo, options);
  const close = async (): Promise<void> => {
    await new Promise<void>((done) => {
      server.close(() => done());
      server.closeAllConnections();
    });
    await Promise.allSettled([...hub.repos.values()].map(({ queue }) => queue));
    if (options.folder === undefined)
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    if (hub.problems.length > 0) {
      throw new Error(`the local GitHub was asked wrongly:\n${hub.problems.join('\n')}`);
    }
  };
  const fault = (asked: Fault): (() => void) => {
    const entry = { fault: asked, left: asked.times ?? Infinity };
    state.faults.push(entry);
    return () => void (entry.left = 0);
  };
  const about = { url: web, api: hub.api, owner, name, cloneUrl: `${web}/${fullName(repo)}.git` };
  const acts = { ...peopleActs(hub, repo), ...pullActs(hub, repo), ...reads(hub, repo) };
  /** Who was left without an answer by then gets none afterwards either. */
  const away = (how: Away | null): void => void (gone = how);
  const control = { ...controls(hub, repo, app), fault, away, requests: () => requests, close };
  return { ...about, folder: repo.folder, hub, app: appFacts(app), ...acts, ...control };
};

const newHub = (options: GitHubOptions, at: { web: string; folder: string }): Hub => {
  let id = 1000;
  return {
    ...at,
    api: options.api === 'root' ? at.web : `${at.web}/api/v3`,
    now: options.now ?? Date.now,
    nextId: () => (id += 1),
    accounts: new Map(),
    repos: new Map(),
    renamed: new Map(),
    teams: new Map(),
    apps: [],
    installations: [],
    tokens: new Map(),
    deliveries: [],
    sending: new Set(),
    manifests: new Map(),
    problems: [],
    writes: [],
    tokenLifeMs: options.tokenLifeMs ?? HOUR_MS,
    pullsByPush: options.pullsByPush ?? false,
  };
};

/** A request for a repository by the name that it had before: GitHub says where it is now. */
const movedTo = (hub: Hub, request: http.IncomingMessage) => {
  const url = request.url ?? '';
  const [, before = '', owner = '', name = '', after = ''] =
    /^((?:\/api\/v3)?\/repos\/|\/)([^/]+)\/([^/?]+?)((?:\.git)?(?:[/?].*)?)$/.exec(url) ?? [];
  const repo = hub.renamed.get(`${owner}/${name}`.toLowerCase());
  if (repo === undefined) return null;
  const location = `${hub.web}${before}${fullName(repo)}${after}`;
  const isApi = before !== '/';
  const status = isApi && request.method !== 'GET' ? 307 : 301;
  return {
    answer: (response: http.ServerResponse): void => {
      request.resume();
      const message = status === 301 ? 'Moved Permanently' : 'Temporary Redirect';
      const body = isApi ? JSON.stringify({ message, url: location }) : '';
      response.writeHead(status, { location, 'content-type': 'application/json' }).end(body);
    },
  };
};

/** What of an address is the API's, GraphQL included; null: a page. */
const apiPath = (hub: Hub, url: string): string | null => {
  if (url === '/api/graphql' || url === '/graphql') return '/graphql';
  const prefix = hub.api.slice(hub.web.length);
  if (!url.startsWith(`${prefix}/`)) return null;
  const path = url.slice(prefix.length);
  const isRoot = prefix === '';
  const first = /^\/(repos|app|app-manifests|installation|user|users|rate_limit|meta)\b/;
  return !isRoot || first.test(path) ? path : null;
};

interface Started {
  readonly app: App;
  readonly installation: Installation;
}

const startApp = (hub: Hub, repo: Repo, options: GitHubOptions): Started => {
  const app = createApp(hub, {
    name: 'Purser',
    owner: repo.owner,
    permissions: options.app?.permissions ?? PERMISSIONS,
    events: options.app?.events ?? EVENTS,
    ...(options.keys === undefined
      ? {}
      : { privateKey: options.keys.privateKey, hookSecret: options.keys.webhookSecret }),
  });
  return { app, installation: install(hub, app, { account: repo.owner, repos: [repo] }) };
};

const appFacts = (started: Started | null): GitHub['app'] => ({
  id: started?.app.id ?? 0,
  slug: started?.app.slug ?? '',
  privateKey: started?.app.privateKey ?? '',
  clientId: started?.app.clientId ?? '',
  webhookSecret: started?.app.hook.secret ?? '',
  installationId: started?.installation.id ?? 0,
});

/** A person without a role yet gets `write`; the owner is an admin anyway. */
const peopleActs = (hub: Hub, repo: Repo) => {
  const person = (login: string, role?: Role | 'none') => {
    const account = accountOf(hub, login);
    const key = login.toLowerCase();
    if (role === 'none') repo.roles.delete(key);
    else if (role !== undefined || !repo.roles.has(key)) repo.roles.set(key, role ?? 'write');
    const { text } = makeToken(hub, { kind: 'user', account }, null);
    return { id: account.id, token: text };
  };
  const withToken = (of: Repo, token: string): string =>
    `${hub.web}/${fullName(of)}.git`.replace('://', `://x-access-token:${token}@`);
  const pushUrl = (login: string | null): string => {
    if (login !== null) {
      const account = accountOf(hub, login);
      if (!repo.roles.has(login.toLowerCase())) person(login);
      return withToken(repo, makeToken(hub, { kind: 'user', account }, null).text);
    }
    const installation = hub.installations[0];
    if (installation === undefined) throw new Error('no App is installed');
    const { permissions } = installation.app;
    return withToken(
      repo,
      makeToken(hub, { kind: 'installation', installation, permissions }, null).text,
    );
  };
  return {
    person,
    pushUrl,
    push: async (folder: string, login: string | null, ...refs: readonly string[]) => {
      await gitIn(folder, ['push', '--quiet', pushUrl(login), ...refs]);
      await repo.queue;
    },
    fork: (login: string): string => {
      const owner = accountOf(hub, login);
      const made = createRepo(hub, { owner, name: repo.name, parent: repo });
      return withToken(made, makeToken(hub, { kind: 'user', account: owner }, null).text);
    },
  };
};

const pullActs = (hub: Hub, repo: Repo) => {
  const place: Place = { hub, repo };
  const pullOf = (number: number): Pull => {
    const pull = repo.pulls.get(number);
    if (pull === undefined) throw new Error(`there is no pull request ${number}`);
    return pull;
  };
  const runOf = (check: string, commit: string): CheckRun => {
    const found = [...repo.checks.values()].findLast(
      (run) => run.name === check && run.sha === commit,
    );
    if (found === undefined) throw new Error(`commit ${commit} has no check ${check}`);
    return found;
  };
  return {
    openPull: async (ask: Parameters<GitHub['openPull']>[0]): Promise<Pull> => {
      const by = accountOf(hub, ask.by);
      const fork = hub.repos.get(`${ask.by}/${repo.name}`.toLowerCase());
      const head = { repo: ask.fromFork === true ? (fork ?? repo) : repo, ref: ask.head };
      const { title = ask.head, body = null, base = repo.defaultBranch } = ask;
      await head.repo.queue;
      return openPull(place, { title, body, head, base }, by);
    },
    closePull: (number: number, by: string) => closePull(place, pullOf(number), accountOf(hub, by)),
    reopenPull: (number: number, by: string) =>
      reopenPull(place, pullOf(number), accountOf(hub, by)),
    merge: async ({ pull, by, method = 'merge' }: Parameters<GitHub['merge']>[0]) => {
      await repo.queue;
      return mergePull(place, pullOf(pull), { method, by: accountOf(hub, by) });
    },
    queue: (number: number, by: string) => enqueue(place, pullOf(number), by),
    comment: (number: number, by: string, body: string) =>
      addComment(place, pullOf(number), { body, by: accountOf(hub, by), app: null }),
    review: (number: number, by: string, event: Parameters<GitHub['review']>[2]) =>
      addReview(place, pullOf(number), { event, body: '', by: accountOf(hub, by) }),
    dismiss: (review: Review, by: string) =>
      dismissReview(place, pullOf(review.pull), { review, by: accountOf(hub, by) }),
    team: (name: string, ...logins: readonly string[]) => {
      hub.teams.set(name.toLowerCase(), new Set(logins.map((login) => login.toLowerCase())));
    },
    click: ({ check, commit, button, by }: Parameters<GitHub['click']>[0]) =>
      pressNamed(place, runOf(check, commit), { button, by: accountOf(hub, by) }),
    rerun: (check: string, commit: string, by: string) =>
      askAgain(place, runOf(check, commit), accountOf(hub, by)),
  };
};

const enqueue = async (
  place: Place,
  pull: Pull,
  login: string,
): Promise<{ head: string; base: string }> => {
  const { hub, repo } = place;
  const by = accountOf(hub, login);
  await tryMerge(place, pull);
  const { sha } = pull.trial ?? { sha: null };
  if (sha === null) throw new Error(`pull request ${pull.number} does not merge`);
  const base = pull.base.sha;
  const headRef = `refs/heads/gh-readonly-queue/${pull.base.ref}/pr-${pull.number}-${base}`;
  await changingRefs(place, by, () => gitIn(repo.folder, ['update-ref', headRef, sha]));
  const head = await commitOf(repo.folder, sha);
  const payload = mergeGroupPayload({ head, headRef, base }, pull);
  tell(place, 'merge_group', { payload, sender: by });
  return { head: sha, base };
};

const reads = (hub: Hub, repo: Repo) => ({
  checks: (commit?: string): readonly CheckRun[] =>
    [...repo.checks.values()].filter(({ sha }) => commit === undefined || sha === commit),
  comments: (number: number): readonly Comment[] =>
    [...repo.comments.values()].filter(({ issue }) => issue === number),
  pulls: (): readonly Pull[] => [...repo.pulls.values()],
  statuses: (commit?: string): readonly Status[] =>
    repo.statuses.filter(({ sha }) => commit === undefined || sha === commit),
  deployments: (): readonly Deployment[] => [...repo.deployments.values()],
  deliveries: (): readonly Delivery[] => hub.deliveries,
  writes: (): readonly Write[] => hub.writes,
  problems: (): readonly string[] => hub.problems,
  takeProblems: (): readonly string[] => hub.problems.splice(0),
});

const controls = (hub: Hub, repo: Repo, started: Started | null) => ({
  protect: (rules: readonly Partial<Protection>[]): void => {
    repo.protections = rules.map((rule) => ({
      id: hub.nextId(),
      kind: 'ruleset',
      branch: repo.defaultBranch,
      requirePull: false,
      requiredChecks: [],
      bypass: [],
      ...rule,
    }));
  },
  permit: (permissions: Permissions): void => {
    if (started === null) return;
    started.app.permissions = permissions;
    for (const [text, token] of hub.tokens) {
      const { caller } = token;
      if (caller.kind !== 'installation' || caller.installation.app !== started.app) continue;
      hub.tokens.set(text, { ...token, caller: { ...caller, permissions } });
    }
  },
  uninstall: (): void => {
    if (started !== null) uninstall(hub, started.installation);
  },
  rename: (name: string): void => {
    hub.repos.delete(fullName(repo).toLowerCase());
    hub.renamed.set(fullName(repo).toLowerCase(), repo);
    repo.name = name;
    hub.repos.set(fullName(repo).toLowerCase(), repo);
  },
  remake: (): void => {
    repo.id = hub.nextId();
    for (const told of [repo.pulls, repo.comments, repo.suites, repo.checks, repo.deployments]) {
      told.clear();
    }
    repo.reviews.length = 0;
    repo.statuses.length = 0;
    repo.nextNumber = 1;
  },
  hook: (url: string | null): void => {
    if (started !== null) started.app.hook.url = url;
  },
  redeliver: (id: number): void => {
    const found = hub.deliveries.find((each) => each.id === id);
    if (found !== undefined) redeliver(hub, found);
  },
  expireTokens: (): void => {
    for (const [text, { caller }] of hub.tokens) {
      if (caller.kind === 'installation') hub.tokens.delete(text);
    }
  },
  settled: async (): Promise<void> => {
    await Promise.all([...hub.repos.values()].map(({ queue }) => queue));
    while (hub.sending.size > 0) await Promise.all(hub.sending);
  },
});
