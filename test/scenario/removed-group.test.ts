// A group that goes with a new version, from compiled states through the planner: its copies stay
// until that version has settled, and a person is asked before they go (rules 2.4, 8.1, 14).
import { describe, expect, it } from 'vitest';
import { plan } from '../../reconciler/plan/plan.ts';
import type { LedgerRecord } from '../../schema/ledger.ts';
import type { LiveAllocation } from '../../schema/live.ts';
import type { Plan } from '../../schema/plan.ts';
import { digestOf, jobOf, ready, settledMark, story, type TreeInit } from '../support/tree.ts';
import { aCopy, liveOf, nodeNames } from '../support/world.ts';

const JOB = 'jobs/shop/shop.yaml';
const image = (word: string) => `r.example/app:1@${digestOf(word)}`;
const DB = `  db: {image: ${image('db')}, volumes: ["data:/data"]}\n`;
const jobWith = (word: string, more: string) =>
  `groups:\n  web: {image: ${image(word)}, count: 2}\n${more}`;
const nodes = Object.fromEntries(nodeNames(3).map((name) => [`nodes/${name}.yaml`, 'pool: web\n']));
const CLUSTER = 'name: test\npolicies: {registries: [r.example]}\nguards: {own_approval: true}\n';
const commits = story(
  { 'cluster.yaml': CLUSTER, [JOB]: jobWith('1', DB), ...nodes },
  { [JOB]: jobWith('2', '') },
  { [JOB]: `# words\n${jobWith('2', '')}` },
);
const was = jobOf(ready(commits.slice(0, 1)).desired, 'shop/shop');
const copy = (job: typeof was, group: string, index: number) =>
  aCopy(job, { node: nodeNames(3)[index] ?? '', index, group });
const settledWas = { ...was, settled: true };
const db = copy(settledWas, 'db', 0);
const SLOT = 'shop/shop/db[0]';

const compiled = (init: TreeInit) => ready(commits.slice(0, 2), { lastSynced: 0, ...init }).desired;
const planned = (live: readonly LiveAllocation[], ledger: readonly LedgerRecord[]): Plan =>
  plan(compiled({ ledger: [settledMark(was), ...ledger] }), liveOf(live), 0);
const stopped = (made: Plan) =>
  made.steps.flatMap((step) => (step.kind === 'stop' ? [step.slot] : []));
const kinds = (made: Plan) =>
  made.proposals
    .flatMap((one) => (one.kind === 'ledger' ? one.records : []))
    .map((one) => one.kind);

describe('a group with a named volume that is gone from HEAD', () => {
  const now = jobOf(compiled({ ledger: [settledMark(was)] }), 'shop/shop');
  const webs = (job: typeof was) => [0, 1].map((index) => copy(job, 'web', index));

  it('waits for a person from the start, and its commit is not synced meanwhile', () => {
    expect(now).toMatchObject({ settled: false, fallback: { deployment: was.deployment } });
    const made = planned([...webs(settledWas), db], []);
    expect(stopped(made)).not.toContain(SLOT);
    expect(stopped(made)).toContain('shop/shop/web[0]');
    expect(made.guarded).toMatchObject([{ slots: [SLOT], why: `${SLOT} has a named volume` }]);
    expect(kinds(made)).not.toContain('synced');
  });

  it('waits as well where only labels say that the new version has settled', () => {
    const made = planned([...webs({ ...now, settled: true }), db], []);
    expect(stopped(made)).toEqual([]);
    expect(made.guarded).toMatchObject([{ slots: [SLOT] }]);
  });

  it('goes once a person let go of it and the version has settled, not before', () => {
    const approval = {
      kind: 'approval',
      id: 'a',
      by: 'ada@example.org',
      at: '2026-01-01T00:00:00Z',
      commit: '',
      slots: [SLOT],
      nodes: [],
      used: false,
    } as const;
    const rolling = planned([...webs(settledWas), db], [approval]);
    expect(stopped(rolling)).not.toContain(SLOT);
    expect(kinds(rolling)).toEqual([]);
    const live = [...webs({ ...now, settled: true }), db];
    expect(stopped(planned(live, [approval, settledMark(now)]))).toEqual([SLOT]);
    expect(stopped(planned(live, [settledMark(now)]))).toEqual([]);
  });

  it('of a commit that came after it, it is still a removal', () => {
    const words = { ledger: [settledMark(was), settledMark(now)], lastSynced: 0 };
    const { desired } = ready(commits, words);
    const made = plan(desired, liveOf([...webs({ ...now, settled: true }), db]), 0);
    expect(made.guarded).toMatchObject([{ slots: [SLOT] }]);
  });
});

it('a small group without volumes goes unasked, but is synced only when it is gone', () => {
  const plain = story(
    { 'cluster.yaml': CLUSTER, [JOB]: jobWith('1', `  db: {image: ${image('db')}}\n`), ...nodes },
    { [JOB]: jobWith('2', '') },
  );
  const first = jobOf(ready(plain.slice(0, 1)).desired, 'shop/shop');
  const [before, ledger] = [{ ...first, settled: true }, [settledMark(first)]];
  const { desired } = ready(plain, { lastSynced: 0, ledger });
  const live = [copy(before, 'web', 0), copy(before, 'web', 1), copy(before, 'db', 0)];
  const made = plan(desired, liveOf(live), 0);
  expect(made.guarded).toEqual([]);
  expect(stopped(made)).not.toContain(SLOT);
  expect(made.synced).toBe(false);
});
