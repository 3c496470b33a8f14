// Asks a registry which digest a tag has now (rules 3). One HEAD request, or GET where HEAD gives
// no digest.
// In: a reference. Out: an answer, failures included; nothing is thrown. Only repositories that
// policy allows get here (compile asks for no others). Not here: pulling, which the nodes do.

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { ImageReference } from '../../schema/image-reference.ts';
import {
  isInsecure,
  loginFor,
  MANIFEST_ACCEPT,
  MANIFEST_MAX_BYTES,
  parseChallenge,
  parseImageReference,
  readToken,
  registryUrl,
  tokenUrl,
  unreachableWords,
} from '../../schema/image-reference.ts';
import type { LookupAnswer } from '../../schema/source.ts';
import type { RegistryPort } from '../ports.ts';

export interface RegistryOptions {
  /** docker's config.json, or null. */
  readonly credentials: string | null;
  readonly insecure: readonly string[];
}

/** A registry that says nothing for this long is unreachable. */
const ANSWER_LIMIT_MS = 10_000;

export const createRegistry = (options: RegistryOptions): RegistryPort => ({
  resolve: async ({ reference }) => {
    const parsed = parseImageReference(reference);
    if (parsed === null) return failed('not-found', `\`${reference}\` is not an image reference`);
    try {
      return await ask(options, parsed);
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      return failed(
        'unreachable',
        `registry ${parsed.registry} does not answer: ${wordsOf(cause)}`,
      );
    }
  },
});

const wordsOf = (cause: unknown): string =>
  cause instanceof Error ? unreachableWords(cause) : String(cause);

type Why = Extract<LookupAnswer, { kind: 'failed' }>['why'];

const failed = (why: Why, message: string): LookupAnswer => ({
  kind: 'failed',
  why,
  message,
  sinceMs: 0,
});

const ask = async (options: RegistryOptions, ref: ImageReference): Promise<LookupAnswer> => {
  const insecure = isInsecure(ref.registry, options.insecure);
  const url = `${registryUrl(ref, insecure)}/manifests/${ref.tag ?? ref.digest}`;
  const first = await request(url, 'HEAD', null);
  const header = first.status === 401 ? await logIn(options, ref, first) : null;
  const head = header === null ? first : await request(url, 'HEAD', header);
  if (!head.ok) return refusal(ref, head.status, await loginAdvice(options, ref));
  const named = head.headers.get('docker-content-digest');
  if (named !== null && /^sha256:[0-9a-f]{64}$/.test(named))
    return { kind: 'digest', digest: named };
  const whole = await request(url, 'GET', header);
  if (!whole.ok) return refusal(ref, whole.status, await loginAdvice(options, ref));
  const bytes = Buffer.from(await whole.arrayBuffer());
  if (bytes.length > MANIFEST_MAX_BYTES) {
    return failed(
      'unreachable',
      `registry ${ref.registry} sent a manifest of ${bytes.length} bytes`,
    );
  }
  return { kind: 'digest', digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}` };
};

const request = (url: string, method: string, authorization: string | null): Promise<Response> =>
  fetch(url, {
    method,
    headers: {
      accept: MANIFEST_ACCEPT,
      ...(authorization === null ? {} : { authorization }),
    },
    signal: AbortSignal.timeout(ANSWER_LIMIT_MS),
  });

/** The Authorization header that answers a 401; null where there is none to give. */
const logIn = async (
  options: RegistryOptions,
  ref: ImageReference,
  answer: Response,
): Promise<string | null> => {
  const challenge = parseChallenge(answer.headers.get('www-authenticate') ?? '');
  const login = await loginOf(options, ref);
  const basic =
    login === null
      ? null
      : `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`;
  if (challenge === null || challenge.kind === 'basic') return basic;
  const given = await fetch(tokenUrl(challenge, ref), {
    headers: basic === null ? {} : { authorization: basic },
    signal: AbortSignal.timeout(ANSWER_LIMIT_MS),
  });
  const token = given.ok ? readToken(await given.json()) : null;
  return token === null ? null : `Bearer ${token}`;
};

/** null where the file has none for this registry, or cannot be read. */
const loginOf = async ({ credentials }: RegistryOptions, { registry }: ImageReference) => {
  if (credentials === null) return null;
  const text = await readFile(credentials, 'utf8').catch(() => '');
  try {
    return loginFor(JSON.parse(text), registry);
  } catch {
    return null;
  }
};

const loginAdvice = async (options: RegistryOptions, ref: ImageReference): Promise<string> => {
  const file = options.credentials;
  if (file === null)
    return 'wants a login: give the reconciler and the nodes a file of credentials (--registry-credentials)';
  return (await loginOf(options, ref)) === null
    ? `wants a login: there is none for ${ref.registry} in ${file}`
    : `refuses the login that ${file} has for ${ref.registry}: correct it there`;
};

const refusal = (ref: ImageReference, status: number, advice: string): LookupAnswer => {
  const name = `${ref.registry}/${ref.path}:${ref.tag ?? ''}`;
  if (status === 404) return failed('not-found', `registry ${ref.registry} has no ${name}`);
  if (status === 401 || status === 403) {
    return failed('login', `registry ${ref.registry} ${advice}`);
  }
  return failed('unreachable', `registry ${ref.registry} answered ${status} for ${name}`);
};
