// Clocks of machines that do not agree: which certificates count for whom, and what is said where one
// does not. In: the authority as it stands on disk, and servers with certificates of other years. Out:
// spans of time, sentences.

import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { createChannel, createClientFactory } from 'nice-grpc';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { clockDoubt, credentialsOf, TLS_CHANNEL } from '../../node-runner/edge/tls.ts';
import { openAuthority } from '../../reconciler/edge/authority/authority.ts';
import { makeAuthority, makeServer } from '../../reconciler/edge/authority/x509.ts';
import { JoinServiceDefinition } from '../../schema/generated/purser/join/v1/join.ts';

const HOUR_MS = 3600 * 1000;
const YEAR_MS = 365 * 24 * HOUR_MS;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'pck-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('a reconciler that is new counts for clocks that are behind by 23 hours or ahead by six days', async () => {
  const now = Date.now();
  const authority = await openAuthority({ folder, cluster: 'test', epochMs: () => now });
  const server = await authority.server();
  for (const certificate of [authority.certificate, server.certificate]) {
    const { validFrom, validTo } = new X509Certificate(certificate);
    expect(Date.parse(validFrom)).toBeLessThan(now - 23 * HOUR_MS);
    expect(Date.parse(validTo)).toBeGreaterThan(now + 6 * 24 * HOUR_MS);
  }
});

/** What a runner is told by a reconciler whose clock is so far off. */
const refusalOf = async (offMs: number): Promise<unknown> => {
  const now = Date.now();
  const own = await makeAuthority('test', { fromMs: now - 9 * YEAR_MS, toMs: now + 9 * YEAR_MS });
  const span = { fromMs: now + offMs, toMs: now + offMs + 24 * HOUR_MS };
  const { certificate: cert, key } = await makeServer(own, 'spiffe://test/reconciler', span);
  const server = tls.createServer({ cert, key, ALPNProtocols: ['h2'] });
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const credentials = credentialsOf({ authority: own.certificate });
  const channel = createChannel(`127.0.0.1:${port}`, credentials, {
    ...TLS_CHANNEL,
    'grpc.enable_retries': 0,
  });
  try {
    const client = createClientFactory().create(JoinServiceDefinition, channel);
    return await client.renew({ request: 'x' }).catch((error: unknown) => error);
  } finally {
    channel.close();
    server.close();
  }
};

test.each([
  [-3, 'has expired'],
  [3, 'is not yet valid'],
])('of a reconciler %i years away the clock is doubted, in words that help', async (years, why) => {
  const at = Date.UTC(2026, 0, 2, 3, 4);
  const doubt = clockDoubt(await refusalOf(years * YEAR_MS), at);
  expect(doubt).toBe(
    `this machine's clock says 2026-01-02 03:04 UTC, and by it the reconciler's certificate ${why}: ` +
      'the clock of this machine or of the reconciler is wrong. Compare `date -u` on both, and let ' +
      'them be set: `timedatectl set-ntp true`',
  );
});

test('of anything else the clock is not blamed', () => {
  expect(clockDoubt(new Error('connect ECONNREFUSED 127.0.0.1:7420'), 0)).toBeNull();
  expect(clockDoubt(new Error('self-signed certificate in certificate chain'), 0)).toBeNull();
});
