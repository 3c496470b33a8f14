// Waves: a rollout goes on to its end, whatever fractions of milliseconds the clock shows.

import { expect, test } from 'vitest';
import { forecast } from '../../../reconciler/plan/forecast.ts';
import type { LiveNode } from '../../../schema/live.ts';
import { jobOf, ready, settledMark, story } from '../../support/tree.ts';
import { aCopy, liveOf } from '../../support/world.ts';

const job = (value: string) =>
  `image: reg.example/web:1\ncount: 3\nenvironment: { VALUE: ${value} }\n`;
const BASE = {
  'cluster.yaml': 'name: test\npolicies:\n  registries: [reg.example]\n',
  'nodes/n001.yaml': 'node: n001\n',
  'nodes/n002.yaml': 'node: n002\n',
  'nodes/n003.yaml': 'node: n003\n',
  'jobs/shop/web.yaml': job('a'),
};

test('copies are replaced one after the other at whatever instant the nodes were heard', () => {
  const first = ready(story(BASE));
  const web = { ...jobOf(first.desired, 'shop/web'), settled: true };
  const ledger = [...first.ledger, settledMark(web)];
  const next = ready(story(BASE, { 'jobs/shop/web.yaml': job('b') }), { ledger, lastSynced: 0 });
  const names = ['n001', 'n002', 'n003'];
  const copies = names.map((node, index) => aCopy(web, { node, index, group: 'web' }));
  const stopsAt = (silentForMs: number) => {
    const facts: Partial<LiveNode> = { silentForMs };
    const live = liveOf(copies, Object.fromEntries(names.map((name) => [name, facts])));
    const waves = forecast(next.desired, live, 0);
    return waves.map(({ steps }) => steps.filter(({ kind }) => kind === 'stop').length);
  };
  for (let tenths = 1; tenths < 100; tenths += 1) {
    expect(stopsAt(tenths / 10), `${tenths} tenths`).toEqual([1, 1, 1, 0]);
  }
});
