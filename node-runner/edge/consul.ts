// The local agent of Consul, by its HTTP API: what it holds, one in, one out.
// In: its address, a file with a token. Out: answers, or an error in words for people, which never
// hold the token. Not here: what is registered (decide/consul.ts), when (discovery.ts).

import { readFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { errnoOf, messageOf } from './failure.ts';

export interface ConsulSettings {
  /** Of the loopback: what is said there is not encrypted. */
  readonly host: string;
  readonly port: number;
  /** Read anew for each round, so that the token may be exchanged; null: none. */
  readonly tokenFile: string | null;
}

export interface Consul {
  /** One round of calls; they throw words for people. */
  readonly session: () => Promise<ConsulSession>;
  readonly close: () => void;
}

export interface ConsulSession {
  /** What it holds and the filter lets through, as it says it. */
  readonly services: (filter: string) => Promise<unknown>;
  readonly register: (service: object) => Promise<void>;
  readonly deregister: (id: string) => Promise<void>;
}

/** An agent answers within milliseconds; a round is given up at the first call that it does not. */
const ANSWER_MS = 2000;
/** 10,000 services of an agent's are some 5 MB. */
const ANSWER_BYTES = 16 * 1024 * 1024;
const SHOWN_CHARACTERS = 200;

export const createConsul = (settings: ConsulSettings): Consul => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  return {
    session: async () => {
      const token = await readToken(settings.tokenFile);
      const call = (method: 'GET' | 'PUT', path: string, body: object | null) =>
        ask({ settings, agent, token }, { method, path: `/v1/agent/${path}`, body });
      return {
        services: async (filter) =>
          parse(await call('GET', `services?filter=${encodeURIComponent(filter)}`, null)),
        register: async (service) =>
          void (await call('PUT', 'service/register?replace-existing-checks=true', service)),
        deregister: async (id) => {
          const path = `service/deregister/${encodeURIComponent(id)}`;
          // Somebody else took it out meanwhile.
          await call('PUT', path, null).catch((error: unknown) => {
            if (!(error instanceof ConsulRefusal) || error.status !== NOT_FOUND) throw error;
          });
        },
      };
    },
    close: () => agent.destroy(),
  };
};

const NOT_FOUND = 404;

class ConsulRefusal extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const readToken = async (file: string | null): Promise<string | null> => {
  if (file === null) return null;
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new Error(`the token for Consul cannot be read: ${messageOf(error)}`);
  });
  const token = text.trim();
  if (/^[\u0021-\u007e]+$/.test(token)) return token;
  throw new Error(`the token for Consul is no token: ${file} must hold it alone, on one line`);
};

interface Way {
  readonly settings: ConsulSettings;
  readonly agent: Agent;
  readonly token: string | null;
}

interface Call {
  readonly method: 'GET' | 'PUT';
  readonly path: string;
  readonly body: object | null;
}

const ask = async (way: Way, call: Call): Promise<string> => {
  const { host, port } = way.settings;
  const answer = await send(way, call).catch((error: unknown) => {
    const why = errnoOf(error) ?? messageOf(error);
    throw new Error(`Consul does not answer: ${why} at ${host}:${port}`);
  });
  if (answer.status === OK) return answer.text;
  throw new ConsulRefusal(answer.status, refusalWords(answer, way.token));
};

const OK = 200;
const FORBIDDEN = 403;

const refusalWords = ({ status, text }: Answer, token: string | null): string => {
  const said = text.trim().slice(0, SHOWN_CHARACTERS);
  const shown = token === null ? said : said.replaceAll(token, '…');
  const fix =
    status === FORBIDDEN
      ? '; name a token with service:read and service:write in --consul-token-file'
      : '';
  return `Consul refuses: ${status} ${shown}${fix}`;
};

interface Answer {
  readonly status: number;
  readonly text: string;
}

const send = ({ settings, agent, token }: Way, { method, path, body }: Call): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const text = body === null ? '' : JSON.stringify(body);
    const headers = {
      'Content-Type': 'application/json',
      'Content-Length': Buffer.byteLength(text),
      ...(token === null ? {} : { 'X-Consul-Token': token }),
    };
    const { host, port } = settings;
    const signal = AbortSignal.timeout(ANSWER_MS);
    const call = request({ host, port, method, path, headers, agent, signal }, (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > ANSWER_BYTES) call.destroy(new Error(`more than ${ANSWER_BYTES} bytes`));
        else chunks.push(chunk);
      });
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
      );
    });
    call.on('error', (error) => reject(signal.aborted ? new Error('no answer in 2 s') : error));
    call.end(text);
  });

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
};
