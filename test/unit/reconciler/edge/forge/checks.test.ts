// What is sent of a check that GitHub has ended by itself. GitHub's description of its answers does not
// know such checks, though GitHub shows them, so the local GitHub of the contract tests has none.

import { expect, test } from 'vitest';
import { createChecks, externalId } from '../../../../../reconciler/edge/forge/checks.ts';
import type { Wire } from '../../../../../reconciler/edge/forge/wire.ts';

const COMMIT = 'c'.repeat(40);

const staleRun = {
  id: 7,
  external_id: externalId('shop', 'sync', COMMIT),
  app: { id: 1 },
  status: 'completed',
  conclusion: 'stale',
  output: { title: 't', summary: 's', text: null, annotations_count: 0 },
};

test('a click on what was open for two weeks, and is stale, is answered as it stands', async () => {
  const sent: Readonly<Record<string, unknown>>[] = [];
  const wire: Pick<Wire, 'pages' | 'send' | 'memory'> = {
    memory: () => new Map(),
    pages: async <T>() => [staleRun as T],
    send: async (_route, params) => void sent.push(params),
  };
  const checks = createChecks(wire as Wire, { cluster: 'shop', appId: 1, now: () => 0 });
  const ask = { kind: 'sync', commit: COMMIT, id: 'd1', seal: '', line: 'So it is.' } as const;
  expect(await checks.answer(ask)).toBe(true);
  await checks.touch('sync', COMMIT);
  expect(sent).toHaveLength(2);
  // GitHub refuses to be told `stale`; without a word the check stays as it is.
  for (const params of sent) {
    expect(params).not.toHaveProperty('status');
    expect(params).not.toHaveProperty('conclusion');
  }
  expect(JSON.stringify(sent[0])).toContain('So it is.');
});
