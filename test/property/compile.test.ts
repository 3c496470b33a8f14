// Laws of compile: a memo changes nothing, order changes nothing, and people's formatting is no
// version. Rules 2.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asks, compile } from '../../reconciler/desired/compile.ts';
import { createMemo } from '../../reconciler/desired/memo.ts';
import { canonical } from '../../schema/hash.ts';
import type { LedgerRecord } from '../../schema/ledger.ts';
import {
  digestOf,
  jobOf,
  ready,
  settledMark,
  story,
  treeOf,
  type Change,
} from '../support/tree.ts';

const CLUSTER = 'name: home\npolicies: {registries: [r.example]}\n';
const IMAGE = `r.example/web:1@${digestOf('1')}`;

/**
 * Fields as people write them: JSON is YAML, so a value can be written in flow or in block style.
 */
const field = fc.constantFrom<[string, string, string]>(
  ['user', 'user: "1"', 'user: "2"'],
  ['ports', 'ports: {http: 80}', 'ports:\n  http: 81'],
  ['environment', 'environment: {A: 1, B: 2}', 'environment:\n  B: 2\n  A: 2'],
  ['resources', 'resources: {cpu: 500m}', 'resources: {cpu: "1"}'],
  ['command', 'command: [a]', 'command:\n- a\n- b'],
  ['tmpfs', 'tmpfs: [/tmp]', 'tmpfs: [/run]'],
  ['kill_signal', 'kill_signal: SIGTERM', 'kill_signal: SIGINT'],
  ['volumes', 'volumes: ["data:/d"]', 'volumes: ["data:/d:ro"]'],
);
const inPlace = fc.constantFrom(
  'count: 3',
  'priority: 9',
  'update: {paused: true}',
  'restart: {delay: 1s}',
  'kill_timeout: 1s',
  'labels: {a: b}',
  'stopped: true',
);

const hashOf = (lines: readonly string[]): string => {
  const files = { 'cluster.yaml': CLUSTER, 'jobs/shop/web.yaml': `${lines.join('\n')}\n` };
  return jobOf(ready(story(files)).desired, 'shop/web').spec.specHash;
};

const unique = fc.uniqueArray(field, { selector: ([name]) => name, minLength: 1, maxLength: 8 });
const RUNS = { numRuns: 60 };

describe('versions', () => {
  it('comments, key order and in-place fields do not change it', () => {
    fc.assert(
      fc.property(
        unique.chain((fields) => {
          const lines = [`image: ${IMAGE}`, ...fields.map(([, written]) => written)];
          return fc.record({
            lines: fc.constant(lines),
            shuffled: fc.shuffledSubarray(lines, { minLength: lines.length }),
            place: fc.uniqueArray(inPlace, { maxLength: 4 }),
          });
        }),
        ({ lines, shuffled, place }) => {
          const noisy = ['# a comment', ...place, '', ...shuffled, '   # another'];
          expect(hashOf(noisy)).toBe(hashOf(lines));
        },
      ),
      RUNS,
    );
  });

  it('each version field changes it', () => {
    fc.assert(
      fc.property(unique, fc.nat(), (fields, at) => {
        const index = at % fields.length;
        const lines = (other: boolean) => [
          `image: ${IMAGE}`,
          ...fields.map(([, a, b], one) => (other && one === index ? b : a)),
        ];
        expect(hashOf(lines(true))).not.toBe(hashOf(lines(false)));
      }),
      RUNS,
    );
  });
});

/** Texts that a job file may have, valid or not. */
const jobText = fc.constantFrom(
  `image: ${IMAGE}\n`,
  `image: ${IMAGE}\ncount: 2\n`,
  'image: r.example/web:2\n',
  `image: ${IMAGE}\nfiles: {/a: configs/a}\n`,
  `image: ${IMAGE}\ncount: {min: 1, max: 4}\n`,
  'image: [\n',
  'image: other.example/web:3\n',
);
const change = fc.dictionary(
  fc.constantFrom('jobs/shop/web.yaml', 'jobs/shop/api.yaml', 'jobs/ops/cron.yaml'),
  fc.option(jobText, { nil: null }),
  { maxKeys: 3 },
);
const others: fc.Arbitrary<Change> = fc.oneof(
  fc.constant({}),
  fc.constantFrom<Change>(
    { 'configs/a': 'x' },
    { 'configs/a': 'y' },
    { 'configs/a': null },
    { 'scale/shop/web.yaml': 'web: 3\n' },
    { 'scale/shop/web.yaml': 'web: many\n' },
    { 'namespaces/shop.yaml': 'protected: true\n' },
    { 'namespaces/shop.yaml': 'protect: true\n' },
    { 'cluster.yaml': `${CLUSTER}defaults: {resources: {cpu: 1m}}\n` },
    { 'cluster.yaml': 'name: [\n' },
  ),
);
const changes = fc.array(
  fc.tuple(change, others).map(([jobs, more]): Change => ({ ...jobs, ...more })),
  { minLength: 1, maxLength: 6 },
);

describe('compile', () => {
  it('gives the same with a memo of earlier trees as without', () => {
    fc.assert(
      fc.property(changes, fc.infiniteStream(fc.boolean()), (list, settles) => {
        const memo = createMemo();
        let ledger: readonly LedgerRecord[] = [];
        for (let at = 1; at <= list.length; at += 1) {
          const commits = story({ 'cluster.yaml': CLUSTER }, ...list.slice(0, at));
          const found = ready(commits, { ledger, memo, lastSynced: 0 });
          expect(canonical(found.desired)).toBe(canonical(compile(found.tree)));
          expect(asks(found.tree, memo)).toEqual(asks(found.tree));
          const heads = found.desired.jobs.filter(({ standing }) => standing.kind === 'head');
          const marks = heads.filter(() => settles.next().value === true).map(settledMark);
          ledger = [...found.ledger, ...marks];
        }
      }),
      RUNS,
    );
  });

  it('never throws, and does not depend on the order of files', () => {
    fc.assert(
      fc.property(changes, (list) => {
        const tree = treeOf(story({ 'cluster.yaml': CLUSTER }, ...list));
        const files = new Map([...tree.files].toReversed());
        expect(canonical(compile({ ...tree, files }))).toBe(canonical(compile(tree)));
      }),
      RUNS,
    );
  });

  it('holds a job that is not valid at the version that it had', () => {
    fc.assert(
      fc.property(jobText, (text) => {
        const commits = story({
          'cluster.yaml': CLUSTER,
          'configs/a': 'x',
          'jobs/shop/web.yaml': text,
        });
        const before = ready(commits).desired.jobs[0];
        const broken = story(
          { 'cluster.yaml': CLUSTER, 'configs/a': 'x', 'jobs/shop/web.yaml': text },
          { 'jobs/shop/web.yaml': 'nonsense: [\n' },
        );
        const after = ready(broken, { ledger: ready(commits).ledger }).desired.jobs[0];
        expect(after?.spec).toEqual(before?.spec);
        expect(after?.deployment).toBe(before?.deployment);
        if (after !== undefined) expect(after.standing.kind).toBe('held');
      }),
      RUNS,
    );
  });
});
