// The services of a Consul agent's HTTP API, as its documentation has them, strictly: an unknown
// field, a wrong type, a filter that it does not understand, and a caller without the token are
// refused. In: a token. Out: what it holds, what it was asked; it can go and come back. No checks, no
// Connect, no catalog: who asks for these is refused.

import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface AgentService {
  readonly ID: string;
  readonly Service: string;
  readonly Tags: readonly string[];
  readonly Address: string;
  readonly Port: number;
  readonly Meta: Readonly<Record<string, string>>;
}

export interface ConsulAgent {
  readonly port: number;
  readonly services: Map<string, AgentService>;
  /** `PUT register ID`, `PUT deregister ID`, `GET services`, `refused STATUS`. */
  readonly asked: string[];
  /** Who may ask from now on; null: everybody. */
  token: string | null;
  /** It keeps nothing, as in development mode. */
  readonly stop: () => Promise<void>;
  readonly start: () => Promise<void>;
}

export const startConsulAgent = async (token: string | null): Promise<ConsulAgent> => {
  let server: Server | null = null;
  const listen = async (port: number): Promise<number> => {
    server = createServer((request, response) => {
      void answerTo(agent, request).then(({ status, text }) => {
        if (status !== 200) agent.asked.push(`refused ${status}`);
        response.writeHead(status, { 'Content-Type': 'application/json' }).end(text);
      });
    });
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  const stop = async (): Promise<void> => {
    agent.services.clear();
    if (server === null) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    server = null;
    await closed;
  };
  const agent: ConsulAgent = {
    port: 0,
    services: new Map(),
    asked: [],
    token,
    stop,
    start: async () => void (await listen(agent.port)),
  };
  return Object.assign(agent, { port: await listen(0) });
};

interface Answer {
  readonly status: number;
  readonly text: string;
}

const ok = (value: unknown): Answer => ({ status: 200, text: JSON.stringify(value) });
const refused = (status: number, text: string): Answer => ({ status, text });

const answerTo = async (agent: ConsulAgent, request: IncomingMessage): Promise<Answer> => {
  const url = new URL(request.url ?? '/', 'http://agent');
  const what = `${request.method} ${url.pathname}`;
  const body = await bodyOf(request);
  const given = request.headers['x-consul-token'];
  if (agent.token !== null && given !== agent.token) {
    return refused(403, `Permission denied: token with AccessorID '${String(given)}' lacks`);
  }
  if (what === 'GET /v1/agent/services') {
    agent.asked.push('GET services');
    return list(agent, url.searchParams);
  }
  if (what === 'PUT /v1/agent/service/register') return register(agent, url.searchParams, body);
  const [, id] = /^PUT \/v1\/agent\/service\/deregister\/([^/]+)$/.exec(what) ?? [];
  if (id === undefined) return refused(404, `no such call: ${what}`);
  if (!agent.services.delete(decodeURIComponent(id)))
    return refused(404, `Unknown service ID ${id}`);
  agent.asked.push(`PUT deregister ${decodeURIComponent(id)}`);
  return refused(200, '');
};

const bodyOf = async (request: IncomingMessage): Promise<string> => {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  return text;
};

/** Only `Meta.KEY == "VALUE"`, with `and` between. */
const list = ({ services }: ConsulAgent, query: URLSearchParams): Answer => {
  const unknown = [...query.keys()].filter((key) => key !== 'filter');
  if (unknown.length > 0) return refused(400, `unknown parameters ${unknown.join()}`);
  const terms = (query.get('filter') ?? '').split(' and ').map((term) => {
    const [, key = '', value = ''] = /^Meta\.([A-Za-z_]\w*) == "([^"\\]*)"$/.exec(term) ?? [];
    return { key, value };
  });
  if (terms.some(({ key }) => key === ''))
    return refused(500, 'Failed to create boolean expression');
  const found = [...services].filter(([, { Meta }]) =>
    terms.every(({ key, value }) => Meta[key] === value),
  );
  const Weights = { Passing: 1, Warning: 1 };
  const shown = found.map(([id, one]) => [
    id,
    { ...one, Meta: sorted(one.Meta), Weights, EnableTagOverride: false, Datacenter: 'dc1' },
  ]);
  return ok(Object.fromEntries(shown));
};

const sorted = (meta: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(meta).toSorted(([a], [b]) => (a < b ? -1 : 1)));

const isText = (value: unknown): value is string => typeof value === 'string';
const FIELDS: Readonly<Record<string, (value: unknown) => boolean>> = {
  ID: isText,
  Name: (value) => isText(value) && /^[A-Za-z0-9-]{1,128}$/.test(value),
  Tags: (value) => Array.isArray(value) && value.every(isText),
  Address: isText,
  Port: (value) => Number.isInteger(value),
  Meta: (value) =>
    typeof value === 'object' &&
    value !== null &&
    Object.keys(value).length <= 64 &&
    Object.entries(value).every(
      ([key, of]) => /^[A-Za-z0-9_-]{1,128}$/.test(key) && isText(of) && of.length <= 512,
    ),
};

const register = (agent: ConsulAgent, query: URLSearchParams, body: string): Answer => {
  const unknown = [...query.keys()].filter((key) => key !== 'replace-existing-checks');
  if (unknown.length > 0) return refused(400, `unknown parameters ${unknown.join()}`);
  const value = JSON.parse(body) as Record<string, unknown>;
  const wrong = Object.keys(value).filter((key) => FIELDS[key]?.(value[key]) !== true);
  if (wrong.length > 0) return refused(400, `Request decode failed: ${wrong.join()}`);
  if (!isText(value['Name'])) return refused(400, 'Missing service name');
  const { Name, ID = Name, ...rest } = value;
  const none = { Tags: [], Address: '', Port: 0, Meta: {} };
  const service = { ...none, ...rest, ID, Service: Name } as AgentService;
  agent.services.set(service.ID, service);
  agent.asked.push(`PUT register ${service.ID}`);
  return refused(200, '');
};
