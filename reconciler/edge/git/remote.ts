// What the Git edge needs of a remote, as types: two ways, http(s) and ssh. Also: telling addresses
// apart. In: the repository as the user wrote it. Out: what it is. Not here: the two ways
// (remote-http, remote-ssh).

export type Place =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'http'; readonly url: string; readonly auth: Auth }
  | { readonly kind: 'ssh'; readonly url: string };

export type Auth =
  | { readonly kind: 'none' }
  /** User name: what the forge expects beside a token; GitHub, GitLab and Gitea take any. */
  | { readonly kind: 'token'; readonly token: string; readonly user?: string }
  | { readonly kind: 'basic'; readonly user: string; readonly password: string };

export type PushResult =
  | { readonly kind: 'pushed' }
  /** Somebody else was first. */
  | { readonly kind: 'conflict' };

/** The remote's section in the mirror's config. */
export const MIRRORED = 'mirrored';

export interface Remote {
  /** For messages, without secrets. */
  readonly name: string;
  /** What the remote's refs stand at; a ref that does not exist is absent. */
  readonly refs: (wanted: readonly string[]) => Promise<ReadonlyMap<string, string>>;
  /** Brings all objects of a ref's tip into the mirror. */
  readonly fetch: (ref: string) => Promise<void>;
  /** `from`: what the remote's ref must stand at, null = must not exist. */
  readonly push: (push: Push) => Promise<PushResult>;
}

/** What to do where the server refuses a push. */
export const pushAdvice = (ref: string): string =>
  ref.startsWith('refs/purser/')
    ? 'Allow this login to push there. Where the host takes branches and tags only, write ' +
      '`ledger: branch` in cluster.yaml'
    : 'Allow this login to push there';

export interface Push {
  readonly ref: string;
  readonly to: string;
  readonly from: string | null;
}

/**
 * `host:path` and `user@host:path` are ssh, as in Git; `file://` is a path; a user in an http URL
 * is its login.
 */
export const placeOf = (repository: string): Place => {
  if (/^https?:\/\//i.test(repository)) return httpPlace(repository);
  if (/^(git\+)?ssh:\/\//i.test(repository)) return { kind: 'ssh', url: repository };
  if (/^file:\/\//i.test(repository)) {
    return { kind: 'path', path: decodeURIComponent(new URL(repository).pathname) };
  }
  if (/^[^/\\:]+:(?!\/\/)/.test(repository)) return { kind: 'ssh', url: repository };
  return { kind: 'path', path: repository };
};

/** The repository as it may be shown: a login in an http URL is left out. */
export const shownRepository = (repository: string): string => {
  const place = placeOf(repository);
  return place.kind === 'http' ? place.url : repository;
};

const httpPlace = (repository: string): Place => {
  const url = new URL(repository);
  const user = decodeURIComponent(url.username);
  const password = decodeURIComponent(url.password);
  url.username = '';
  url.password = '';
  const auth: Auth = user === '' ? { kind: 'none' } : { kind: 'basic', user, password };
  return { kind: 'http', url: url.href, auth };
};
