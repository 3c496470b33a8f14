// A client of image registries (OCI distribution protocol): manifests and blobs, nothing is pushed.
// In: references; logins from a file of the form that `docker login` writes, read anew at each
// login, so that a changed password needs no restart. Out: bytes and streams, or RuntimeError in
// words for people. Credentials go to the registry's own host and to the token server that it
// names, never along a redirect. Not here: what is done with the bytes (pull.ts); digests of blobs
// are checked by containerd, of manifests by the caller.

import { readFile } from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import {
  type AuthChallenge,
  type ImageReference,
  isInsecure,
  loginFor,
  MANIFEST_ACCEPT,
  MANIFEST_MAX_BYTES,
  parseChallenge,
  readToken,
  type RegistryLogin,
  registryUrl,
  repositoryOf,
  tokenUrl,
  unreachableWords,
} from '../../../schema/image-reference.ts';
import { RuntimeError } from '../runtime-error.ts';

export interface RegistryOptions {
  /** File with logins; null or a missing file: no logins. */
  readonly loginsPath: string | null;
  /** Registries (`host:port`) that are spoken to without TLS, besides those on loopback. */
  readonly insecure: readonly string[];
}

export interface Registry {
  /** The bytes that `reference` (a digest) names: an index or a manifest. Not yet verified. */
  readonly manifest: (ref: ImageReference, digest: string, signal?: AbortSignal) => Promise<Buffer>;
  /**
   * The bytes of a blob from `offset` on; the stream starts exactly there, whatever the registry
   * can.
   */
  readonly blob: (ask: BlobAsk) => Promise<AsyncIterable<Buffer>>;
  readonly close: () => void;
}

export interface BlobAsk {
  readonly reference: ImageReference;
  readonly digest: string;
  readonly offset: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Silence for this long ends a request: long enough for a registry that fetches from a slow store.
 */
const IDLE_MAX_MS = 30_000;
/** Content networks redirect once, rarely twice. */
const REDIRECTS_MAX = 5;
/** Connections to one host: several layers at a time. */
const CONNECTIONS_MAX = 8;
/** Tokens are remembered for one repository each; a registry's shortest promise is 60 s. */
const TOKEN_LIFE_MS = 45_000;
const TOKENS_MAX = 1_000;
/** An error text or a token is short. */
const TEXT_MAX_BYTES = 256 * 1024;

export const createRegistry = (options: RegistryOptions): Registry => {
  const agents = {
    'http:': new http.Agent({ keepAlive: true, maxSockets: CONNECTIONS_MAX }),
    'https:': new https.Agent({ keepAlive: true, maxSockets: CONNECTIONS_MAX }),
  };
  const send: Send = (url, headers, signal) => request(agents, { url, headers, signal });
  const tokens = new Map<string, { readonly header: string; readonly until: number }>();

  /** GET with login when asked for, redirects followed; any status but 401 is the caller's. */
  const get = async (ref: ImageReference, what: GetAsk): Promise<http.IncomingMessage> => {
    const key = repositoryOf(ref);
    const url = `${registryUrl(ref, isInsecure(ref.registry, options.insecure))}/${what.path}`;
    const known = tokens.get(key);
    const remembered = known !== undefined && known.until > performance.now() ? known.header : null;
    const login = (header: string | null): Record<string, string> =>
      header === null ? what.headers : { ...what.headers, authorization: header };
    const first = await follow(send, url, login(remembered), what.signal);
    if (first.statusCode !== 401) return first;
    const challenge = challengeOf(first, ref);
    first.resume();
    const header = await logIn(send, { challenge, ref, options, signal: what.signal });
    if (tokens.size >= TOKENS_MAX) tokens.clear();
    tokens.set(key, { header, until: performance.now() + TOKEN_LIFE_MS });
    return follow(send, url, login(header), what.signal);
  };

  return {
    manifest: async (ref, digest, signal) => {
      const headers = { accept: MANIFEST_ACCEPT };
      const answer = await get(ref, { path: `manifests/${digest}`, headers, signal });
      if (answer.statusCode === 200) return readAll(answer, MANIFEST_MAX_BYTES);
      throw await refusal(answer, ref, digest);
    },
    blob: async ({ reference, digest, offset, signal }) => {
      const headers: Record<string, string> = offset === 0 ? {} : { range: `bytes=${offset}-` };
      const answer = await get(reference, { path: `blobs/${digest}`, headers, signal });
      if (answer.statusCode === 206 && startsAt(answer, offset)) return answer;
      if (answer.statusCode === 200) return skip(answer, offset);
      throw await refusal(answer, reference, digest);
    },
    close: () => {
      agents['http:'].destroy();
      agents['https:'].destroy();
    },
  };
};

interface GetAsk {
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly signal?: AbortSignal | undefined;
}

type Send = (
  url: URL,
  headers: Record<string, string>,
  signal: AbortSignal | undefined,
) => Promise<http.IncomingMessage>;

const follow = async (
  send: Send,
  start: string,
  ...[headers, signal]: [Record<string, string>, AbortSignal | undefined]
): Promise<http.IncomingMessage> => {
  const { authorization: _, ...bare } = headers;
  let url = new URL(start);
  let answer = await send(url, headers, signal);
  for (let hops = 0; isRedirect(answer) && hops < REDIRECTS_MAX; hops += 1) {
    answer.resume();
    const next = new URL(answer.headers.location ?? '', url);
    if (url.protocol === 'https:' && next.protocol !== 'https:')
      throw new RuntimeError(
        'registry',
        `Registry ${url.host} redirects to ${next.host} without TLS; that is not followed.`,
      );
    const same = next.host === url.host;
    url = next;
    answer = await send(url, same ? headers : bare, signal);
  }
  return answer;
};

const isRedirect = (answer: http.IncomingMessage): boolean =>
  [301, 302, 303, 307, 308].includes(answer.statusCode ?? 0) &&
  answer.headers.location !== undefined;

const challengeOf = (answer: http.IncomingMessage, ref: ImageReference): AuthChallenge => {
  const challenge = parseChallenge(answer.headers['www-authenticate'] ?? '');
  if (challenge !== null) return challenge;
  throw new RuntimeError(
    'registry',
    `Registry ${ref.registry} asks for a login that is neither basic nor bearer.`,
  );
};

interface LoginAsk {
  readonly challenge: AuthChallenge;
  readonly ref: ImageReference;
  readonly options: RegistryOptions;
  readonly signal: AbortSignal | undefined;
}

/** The Authorization header that answers the challenge. */
const logIn = async (
  send: Send,
  { challenge, ref, options, signal }: LoginAsk,
): Promise<string> => {
  const login = await readLogin(options.loginsPath, ref.registry);
  const basic = login === null ? null : basicHeader(login);
  if (challenge.kind === 'basic') {
    if (basic !== null) return basic;
    throw loginMissing(ref, options);
  }
  const url = new URL(tokenUrl(challenge, ref));
  if (basic !== null && url.protocol !== 'https:' && !isInsecure(url.host, options.insecure))
    throw new RuntimeError(
      'registry',
      `Registry ${ref.registry} sends logins to ${url.host} without TLS; the password stays here.`,
    );
  const answer = await send(url, basic === null ? {} : { authorization: basic }, signal);
  const text = (await readAll(answer, TEXT_MAX_BYTES)).toString();
  if (answer.statusCode === 200) {
    const token = readToken(parseJson(text));
    if (token !== null) return `Bearer ${token}`;
  }
  if (answer.statusCode === 401 || answer.statusCode === 403)
    throw login === null ? loginMissing(ref, options) : loginRefused(ref, login);
  throw new RuntimeError(
    'registry',
    `Token server ${url.host} of registry ${ref.registry} gave no token (${answer.statusCode}).`,
  );
};

const basicHeader = ({ username, password }: RegistryLogin): string =>
  `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;

const readLogin = async (path: string | null, registry: string): Promise<RegistryLogin | null> => {
  if (path === null) return null;
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '{}';
    throw new RuntimeError('login', `Cannot read the file with registry logins: ${path}.`, error);
  });
  const file = parseJson(text);
  if (file === undefined)
    throw new RuntimeError('login', `The logins in ${path} are not valid JSON.`);
  return loginFor(file, registry);
};

const loginMissing = (ref: ImageReference, { loginsPath }: RegistryOptions): RuntimeError =>
  new RuntimeError(
    'login',
    `Registry ${ref.registry} wants a login for ${ref.path}. ` +
      (loginsPath === null
        ? 'Give this node a file with registry logins.'
        : `Add one for ${ref.registry} to ${loginsPath} on this node.`),
  );

const loginRefused = (ref: ImageReference, login: RegistryLogin): RuntimeError =>
  new RuntimeError(
    'login',
    `Registry ${ref.registry} refused the login of ${login.username} for ${ref.path}. ` +
      'Check the password, and that this user may pull.',
  );

/** Why a registry did not give what was asked. 404 and "denied" are said apart where it says so. */
const refusal = async (
  answer: http.IncomingMessage,
  ref: ImageReference,
  digest: string,
): Promise<RuntimeError> => {
  const status = answer.statusCode ?? 0;
  const text = (await readAll(answer, TEXT_MAX_BYTES).catch(() => Buffer.alloc(0))).toString();
  const name = `${repositoryOf(ref)}@${digest}`;
  if (status === 404)
    return new RuntimeError(
      'image-not-found',
      `Registry ${ref.registry} has no ${name}. Was it pushed, and not deleted since?`,
    );
  if (status === 401 || status === 403)
    return new RuntimeError(
      'login',
      `Registry ${ref.registry} does not let this node pull ${ref.path} (${status}). ` +
        'Check the login on this node and its rights.',
    );
  const said = text.replaceAll(/\s+/g, ' ').slice(0, 200);
  return new RuntimeError(
    'registry',
    `Registry ${ref.registry} answered ${status} for ${name}${said === '' ? '' : `: ${said}`}.`,
  );
};

const startsAt = (answer: http.IncomingMessage, offset: number): boolean =>
  (answer.headers['content-range'] ?? '').startsWith(`bytes ${offset}-`);

/** For registries without Range: the first bytes are read and thrown away. */
const skip = async function* (answer: http.IncomingMessage, offset: number): AsyncIterable<Buffer> {
  let toSkip = offset;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    if (toSkip >= chunk.length) toSkip -= chunk.length;
    else {
      yield chunk.subarray(toSkip);
      toSkip = 0;
    }
  }
};

const readAll = async (answer: http.IncomingMessage, maxBytes: number): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes)
      throw new RuntimeError('registry', `A registry sent more than ${maxBytes} bytes of text.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
};

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
};

type Agents = { readonly 'http:': http.Agent; readonly 'https:': https.Agent };

const request = (
  agents: Agents,
  ask: { url: URL; headers: Record<string, string>; signal: AbortSignal | undefined },
): Promise<http.IncomingMessage> =>
  new Promise((resolve, reject) => {
    const { url, signal } = ask;
    const secure = url.protocol === 'https:';
    const sent = (secure ? https : http).request(url, {
      agent: secure ? agents['https:'] : agents['http:'],
      headers: { ...ask.headers, 'user-agent': 'purser' },
      ...(signal === undefined ? {} : { signal }),
    });
    const fail = (error: Error): void => reject(unreachable(url, error));
    sent.setTimeout(IDLE_MAX_MS, () =>
      sent.destroy(new Error(`no answer for ${IDLE_MAX_MS / 1000} s`)),
    );
    sent.on('error', fail);
    sent.on('response', (answer) => {
      // A body that is no longer read may fail later; without a listener that would end the
      // process.
      answer.on('error', () => undefined);
      resolve(answer);
    });
    sent.end();
  });

const unreachable = (url: URL, error: Error): Error =>
  error.name === 'AbortError'
    ? error
    : new RuntimeError(
        'registry',
        `Registry ${url.host} cannot be reached from this node: ${unreachableWords(error)}.`,
        error,
      );
