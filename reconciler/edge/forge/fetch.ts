// How answers of GitHub are taken in: whole, up to a size, and from GitHub alone.
// In: requests as octokit makes them. Out: answers, with what they say of the rate and the time
// noted. Redirects are followed on GitHub's own host only, since a login goes with them. Not here:
// what an answer means (wire, failure).

import { formatSize } from '../../../schema/units.ts';
import { ForgeFailure } from './failure.ts';
import type { Gate } from './gate.ts';
import type { GitHubTime } from './github-time.ts';

/** An attempt that gets no whole answer in this time is given up: GitHub itself ends after 10 s. */
const ANSWER_LIMIT_MS = 15_000;
/** A page of a hundred comments, each as long as GitHub allows, has 26 MB; none has more. */
export const ANSWER_MAX_BYTES = 32 * 1024 * 1024;
/** A repository that was renamed, and its owner too. */
const REDIRECTS_MAX = 3;

export interface FetchNotes {
  readonly gate: Gate;
  readonly time: GitHubTime;
  /** Something is at another address now: the repository was renamed. */
  readonly moved: () => void;
}

/** Each attempt has its own time; each write that goes out is counted, repeated ones too. */
export const createFetch =
  ({ gate, time, moved }: FetchNotes): typeof fetch =>
  async (input, init) => {
    const asked = new URL(input instanceof Request ? input.url : String(input));
    const isLogin = asked.pathname.endsWith('/access_tokens');
    if (init?.method !== undefined && init.method !== 'GET' && !isLogin) gate.wrote();
    const all = { ...init, signal: AbortSignal.timeout(ANSWER_LIMIT_MS) };
    let url: URL = asked;
    for (let redirects = 0; redirects <= REDIRECTS_MAX; redirects += 1) {
      const answer = await fetch(url.href, { ...all, redirect: 'manual' });
      const headers = Object.fromEntries(answer.headers);
      gate.heard({ status: answer.ok ? 200 : 0, message: '', headers });
      time.heard(headers['date']);
      const next = nextOf(answer, url);
      if (next === null) {
        const whole = await wholeOf(answer);
        // Whole, since a proxy may send a head and then nothing.
        if (answer.status < 500) gate.away.answered();
        return whole;
      }
      await answer.body?.cancel();
      if (next.origin !== asked.origin) throw unrepeated(elsewhere(asked, next));
      if (url.pathname.includes('/repos/')) moved();
      url = next;
    }
    const words = `${asked.origin} leads from one address to another for ever`;
    throw unrepeated(new ForgeFailure('broken', words));
  };

/** GitHub: the same request, made again at that address. null: it is an answer. */
const nextOf = (answer: Response, from: URL): URL | null => {
  const location = answer.headers.get('location');
  if (location === null || ![301, 302, 303, 307, 308].includes(answer.status)) return null;
  return URL.canParse(location, from.href) ? new URL(location, from) : null;
};

/** octokit asks again after every failure but one of this name. */
const unrepeated = (failure: ForgeFailure): ForgeFailure =>
  Object.assign(failure, { name: 'AbortError' });

const elsewhere = (asked: URL, next: URL): ForgeFailure =>
  new ForgeFailure(
    'broken',
    `${asked.origin} says to ask ${next.origin} instead, which is not done: a login is for one ` +
      'host. Is a proxy between here and GitHub, or is `github` in forge.yaml an old address?',
  );

const wholeOf = async (answer: Response): Promise<Response> => {
  const { status, statusText, headers, body } = answer;
  if (body === null) return answer;
  const parts: Uint8Array[] = [];
  let bytes = Number(headers.get('content-length') ?? 0);
  if (bytes <= ANSWER_MAX_BYTES) {
    bytes = 0;
    for await (const part of body) {
      bytes += part.length;
      if (bytes > ANSWER_MAX_BYTES) break;
      parts.push(part);
    }
  }
  if (bytes > ANSWER_MAX_BYTES) {
    await body.cancel().catch(() => undefined);
    const size = formatSize(ANSWER_MAX_BYTES);
    const words = `GitHub's answer has more than ${size}, and was not read`;
    throw unrepeated(new ForgeFailure('retry', words));
  }
  return new Response(HAS_NO_BODY.has(status) ? null : Buffer.concat(parts), {
    status,
    statusText,
    headers,
  });
};

const HAS_NO_BODY: ReadonlySet<number> = new Set([204, 205, 304]);
