// Of which jobs `purser status` asks whether a commit brought their version back.

import { expect, it } from 'vitest';
import { returnedJobs } from '../../../cli/status.ts';
import { digestOf, jobOf, ready, settledMark, story } from '../../support/tree.ts';

const CLUSTER = 'name: home\npolicies: {registries: [r.example]}\n';
const WEB = 'jobs/shop/web.yaml';
const image = (word: string) => `image: r.example/web:${word}@${digestOf(word)}\n`;

it('asks of a version that came back twice, which the ledger does not show', () => {
  const commits = story(
    { 'cluster.yaml': CLUSTER, [WEB]: image('1') },
    { [WEB]: image('2') },
    { [WEB]: image('1') },
    { [WEB]: image('2') },
  );
  const marks = [1, 2].map((count) =>
    settledMark(jobOf(ready(commits.slice(0, count)).desired, 'shop/web')),
  );
  const at = (count: number, known: number) =>
    ready(commits.slice(0, count), { ledger: marks.slice(0, known) }).desired.jobs;
  expect(jobOf(ready(commits, { ledger: marks }).desired, 'shop/web').isRollback).toBe(false);
  expect(returnedJobs(at(4, 2))).toEqual(['shop/web']);
  expect(returnedJobs(at(3, 2))).toEqual(['shop/web']);
  expect(returnedJobs(at(1, 1))).toEqual([]);
});

it('where many may have come back, asks of those alone that the ledger shows', () => {
  const commits = story({ 'cluster.yaml': CLUSTER, [WEB]: image('1') });
  const [job] = ready(commits).desired.jobs;
  if (job === undefined) throw new Error('there is a job');
  const many = Array.from({ length: 51 }, (_, at) => ({ ...job, id: `shop/${at}`, settled: true }));
  expect(returnedJobs(many)).toEqual([]);
  expect(returnedJobs(many.slice(1))).toHaveLength(50);
  expect(returnedJobs([...many, { ...job, isRollback: true }])).toEqual(['shop/web']);
});
