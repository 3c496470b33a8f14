// Ways into etcd for tests: certificates of an authority of its own, users with passwords. In: where
// members answer. Out: files and words for etcd, calls as its root. Not here: etcd itself (etcd.ts).

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import {
  type KeyPair,
  makeAuthority,
  makePeer,
  type Span,
} from '../../reconciler/edge/authority/x509.ts';

const DAY_MS = 24 * 3600 * 1000;

/** A week that has begun, or one that is over. */
export const spanOf = (isOver = false): Span => {
  const fromMs = Date.now() - (isOver ? 8 : 1) * DAY_MS;
  return { fromMs, toMs: fromMs + 7 * DAY_MS };
};

export interface Files {
  readonly certificate: string;
  readonly key: string;
}

/** An authority for etcd and those that ask it, kept as files in a folder. */
export interface EtcdAuthority {
  readonly ca: string;
  /** Words for members, which show a certificate for these addresses. */
  readonly serve: (hosts: readonly string[]) => readonly string[];
  /** A certificate for somebody who asks, in files of this name. */
  readonly client: (name: string, span?: Span) => Promise<Files>;
}

export const etcdAuthority = async (folder: string, name: string): Promise<EtcdAuthority> => {
  const pair = await makeAuthority('etcd', spanOf(), name);
  const at = (file: string) => join(folder, `${name}-${file}`);
  const keep = (file: string, { certificate, key }: KeyPair): Files => {
    const files = { certificate: at(`${file}.crt`), key: at(`${file}.key`) };
    writeFileSync(files.certificate, certificate);
    writeFileSync(files.key, key, { mode: 0o600 });
    return files;
  };
  const own = keep('ca', pair);
  return {
    ca: own.certificate,
    serve: (hosts) => {
      const [key, ask, certificate, names] = [at('s.key'), at('s.csr'), at('s.crt'), at('names')];
      writeFileSync(names, `subjectAltName=${hosts.map((host) => `IP:${host}`).join()}\n`);
      const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
      openssl('req', ...made, '-keyout', key, '-out', ask, '-subj', '/CN=etcd');
      const by = ['-CA', own.certificate, '-CAkey', own.key, '-set_serial', '7', '-days', '2'];
      openssl('x509', '-req', '-in', ask, ...by, '-out', certificate, '-extfile', names);
      return ['--cert-file', certificate, '--key-file', key];
    },
    client: async (who, span = spanOf()) =>
      keep(who, await makePeer(pair, `spiffe://${who}`, span)),
  };
};

export const openssl = (...args: readonly string[]): void =>
  void execFileSync('openssl', args, { stdio: 'pipe' });

/** Calls of etcd's gateway for JSON, as its root. */
export type AsRoot = (path: string, body: object) => Promise<unknown>;

const ROOT = { name: 'root', password: 'root-password' };

/** From now on a member asks who it is that asks. */
export const enableUsers = async (host: string, ca: string): Promise<AsRoot> => {
  const ask = (path: string, body: object, token: string | null = null) =>
    post(`https://${host}/v3/${path}`, { ca, token, body });
  await ask('auth/user/add', ROOT);
  await ask('auth/user/grant', { user: ROOT.name, role: 'root' });
  await ask('auth/enable', {});
  return async (path, body) => {
    const { token } = await ask('auth/authenticate', ROOT);
    return ask(path, body, String(token));
  };
};

export interface User {
  readonly name: string;
  readonly password: string;
  /** Begin and end of the keys that they may read and write. */
  readonly keys: readonly [string, string];
}

export const addUser = async (root: AsRoot, { name, password, keys }: User): Promise<void> => {
  const [key, end] = keys.map((text) => Buffer.from(text).toString('base64'));
  await root('auth/role/add', { name });
  await root('auth/role/grant', { name, perm: { permType: 'READWRITE', key, range_end: end } });
  await root('auth/user/add', { name, password });
  await root('auth/user/grant', { user: name, role: name });
};

interface Post {
  readonly ca: string;
  readonly token: string | null;
  readonly body: object;
}

const post = (url: string, { ca, token, body }: Post): Promise<Record<string, unknown>> =>
  new Promise((resolve, reject) => {
    const headers = token === null ? {} : { authorization: token };
    const sent = request(url, { method: 'POST', ca: readFileSync(ca), headers }, (answer) => {
      let text = '';
      answer.on('data', (part: Buffer) => (text += part.toString()));
      answer.on('end', () => {
        if (answer.statusCode === 200) resolve(JSON.parse(text) as Record<string, unknown>);
        else reject(new Error(`${url}: ${text}`));
      });
    });
    sent.on('error', reject);
    sent.end(JSON.stringify(body));
  });
