// A remote over http(s), through isomorphic-git: list refs, fetch, push; the login goes in a
// header, never in a URL. In: the mirror's folder and the URL. Out: Remote; failures in words with
// what follows from them. Not here: the mirror itself (mirror), when to ask (source).

import fs from 'node:fs';
import { plainLines } from '../../../schema/plain.ts';
import { broken, codeOf, GitFailure, messageOf, redact, retry } from './failure.ts';
import { gitLibrary } from './library.ts';
import type { HttpTimes } from './http.ts';
import { createHttp } from './http.ts';
import type { Auth, Push, PushResult, Remote } from './remote.ts';
import { MIRRORED, pushAdvice } from './remote.ts';

export interface HttpRemoteOptions {
  readonly url: string;
  /** Asked before every request: tokens of forges expire within the hour. */
  readonly auth: () => Promise<Auth>;
  readonly gitDir: string;
  readonly times: HttpTimes;
}

export const createHttpRemote = (options: HttpRemoteOptions): Remote => {
  const { url, gitDir } = options;
  const http = createHttp(options.times);
  const name = redact(url);
  const call = async <Value>(
    verb: string,
    act: (headers: Record<string, string>) => Promise<Value>,
  ): Promise<Value> => {
    const auth = await options.auth();
    try {
      return await act(authHeaders(auth));
    } catch (error) {
      throw explain(error, { verb, name, auth });
    }
  };
  return {
    name,
    refs: (wanted) =>
      call('be read', async (headers) => {
        const git = await gitLibrary();
        const lists = await Promise.all(
          wanted.map((prefix) =>
            git.listServerRefs({ http, url, prefix, headers: { ...headers }, protocolVersion: 2 }),
          ),
        );
        const refs = lists.flat().filter((one) => wanted.includes(one.ref));
        return new Map(refs.map((one) => [one.ref, one.oid]));
      }),
    fetch: (ref) =>
      call('be fetched', async (headers) => {
        const git = await gitLibrary();
        await git.fetch({ fs, http, gitdir: gitDir, url, ref, headers, ...FETCH });
      }),
    push: (push) => call('be pushed to', (headers) => pushTo({ http, url, gitDir, headers }, push)),
  };
};

const FETCH = { remote: MIRRORED, singleBranch: true, tags: false } as const;

export const authHeaders = (auth: Auth): Record<string, string> => {
  if (auth.kind === 'none') return {};
  const pair =
    auth.kind === 'token'
      ? `${auth.user ?? 'x-access-token'}:${auth.token}`
      : `${auth.user}:${auth.password}`;
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` };
};

const secretsOf = (auth: Auth): readonly string[] => {
  switch (auth.kind) {
    case 'none':
      return [];
    case 'token':
      return [auth.token];
    case 'basic':
      return [auth.password];
  }
};

interface PushContext {
  readonly http: ReturnType<typeof createHttp>;
  readonly url: string;
  readonly gitDir: string;
  readonly headers: Record<string, string>;
}

/**
 * The library compares with what the remote says at that moment, refuses what is not ahead of it,
 * and the server compares again when it moves the ref; our commit's parent is what we knew:
 * together a compare-and-swap.
 */
const pushTo = async (context: PushContext, push: Push): Promise<PushResult> => {
  const { http, url, gitDir, headers } = context;
  const git = await gitLibrary();
  const said: string[] = [];
  try {
    // Asked first, because the library walks the whole history to find out that somebody else was
    // faster. The library writes its protocol version into the headers that it is given: each call
    // gets its own.
    const prefix = push.ref;
    const listed = await git.listServerRefs({ http, url, prefix, headers: { ...headers } });
    const now = listed.find((one) => one.ref === push.ref)?.oid ?? null;
    if (now !== push.from) return { kind: 'conflict' };
    const result = await git.push({
      fs,
      http,
      gitdir: gitDir,
      url,
      remote: MIRRORED,
      ref: push.to,
      remoteRef: push.ref,
      headers,
      onMessage: (text) => void said.push(text),
    });
    if (result.ok) return { kind: 'pushed' };
    throw new Error(result.error ?? 'the server did not say why');
  } catch (error) {
    if (isConflict(error)) return { kind: 'conflict' };
    if (codeOf(error) === 'GitPushError') {
      throw new RefusedPush(refusalOf(error, push, said), push.ref);
    }
    throw error;
  }
};

/** The server heard the push and said no; the message is what it said. */
class RefusedPush extends Error {
  readonly ref: string;
  constructor(words: string, ref: string) {
    super(words);
    this.ref = ref;
  }
}

/** What the server said of the ref, and the lines that git shows behind `remote:`. */
const refusalOf = (error: unknown, { ref }: Push, said: readonly string[]): string => {
  const data = error instanceof Error && 'data' in error ? error.data : null;
  const { result } = (data ?? {}) as {
    readonly result?: { readonly refs?: Readonly<Record<string, { readonly error?: string }>> };
  };
  const why = result?.refs?.[ref]?.error ?? messageOf(error);
  const lines = plainLines(said.join(''));
  return lines.length === 0 ? why : `${lines.join(' ')} (${why})`;
};

/** What servers and the library say when a ref is not where it was thought to be. */
const CONFLICTS = new RegExp(
  [
    'not-fast-forward',
    'non-fast-forward',
    'fast forward',
    'fetch first',
    'stale info',
    'failed to update ref',
    'cannot lock ref',
    'failed to lock',
    'incorrect old value',
    'reference already exists',
  ].join('|'),
  'i',
);

const isConflict = (error: unknown): boolean =>
  codeOf(error) === 'PushRejectedError' || CONFLICTS.test(wordsOf(error));

/** The library puts what the server said about a ref into `data`. */
const wordsOf = (error: unknown): string => {
  const data = error instanceof Error && 'data' in error ? JSON.stringify(error.data) : '';
  return `${messageOf(error)} ${data ?? ''}`;
};

interface Attempt {
  /** Completes `<remote> cannot …`. */
  readonly verb: string;
  readonly name: string;
  readonly auth: Auth;
}

const explain = (error: unknown, { verb, name, auth }: Attempt): GitFailure => {
  if (error instanceof GitFailure) return error;
  const status = statusOf(error);
  const cannot = `${name} cannot ${verb}`;
  const has = auth.kind === 'none' ? 'no login is configured' : 'the login was refused';
  if (status === 401 || status === 407) {
    return broken(
      `${cannot}: ${has} (HTTP ${status}). Check the token and that it has not expired`,
    );
  }
  if (status === 403) {
    return broken(`${cannot}: not allowed (HTTP 403). The token needs to read and write contents`);
  }
  if (status === 404) {
    return broken(
      `${cannot}: not found (HTTP 404). Check the URL, and that the login may see the repository`,
    );
  }
  if (status !== null) return retry(`${cannot}: HTTP ${status}. It will be tried again`);
  const words = redact(causeOf(error), secretsOf(auth)).slice(0, 500);
  if (error instanceof RefusedPush) {
    return broken(`${cannot}: the server refused it: ${words}. ${pushAdvice(error.ref)}`);
  }
  if (codeOf(error) === 'SmartHttpError') {
    return broken(
      `${cannot}: what answers there is not Git (a login page or a proxy?). Check the URL`,
    );
  }
  return retry(`${cannot}: ${words}. It will be tried again`);
};

const statusOf = (error: unknown): number | null => {
  if (!(error instanceof Error) || !('data' in error)) return null;
  const data = error.data;
  if (typeof data !== 'object' || data === null || !('statusCode' in data)) return null;
  return typeof data.statusCode === 'number' ? data.statusCode : null;
};

/** fetch hides the reason in `cause`. */
const causeOf = (error: unknown): string => {
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof Error) return `${messageOf(error)} (${codeOf(cause) ?? cause.message})`;
  return messageOf(error);
};
