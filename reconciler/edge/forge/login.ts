// The login at GitHub: an App's installation, or a token. Kept while it does, made anew where it has
// ended, found again where the App is installed anew.
// In: files with secrets, read whenever they are needed. Out: octokit with its throttling and
// retries, a token for Git; a ForgeFailure for all that is refused. Not here: what is asked (wire).

import { createPrivateKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Octokit } from 'octokit';
import { failureOf, ForgeFailure, type Asker, type Refusal } from './failure.ts';
import type { Gate } from './gate.ts';
import { createHeld } from './held.ts';
import { createInstallation, type Installation } from './installation.ts';
import { siteOf, type GitHubOptions } from './options.ts';
import type { Asked } from './permissions.ts';

export interface Login {
  /** With the login of now; once more with a new one where that has ended. */
  readonly attempt: <T>(asked: Asked, work: (session: Session) => Promise<T>) => Promise<T>;
  /** What a person should know of the login though it does; null: nothing. */
  readonly notice: () => string | null;
}

/** The loop comes again by itself: octokit repeats a failed request once, after a second. */
const RETRIES = 1;
/** Refusals that a second attempt does not change, or that name a time to wait (429, 503). */
const NOT_REPEATED = [400, 401, 403, 404, 410, 413, 422, 429, 451, 503];
/** GitHub's short waits are sat out within the request; longer ones are the loop's to wait. */
const SHORT_WAIT_S = 3;

export interface Session {
  readonly octokit: Octokit;
  readonly token: () => Promise<string>;
}

export const createLogin = (
  options: GitHubOptions,
  { gate, fetchBy }: { readonly gate: Gate; readonly fetchBy: typeof fetch },
): Login => {
  const { credentials } = options.config;
  const asker = askerOf(options);
  const held = createHeld(options.clock.now);
  const installation =
    credentials.kind === 'app' ? createInstallation(credentials.installation, asker) : null;
  let session: Promise<Session> | null = null;

  const open = (): Promise<Session> => {
    session ??= openSession(options, fetchBy, installation).catch((error: unknown) => {
      session = null;
      throw error;
    });
    return session;
  };

  const inSession = async <T>(work: (session: Session) => Promise<T>): Promise<T> => {
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

  /** Where the App is installed anew, once more with the login of there. */
  const whereverItIs = async <T>(work: (session: Session) => Promise<T>): Promise<T> => {
    try {
      return await inSession(work);
    } catch (error) {
      if (!(error instanceof ForgeFailure) || installation === null) throw error;
      const { octokit } = await open();
      const why = await installation.lookAgain(octokit, error);
      if (why !== 'moved') throw why;
    }
    session = null;
    return inSession(work);
  };

  return {
    attempt: async (asked, work) => {
      gate.enter();
      held.enter(asked);
      try {
        const done = await whereverItIs(work);
        held.allowed(asked);
        return done;
      } catch (error) {
        if (error instanceof ForgeFailure) held.refused(error);
        throw error;
      }
    },
    notice: () => installation?.notice() ?? null,
  };
};

const openSession = async (
  options: GitHubOptions,
  fetchBy: typeof fetch,
  installation: Installation | null,
): Promise<Session> => {
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
  const id = installation?.id() ?? credentials.installation;
  const octokit = await app.getInstallationOctokit(id);
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
export const refusalOf = (error: unknown): (Refusal & { readonly answered: boolean }) | null => {
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
