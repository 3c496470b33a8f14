// Warnings that only a plan can give, since they depend on nodes (rules 5.2).
import { describe, expect, it } from 'vitest';
import { plan } from '../../../reconciler/plan/plan.ts';
import { aJob, desiredOf, liveOf, type JobWords } from '../../support/world.ts';

describe('a pinned host port with start-first', () => {
  const ports = [{ name: 'http', port: 80, host: 80 }];
  const problems = (words: JobWords) => {
    const job = aJob(words, { lines: new Map([['main', 7]]) });
    return plan(desiredOf([job]), liveOf([]), 0).problems;
  };
  const update = { order: 'start-first' as const };

  it('is a warning on the group’s line where too few nodes fit', () => {
    expect(problems({ groups: [{ count: 3, ports }], update })).toMatchObject([
      {
        file: 'jobs/shop/web.yaml',
        line: 7,
        code: 'order-forced',
        severity: 'warning',
        message: expect.stringContaining('host port 80') as string,
      },
    ]);
  });

  it('is none where they do, with stop-first, and without the port', () => {
    expect(problems({ groups: [{ count: 2, ports }], update })).toEqual([]);
    expect(problems({ groups: [{ count: 3, ports }] })).toEqual([]);
    expect(problems({ groups: [{ count: 3 }], update })).toEqual([]);
  });
});
