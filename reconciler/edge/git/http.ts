// The http client that isomorphic-git is given: fetch with time limits, which the library's own
// client lacks. In: a request. Out: the answer, its body as it arrives. Not here: what an answer
// means (remote-http).

import type { GitHttpRequest, GitHttpResponse } from 'isomorphic-git';

export interface HttpTimes {
  /** Until the headers are there. */
  readonly headersMs: number;
  /** Between two pieces of the body. */
  readonly idleMs: number;
  /** Of one body; absent: no limit. */
  readonly bodyBytes?: number;
}

export class HttpTimeout extends Error {}

export class HttpTooLarge extends Error {}

/** The address leads to another host, which is not asked: the login is for this one. */
export class HttpElsewhere extends Error {
  constructor(origin: string) {
    super(`the address leads to ${origin}, which is not asked: write that address, if it is right`);
  }
}

export const createHttp = (times: HttpTimes) => ({
  request: async (request: GitHttpRequest): Promise<GitHttpResponse> => {
    const controller = new AbortController();
    const timer = startTimer(
      controller,
      `no answer within ${times.headersMs / 1000} s`,
      times.headersMs,
    );
    const body = request.body === undefined ? null : await collect(request.body);
    try {
      const response = await fetchThere(request.url, {
        method: request.method ?? 'GET',
        headers: request.headers ?? {},
        signal: controller.signal,
        ...(body === null ? {} : { body }),
      });
      const answer = {
        url: response.url,
        ...(request.method === undefined ? {} : { method: request.method }),
        statusCode: response.status,
        statusMessage: response.statusText,
        headers: Object.fromEntries(response.headers),
      };
      if (response.body === null) return answer;
      return { ...answer, body: pieces(response.body, controller, times) };
    } finally {
      clearTimeout(timer);
    }
  },
});

/** A repository that was renamed, and its owner too. */
const REDIRECTS_MAX = 3;

/**
 * Redirects are followed on the same host, with the same method: a login goes with them. Throws
 * HttpElsewhere where another host is named.
 */
const fetchThere = async (asked: string, init: RequestInit): Promise<Response> => {
  let url = asked;
  for (let redirects = 0; redirects < REDIRECTS_MAX; redirects += 1) {
    const response = await fetch(url, { ...init, redirect: 'manual' });
    const location = response.headers.get('location');
    if (location === null || response.status < 300 || response.status >= 400) return response;
    await response.body?.cancel();
    url = new URL(location, url).href;
    const [from, to] = [new URL(asked), new URL(url)];
    if (from.origin !== to.origin) throw new HttpElsewhere(to.origin);
  }
  return fetch(url, { ...init, redirect: 'error' });
};

const startTimer = (controller: AbortController, why: string, ms: number): NodeJS.Timeout =>
  setTimeout(() => controller.abort(new HttpTimeout(why)), ms);

const pieces = async function* (
  body: ReadableStream<Uint8Array>,
  controller: AbortController,
  { idleMs, bodyBytes }: HttpTimes,
): AsyncIterableIterator<Uint8Array> {
  const reader = body.getReader();
  let bytes = 0;
  try {
    for (;;) {
      const timer = startTimer(controller, `silent for ${idleMs / 1000} s`, idleMs);
      const piece = await reader.read().finally(() => clearTimeout(timer));
      if (piece.done) return;
      bytes += piece.value.length;
      if (bytes > (bodyBytes ?? Infinity)) throw new HttpTooLarge(`more than ${bodyBytes} bytes`);
      yield piece.value;
    }
  } finally {
    controller.abort();
  }
};

const collect = async (
  body: AsyncIterable<Uint8Array> | readonly Uint8Array[],
): Promise<Uint8Array<ArrayBuffer>> => {
  const parts: Uint8Array[] = [];
  for await (const part of body) parts.push(part);
  return new Uint8Array(Buffer.concat(parts));
};
