// Requests to GitHub: octokit with its throttling and retries, authentication, conditional
// requests, and the limits of the gate.
// In: a route and its parameters. Out: what GitHub answers, or a ForgeFailure. A login that ends
// between two requests is made anew once. Not here: what is asked.

import { createPrivateKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Octokit } from 'octokit';
import { failureOf, ForgeFailure, type Asker, type Refusal } from './failure.ts';
import { createFetch } from './fetch.ts';
import { createGate, type Gate, type WriteOf } from './gate.ts';
import { createGitHubTime } from './github-time.ts';
import { siteOf, type GitHubOptions } from './options.ts';
import { createTurns } from './turns.ts';

export type Params = Readonly<Record<string, unknown>>;

/** A question that is asked again and again: its answer is kept with its ETag. */
export interface Poll<T> {
  /** `GET /repos/{owner}/{repo}/pulls`. */
  readonly route: string;
  readonly params: Params;
  /** What is needed of the answer, and kept. */
  readonly pick: (data: unknown) => T;
  /** Seldom asked and large: nothing of it is kept. */
  readonly once?: true;
}

export interface Wire {
  /** One answer; `owner` and `repo` are filled in. Costs nothing of the rate when it is as before. */
  readonly poll: <T>(poll: Poll<T>) => Promise<T>;
  /** All pages of a list, at most so many; the picked lists joined. */
  readonly pages: <T>(poll: Poll<readonly T[]>, pagesMax: number) => Promise<readonly T[]>;
  /** The same for lists that GitHub pages by a cursor, newest first, until one is `old`. */
  readonly newest: <T>(poll: Poll<readonly T[]>, upTo: UpTo<T>) => Promise<readonly T[]>;
  /** A write. Those that make something (POST) are never repeated unseen. */
  readonly send: (route: string, params: Params, of?: WriteOf) => Promise<unknown>;
  readonly graphql: (query: string, variables: Params, of?: WriteOf) => Promise<unknown>;
  readonly token: () => Promise<string>;
  /** What a person should know though all goes well; null: nothing. */
  readonly notice: () => string | null;
  /** Milliseconds since 1970 by GitHub's clock. */
  readonly epochMs: () => number;
  /** How often GitHub has led to another address: a change may be another name. */
  readonly moves: () => number;
  readonly gate: Gate;
  readonly isApp: boolean;
}

export interface UpTo<T> {
  readonly isOld: (item: T) => boolean;
  readonly pagesMax: number;
}

/** The loop comes again by itself: octokit repeats a failed request once, after a second. */
const RETRIES = 1;
const ONCE = { retries: 0 };
/** Refusals that a second attempt does not change, or that name a time to wait (429, 503). */
const NOT_REPEATED = [400, 401, 403, 404, 410, 413, 422, 429, 451, 503];
/** GitHub's short waits are sat out within the request; longer ones are the loop's to wait. */
const SHORT_WAIT_S = 3;
/** Answers kept for conditional requests: what looks ask, and who is behind a thousand pulls. */
const KEPT_MAX = 5000;
const PAGE = 100;

export const createWire = (options: GitHubOptions): Wire => {
  const gate = createGate(options.clock);
  const time = createGitHubTime(() => options.clock.epochMs?.() ?? Date.now());
  let moves = 0;
  const fetchBy = createFetch({ gate, time, moved: () => void (moves += 1) });
  const line = createLine(options, gate, fetchBy);
  const { ask, attempt, inRepository } = line;
  const inTurn = createTurns();
  /** One write after the other, as GitHub asks for. */
  const writing = <T>(of: WriteOf | undefined, work: () => Promise<T>): Promise<T> =>
    inTurn('write', async () => {
      await gate.mayWrite(of);
      return work();
    });
  return {
    gate,
    notice: time.notice,
    epochMs: time.epochMs,
    moves: () => moves,
    isApp: options.config.credentials.kind === 'app',
    poll: async (poll) => (await ask(poll)).data,
    pages: async (poll, pagesMax) => {
      const found = [];
      for (let page = 1; page <= pagesMax; page += 1) {
        const params = { per_page: PAGE, ...poll.params, page };
        const { data, next } = await ask({ ...poll, params });
        found.push(...data);
        if (next === null) break;
      }
      return found;
    },
    newest: async (poll, { isOld, pagesMax }) => {
      const found = [];
      let at: Params = {};
      for (let page = 1; page <= pagesMax; page += 1) {
        const params = { per_page: PAGE, ...poll.params, ...at };
        const { data, next } = await ask({ ...poll, params });
        found.push(...data.filter((item) => !isOld(item)));
        if (next === null || next === '' || data.some(isOld)) break;
        at = { cursor: next };
      }
      return found;
    },
    send: (route, params, of) =>
      writing(of, async () => {
        const request = route.startsWith('POST') ? ONCE : {};
        const all = { ...inRepository(route, params), request };
        return attempt(async ({ octokit }) => whole((await octokit.request(route, all)).data));
      }),
    graphql: (query, variables, of) =>
      writing(of, () => attempt(({ octokit }) => octokit.graphql(query, { ...variables }))),
    token: () => attempt((session) => session.token()),
  };
};

/** The session of now, and answers that are kept. */
interface Line {
  /** With the login of now; once more with a new one where that has ended. */
  readonly attempt: <T>(work: (session: Session) => Promise<T>) => Promise<T>;
  readonly ask: <T>(poll: Poll<T>) => Promise<Kept<T>>;
  readonly inRepository: (route: string, params: Params) => Params;
}

const createLine = (options: GitHubOptions, gate: Gate, fetchBy: typeof fetch): Line => {
  const { config } = options;
  const asker = askerOf(options);
  const kept = new Map<string, Kept>();
  let session: Promise<Session> | null = null;

  const inRepository: Line['inRepository'] = (route, params) =>
    route.includes('{owner}') ? { owner: config.owner, repo: config.repo, ...params } : params;

  const open = (): Promise<Session> => {
    session ??= openSession(options, fetchBy).catch((error: unknown) => {
      session = null;
      throw error;
    });
    return session;
  };

  const attempt: Line['attempt'] = async (work) => {
    gate.enter();
    const first = await open();
    try {
      return await work(first);
    } catch (error) {
      if (refusalOf(error)?.status !== 401) throw toFailure(error, asker, gate);
    }
    session = null;
    const second = await open();
    return work(second).catch((error: unknown) => {
      throw toFailure(error, asker, gate);
    });
  };

  const ask: Line['ask'] = async <T>({ route, params, pick, once }: Poll<T>) => {
    const all = inRepository(route, params);
    const key = `${route} ${JSON.stringify(params)}`;
    const known = kept.get(key) as Kept<T> | undefined;
    const headers = known === undefined ? {} : { 'if-none-match': known.etag };
    return attempt(async ({ octokit }) => {
      const request = gate.away.isAway() ? ONCE : {};
      try {
        const { data, headers: told } = await octokit.request(route, { ...all, headers, request });
        if (data === '') throw cut();
        const etag = told.etag ?? '';
        const answer = { etag, data: pick(whole(data)), next: nextOf(told.link) };
        if (etag !== '' && once !== true) remember(kept, key, answer);
        return answer;
      } catch (error) {
        if (refusalOf(error)?.status !== 304 || known === undefined) throw error;
        remember(kept, key, known);
        return known;
      }
    });
  };

  return { attempt, ask, inRepository };
};

interface Kept<T = unknown> {
  readonly etag: string;
  readonly data: T;
  /** Where the next page begins; null: there is none. */
  readonly next: string | null;
}

interface Session {
  readonly octokit: Octokit;
  readonly token: () => Promise<string>;
}

const openSession = async (options: GitHubOptions, fetchBy: typeof fetch): Promise<Session> => {
  const { credentials, apiUrl } = options.config;
  // Loaded when it is needed: a start without a forge does not pay for it.
  const { App, Octokit } = await import('octokit');
  const Tuned = Octokit.defaults({
    baseUrl: apiUrl,
    userAgent: 'purser',
    request: { fetch: fetchBy },
    retry: { retries: RETRIES, doNotRetry: NOT_REPEATED },
    throttle: throttleOf(apiUrl),
    log: quietLog(options),
  });
  if (credentials.kind === 'token') {
    const token = await secretIn(credentials.tokenFile, 'the token for GitHub');
    return { octokit: new Tuned({ auth: token }), token: async () => token };
  }
  const privateKey = await secretIn(credentials.privateKeyFile, "the key of Purser's GitHub App");
  if (!isKey(privateKey)) {
    const file = credentials.privateKeyFile;
    const words = `${file} holds no private key: it begins with -----BEGIN RSA PRIVATE KEY-----`;
    throw new ForgeFailure('broken', words);
  }
  const app = new App({ appId: credentials.appId, privateKey, Octokit: Tuned });
  const octokit = await app.getInstallationOctokit(credentials.installation);
  return {
    octokit,
    token: async () => {
      const given = (await octokit.auth({ type: 'installation' })) as { readonly token: string };
      return given.token;
    },
  };
};

const isKey = (text: string): boolean => {
  try {
    return createPrivateKey(text).asymmetricKeyType === 'rsa';
  } catch {
    return false;
  }
};

/** A secret of one file, without the line's end. */
export const secretIn = async (file: string, what: string): Promise<string> => {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error);
    throw new ForgeFailure('broken', `${what} cannot be read: ${why}`);
  });
  if (text.trim() === '') throw new ForgeFailure('broken', `${what} is missing: ${file} is empty`);
  return text.trim();
};

/** The gate spaces writes by GitHub's limits, so octokit's own second between them is left out. */
const throttleOf = (id: string) => {
  const schedule = (_: object, job: (...args: unknown[]) => unknown, ...args: unknown[]) =>
    job(...args);
  const atOnce = { key: () => ({ schedule }) };
  const isShort = (afterS: number, _: object, __: object, retryCount: number) =>
    afterS <= SHORT_WAIT_S && retryCount === 0;
  return {
    id,
    write: atOnce as never,
    notifications: atOnce as never,
    onRateLimit: isShort,
    onSecondaryRateLimit: isShort,
  };
};

/** octokit's warnings name methods and paths, no secrets; what failed is told by whoever asked. */
const quietLog = ({ log }: GitHubOptions) => ({
  debug: () => undefined,
  info: () => undefined,
  warn: (message: string) => log.info({}, `GitHub: ${message}`),
  error: () => undefined,
});

const askerOf = ({ config }: GitHubOptions): Asker => {
  const { credentials, owner, repo, apiUrl } = config;
  const isApp = credentials.kind === 'app';
  const secretFile = isApp ? credentials.privateKeyFile : credentials.tokenFile;
  return { site: siteOf(apiUrl), repository: `${owner}/${repo}`, secretFile, isApp };
};

const toFailure = (error: unknown, asker: Asker, gate: Gate): ForgeFailure => {
  if (error instanceof ForgeFailure) return error;
  if (error instanceof Error && error.cause instanceof ForgeFailure) return error.cause;
  const refusal = refusalOf(error);
  if (refusal === null) {
    const why = error instanceof Error ? error.message : String(error);
    return new ForgeFailure('broken', `GitHub could not be asked: ${why}`);
  }
  if (!refusal.answered) {
    const why = refusal.message.replace(
      /^The operation was aborted due to timeout$/,
      'it is silent',
    );
    return missedBy(gate, `GitHub (${asker.site}) cannot be reached: ${why}`);
  }
  const failure = failureOf(refusal, asker, gate.heard(refusal));
  if (refusal.status >= 500) gate.away.missed(failure.message);
  return failure;
};

const missedBy = (gate: Gate, words: string): ForgeFailure => {
  gate.away.missed(words);
  return new ForgeFailure('retry', words);
};

/** What octokit says of a failed request; null: it is no request that failed. */
const refusalOf = (error: unknown): (Refusal & { readonly answered: boolean }) | null => {
  if (!(error instanceof Error) || !('status' in error) || typeof error.status !== 'number') {
    return null;
  }
  const { request, response } = error as {
    request?: { readonly method: string; readonly url: string };
    response?: { readonly headers: Refusal['headers'] };
  };
  return {
    status: error.status,
    message: error.message.replace(/ - https?:\S+$/, ''),
    headers: response?.headers ?? {},
    method: request?.method ?? 'GET',
    path: request === undefined ? '' : new URL(request.url).pathname.replace(/^\/api\/v3/, ''),
    answered: response !== undefined,
  };
};

/** octokit hands an answer that was cut on its way as text. */
const whole = (data: unknown): unknown => {
  if (typeof data !== 'string' || data === '') return data;
  throw cut();
};

const cut = (): ForgeFailure =>
  new ForgeFailure('retry', "GitHub's answer was cut on its way, or is not GitHub's");

/** The cursor of the next page, or '' where pages are numbered. */
const nextOf = (link: string | undefined): string | null => {
  const next = /<([^>]*)>;\s*rel="next"/.exec(link ?? '')?.[1];
  return next === undefined ? null : (new URL(next).searchParams.get('cursor') ?? '');
};

const remember = (kept: Map<string, Kept>, key: string, answer: Kept): void => {
  kept.delete(key);
  kept.set(key, answer);
  const oldest = kept.keys().next().value;
  if (kept.size > KEPT_MAX && oldest !== undefined) kept.delete(oldest);
};
