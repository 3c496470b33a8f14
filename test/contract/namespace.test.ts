// Whether a process is in a network namespace of somebody's making: asked from within and from
// without.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { inOwnNamespace } from '../../node-runner/edge/namespace.ts';
import { type TestNetns, makeNetns } from '../support/netns.ts';

let netns: TestNetns;
beforeAll(async () => {
  netns = await makeNetns('own');
});
afterAll(() => netns?.remove());

test('the namespace of this process is the machine’s', async () => {
  expect(await inOwnNamespace()).toBe(false);
});

test('a named namespace is not', async () => {
  const module = new URL('../../node-runner/edge/namespace.ts', import.meta.url).pathname;
  const script = `import('${module}').then(async (m) => console.log(await m.inOwnNamespace()))`;
  const output = await netns.run(process.execPath, '--import', 'tsx', '--eval', script);
  expect(output.trim()).toBe('true');
});
