// The REST API over http: limits, who asks, whether the request is as GitHub describes it, the
// route, whether our answer is as GitHub describes it, pages, ETags.
// In: http requests below the API's prefix. Out: http answers. Not here: what a route does.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type http from 'node:http';
import { callerOf, mayCall } from './access.ts';
import { checkAnswer, checkRequest, findOperation } from './description.ts';
import { answerGraphql } from './graphql.ts';
import type { Limits, LimitsState } from './limits.ts';
import { countRequest, countWrite, rateHeaders, tooMany, troubleFor, uncount } from './limits.ts';
import { appRoutes } from './routes-apps.ts';
import { checkRoutes } from './routes-checks.ts';
import { pullRoutes } from './routes-pulls.ts';
import { repoRoutes } from './routes-repos.ts';
import { statusRoutes } from './routes-statuses.ts';
import type { Answer, Call, Caller, Headers, Hub, Json, Routes } from './state.ts';
import { HubError, notFound, ok } from './state.ts';

const ROUTES: Routes = {
  ...appRoutes,
  ...repoRoutes,
  ...pullRoutes,
  ...checkRoutes,
  ...statusRoutes,
};

export interface Rest {
  readonly hub: Hub;
  readonly limits: Limits;
  readonly state: LimitsState;
}

interface Request {
  readonly method: string;
  /** Without the API's prefix. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: Json | undefined;
  readonly headers: http.IncomingHttpHeaders;
}

interface Reply {
  readonly status: number;
  readonly body: unknown;
  readonly headers: Headers;
}

const isWrite = ({ method, path }: Request): boolean =>
  method !== 'GET' && !/^\/(app|app-manifests|graphql)(\/|$)/.test(path);

/** `path`: behind the API's prefix, with its slash. */
export const serveRest = async (
  rest: Rest,
  request: http.IncomingMessage,
  { response, path }: { readonly response: http.ServerResponse; readonly path: string },
): Promise<void> => {
  const url = new URL(path, 'http://api');
  const asked: Request = {
    method: request.method ?? 'GET',
    path: url.pathname,
    query: url.searchParams,
    body: parsed(await readBody(request)),
    headers: request.headers,
  };
  const trouble = troubleFor(rest.state, asked, rest.hub.now());
  if (trouble.cut === 'before') return void response.destroy();
  if (trouble.bytes > 0) return pour(response, trouble.bytes);
  if (trouble.waitMs > 0) await new Promise((done) => setTimeout(done, trouble.waitMs));
  rest.state.running += 1;
  try {
    const reply =
      trouble.refusal === null ? await replyTo(rest, asked) : refusalReply(trouble.refusal);
    if (trouble.cut === 'after') return void response.destroy();
    send(rest, response, reply);
  } finally {
    rest.state.running -= 1;
  }
};

const POURED = Buffer.alloc(1024 * 1024, ' ');

/** Until so many bytes are sent, or nobody reads on. */
const pour = async (response: http.ServerResponse, bytes: number): Promise<void> => {
  response.writeHead(200, { 'content-type': 'application/json' });
  for (let sent = 0; sent < bytes && !response.destroyed; sent += POURED.length) {
    if (!response.write(POURED)) {
      const more = new AbortController();
      const { signal } = more;
      await Promise.race([once(response, 'drain', { signal }), once(response, 'close', { signal })])
        .catch(() => undefined)
        .finally(() => more.abort());
    }
  }
  response.end('[]');
};

const refusalReply = ({ status, body, headers }: HubError): Reply => ({ status, body, headers });

/** 1 MiB is more than the longest check takes. */
const BODY_LIMIT_BYTES = 8 * 1024 * 1024;

export const readBody = async (request: http.IncomingMessage): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= BODY_LIMIT_BYTES) chunks.push(chunk);
  }
  return Buffer.concat(chunks);
};

const parsed = (bytes: Buffer): Json | undefined => {
  if (bytes.length === 0) return undefined;
  try {
    return JSON.parse(bytes.toString('utf8')) as Json;
  } catch {
    return { '': 'Problems parsing JSON' };
  }
};

const replyTo = async (rest: Rest, request: Request): Promise<Reply> => {
  const { hub, state, limits } = rest;
  let caller: Caller = { kind: 'nobody' };
  const rate = (): Headers => rateHeaders(state, limits, { caller, nowMs: hub.now() });
  try {
    caller = callerOf(hub, request.headers.authorization);
    const busy = tooMany(state, limits);
    if (busy !== null) throw busy;
    const isFree = request.path === '/rate_limit';
    if (!isFree) countRequest(state, limits, { caller, nowMs: hub.now() });
    if (isWrite(request)) countWrite(hub, limits, request);
    const reply = await route(rest, request, caller);
    if (reply.status === 304) uncount(state, caller, hub.now());
    return { ...reply, headers: { ...rate(), ...reply.headers } };
  } catch (error) {
    if (error instanceof HubError) {
      const reply = refusalReply(error);
      return { ...reply, headers: { ...rate(), ...reply.headers } };
    }
    hub.problems.push(`${request.method} ${request.path}: ${String((error as Error).stack)}`);
    return { status: 500, body: { message: 'Server Error', status: '500' }, headers: rate() };
  }
};

const route = async (rest: Rest, request: Request, caller: Caller): Promise<Reply> => {
  const { hub } = rest;
  const { method, path, query, body } = request;
  if (path === '/graphql') {
    if (caller.kind === 'nobody') throw new HubError(401, { message: 'Requires authentication' });
    const answer = answerGraphql(hub, caller, body ?? {});
    if (/minimizeComment/.test(String(body?.['query']))) countWrite(hub, rest.limits, request);
    return { status: 200, body: answer, headers: {} };
  }
  const found = findOperation(method, path);
  if (found === null) {
    hub.problems.push(`${method} ${path}: no operation that the local GitHub knows`);
    throw notFound();
  }
  const violations = checkRequest(found, query, body);
  if (violations.length > 0) {
    const words = violations.map(({ field, message }) => `${field} ${message}`);
    hub.problems.push(`${method} ${path}: ${words.join('; ')}`);
    throw new HubError(422, {
      message: `Invalid request.\n\n${words.join('\n')}`,
      errors: violations.map(({ field, message }) => ({ field, message, code: 'invalid' })),
      status: '422',
    });
  }
  const call: Call = { hub, ...found, query, body: body ?? {}, caller };
  mayCall(call);
  const answer = await (found.name === 'GET /rate_limit' ? rateLimit(rest, caller) : handle(call));
  const reply = paged(answer, { hub, request });
  const wrong = checkAnswer(found.name, reply.status, reply.body);
  if (wrong !== null) throw new Error(`an answer that GitHub would not give: ${wrong}`);
  return withTag(reply, request);
};

const handle = (call: Call): Answer | Promise<Answer> => {
  const handler = ROUTES[call.name];
  if (handler === undefined) throw new Error(`${call.name} has no route`);
  return handler(call);
};

const rateLimit = ({ state, limits, hub }: Rest, caller: Caller): Answer => {
  const headers = rateHeaders(state, limits, { caller, nowMs: hub.now() });
  const core = Object.fromEntries(
    ['limit', 'remaining', 'reset', 'used'].map((key) => [
      key,
      Number(headers[`x-ratelimit-${key}`]),
    ]),
  );
  const idle = { limit: 30, remaining: 30, reset: core['reset'], used: 0 };
  return ok({ resources: { core, search: idle, graphql: idle }, rate: core });
};

const PAGE_SIZE = 30;
const PAGE_LIMIT = 100;

const paged = (
  answer: Answer,
  { hub, request }: { readonly hub: Hub; readonly request: Request },
): Reply => {
  if (answer.kind === 'one') {
    return { status: answer.status, body: answer.body, headers: answer.headers ?? {} };
  }
  const { items, wrap } = answer;
  const size = Math.min(Number(request.query.get('per_page') ?? PAGE_SIZE) || 1, PAGE_LIMIT);
  const page = Math.max(1, Number(request.query.get('page') ?? 1));
  const last = Math.max(1, Math.ceil(items.length / size));
  const shown = items.slice((page - 1) * size, page * size);
  const link = (to: number, rel: string): string => {
    const query = new URLSearchParams(request.query);
    query.set('per_page', String(size));
    query.set('page', String(to));
    return `<${hub.api}${request.path}?${query.toString()}>; rel="${rel}"`;
  };
  const links = [
    ...(page > 1 ? [link(page - 1, 'prev'), link(1, 'first')] : []),
    ...(page < last ? [link(page + 1, 'next'), link(last, 'last')] : []),
  ];
  return {
    status: 200,
    body: wrap === undefined ? shown : wrap(shown, items.length),
    headers: links.length === 0 ? {} : { link: links.join(', ') },
  };
};

const withTag = (reply: Reply, { method, headers }: Request): Reply => {
  if (method !== 'GET' || reply.status !== 200) return reply;
  const hash = createHash('sha256').update(JSON.stringify(reply.body)).digest('hex');
  const etag = `W/"${hash}"`;
  const tagged = { ...reply.headers, etag, 'cache-control': 'private, max-age=60, s-maxage=60' };
  const known = (headers['if-none-match'] ?? '').split(',').map((tag) => tag.trim());
  const isKnown = known.some((tag) => tag.replace(/^W\//, '') === `"${hash}"`);
  return isKnown
    ? { status: 304, body: undefined, headers: tagged }
    : { ...reply, headers: tagged };
};

const send = (
  { hub }: Rest,
  response: http.ServerResponse,
  { status, body, headers }: Reply,
): void => {
  const text = body === undefined ? '' : JSON.stringify(body);
  response.writeHead(status, {
    date: new Date(hub.now()).toUTCString(),
    'x-github-media-type': 'github.v3; format=json',
    'x-github-enterprise-version': '3.19.0',
    ...(text === '' ? {} : { 'content-type': 'application/json; charset=utf-8' }),
    ...headers,
  });
  response.end(text);
};
