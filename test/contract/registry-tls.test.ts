// A registry whose certificate is of an authority of one's own, asked by the reconciler and by a
// runner. In: Debian's docker-registry with TLS, in a network namespace, at an address that is not
// loopback's. Out: what each says, before and after the authority is known.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

const HERE = resolve(import.meta.dirname, '../..');
const ADDRESS = '10.99.0.1';
const HOST = `${ADDRESS}:5443`;
/** Everything in the namespace together. */
const LIMIT_MS = 100_000;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ptt-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const openssl = (...args: string[]): void =>
  void execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });

const certificates = (): void => {
  const key = ['-newkey', 'rsa:2048', '-nodes'];
  openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=own');
  openssl('req', ...key, '-keyout', 's.key', '-out', 's.csr', '-subj', '/CN=registry');
  writeFileSync(join(folder, 'names'), `subjectAltName=IP:${ADDRESS}\n`);
  const by = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial'];
  openssl('x509', '-req', '-in', 's.csr', ...by, '-out', 's.pem', '-extfile', 'names');
};

/** The registry lives as long as the script; its port answers before anybody asks. */
const SCRIPT = `
ip link set lo up && ip addr add ${ADDRESS}/32 dev lo || exit 1
docker-registry serve "$1/registry.yml" >/dev/null 2>&1 &
registry=$!
trap 'kill $registry' EXIT
for _ in $(seq 300); do
  if openssl s_client -connect ${HOST} </dev/null >/dev/null 2>&1; then break; fi
  sleep 0.1
done
node --import tsx test/support/ask-registry.ts ${HOST}
NODE_EXTRA_CA_CERTS="$1/ca.pem" node --import tsx test/support/ask-registry.ts ${HOST}
`;

test('an unknown authority is said with what to do; a known one is trusted by both', () => {
  certificates();
  const files = `certificate: ${folder}/s.pem, key: ${folder}/s.key`;
  writeFileSync(
    join(folder, 'registry.yml'),
    `version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: ${folder}/data}}\n` +
      `http: {addr: '${HOST}', tls: {${files}}}\n`,
  );
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
  const said = execFileSync('unshare', ['-n', 'sh', '-c', SCRIPT, 'sh', folder], {
    cwd: HERE,
    env,
    timeout: LIMIT_MS,
    encoding: 'utf8',
  });
  const unknown = /authority that this machine does not know .*run update-ca-certificates/;
  expect(said.trim().split('\n')).toEqual([
    expect.stringMatching(unknown),
    expect.stringMatching(unknown),
    `registry ${HOST} has no ${HOST}/app:1`,
    expect.stringContaining(`Registry ${HOST} has no ${HOST}/app@sha256:`),
  ]);
});
