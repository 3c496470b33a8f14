// Requests to GitHub: conditional requests, pages, and the limits of the gate.
// In: a route and its parameters. Out: what GitHub answers, or a ForgeFailure. Not here: what is
// asked, with which login (login).

import { saidTogether } from '../../../schema/plain.ts';
import { ForgeFailure } from './failure.ts';
import { createFetch } from './fetch.ts';
import { createGate, type Gate, type WriteOf } from './gate.ts';
import { createGitHubTime } from './github-time.ts';
import { createLogin, refusalOf, type Login } from './login.ts';
import type { GitHubOptions } from './options.ts';
import type { Asked } from './permissions.ts';
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
  /** What is remembered of a repository; emptied once it is another one. */
  readonly memory: <Key, Value>() => Map<Key, Value>;
  /** It is another repository now: nothing that was known of it holds. */
  readonly forget: () => void;
  /** How often GitHub has led to another address: a change may be another name. */
  readonly moves: () => number;
  readonly gate: Gate;
  readonly isApp: boolean;
}

export interface UpTo<T> {
  readonly isOld: (item: T) => boolean;
  readonly pagesMax: number;
}

const ONCE = { retries: 0 };
/** Answers kept for conditional requests: what looks ask, and who is behind a thousand pulls. */
const KEPT_MAX = 5000;
/** Items that GitHub puts on one page at most. */
export const PAGE = 100;

const createMemories = (): Pick<Wire, 'memory' | 'forget'> => {
  const all: Map<unknown, unknown>[] = [];
  return {
    memory: <Key, Value>() => {
      const made = new Map<Key, Value>();
      all.push(made as Map<unknown, unknown>);
      return made;
    },
    forget: () => {
      for (const one of all) one.clear();
    },
  };
};

export const createWire = (options: GitHubOptions): Wire => {
  const gate = createGate(options.clock);
  const time = createGitHubTime(() => options.clock.epochMs?.() ?? Date.now());
  let moves = 0;
  const memories = createMemories();
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
    notice: () => saidTogether(time.notice(), line.notice()),
    epochMs: time.epochMs,
    moves: () => moves,
    ...memories,
    isApp: options.config.credentials.kind === 'app',
    poll: async (poll) => (await ask(poll)).data,
    pages: createPages(ask),
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
        return attempt(askedBy(route), async ({ octokit }) =>
          whole((await octokit.request(route, all)).data),
        );
      }),
    graphql: (query, variables, of) =>
      writing(of, () =>
        attempt(askedBy('POST /graphql'), ({ octokit }) =>
          octokit.graphql(query, { ...variables }),
        ),
      ),
    token: () => attempt(askedBy(LOGIN), (session) => session.token()),
  };
};

/** A token for Git is made by it, where none is at hand. */
const LOGIN = 'POST /app/installations/{installation_id}/access_tokens';

const askedBy = (route: string): Asked => {
  const [method = '', path = ''] = route.split(' ');
  return { method, path };
};

/**
 * As many pages as a list had the last time are asked for at once: a thousand open pull requests
 * are ten, and a push to one of them waits for all.
 */
const createPages = (ask: Line['ask']): Wire['pages'] => {
  const counts = new Map<string, number>();
  return async (poll, pagesMax) => {
    const { route, params, once } = poll;
    const askPage = (page: number) => ask({ ...poll, params: { per_page: PAGE, ...params, page } });
    const key = `${route} ${JSON.stringify(params)}`;
    const before = Math.min(counts.get(key) ?? 1, pagesMax);
    const asked = await Promise.all(Array.from({ length: before }, (_, at) => askPage(at + 1)));
    const end = asked.findIndex(({ next }) => next === null);
    const all = end === -1 ? asked : asked.slice(0, end + 1);
    while (all.at(-1)?.next !== null && all.length < pagesMax) {
      all.push(await askPage(all.length + 1));
    }
    counts.delete(key);
    if (once !== true && all.length > 1) counts.set(key, all.length);
    return all.flatMap(({ data }) => data);
  };
};

/** The session of now, and answers that are kept. */
interface Line {
  readonly attempt: Login['attempt'];
  readonly ask: <T>(poll: Poll<T>) => Promise<Kept<T>>;
  readonly inRepository: (route: string, params: Params) => Params;
  readonly notice: Login['notice'];
}

const createLine = (options: GitHubOptions, gate: Gate, fetchBy: typeof fetch): Line => {
  const { config } = options;
  const kept = new Map<string, Kept>();

  const inRepository: Line['inRepository'] = (route, params) =>
    route.includes('{owner}') ? { owner: config.owner, repo: config.repo, ...params } : params;

  const { attempt, notice } = createLogin(options, { gate, fetchBy });

  const ask: Line['ask'] = async <T>({ route, params, pick, once }: Poll<T>) => {
    const all = inRepository(route, params);
    const key = `${route} ${JSON.stringify(params)}`;
    const known = kept.get(key) as Kept<T> | undefined;
    const headers = known === undefined ? {} : { 'if-none-match': known.etag };
    return attempt(askedBy(route), async ({ octokit }) => {
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

  return { attempt, ask, inRepository, notice };
};

interface Kept<T = unknown> {
  readonly etag: string;
  readonly data: T;
  /** Where the next page begins; null: there is none. */
  readonly next: string | null;
}

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
