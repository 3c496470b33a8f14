// Tasks in order, compiled: versions, the body that a node gets, what placement counts, and the sum
// of rules 9.3. Rules 15.

import { describe, expect, it } from 'vitest';
import { digestOf, jobOf, ready, story } from '../../support/tree.ts';

const CLUSTER = 'name: home\npolicies: {registries: [r.example]}\n';
const MIB = 1024 * 1024;

/** Tasks by name, each what it says beside its image; `top` stands at the top of the job. */
const compiled = (tasks: Readonly<Record<string, string>>, top = '') => {
  const lines = Object.entries(tasks).map(
    ([name, more]) =>
      `  ${name}: {image: "r.example/web@${digestOf('one')}"${more && `, ${more}`}}`,
  );
  const job = `${top}tasks:\n${lines.join('\n')}\n`;
  return ready(story({ 'cluster.yaml': CLUSTER, 'jobs/shop/web.yaml': job })).desired;
};

const groupOf = (tasks: Readonly<Record<string, string>>) => {
  const [group] = jobOf(compiled(tasks), 'shop/web').spec.groups;
  if (group === undefined) throw new Error('no group');
  return group;
};

describe('the version', () => {
  const plain = { a: '', b: 'user: "1"' };

  it('is what it was where neither field is written, and so is the body', () => {
    const group = groupOf(plain);
    // Of the release before these fields.
    expect(group.hash).toBe('5bcf9acaf9c5bb89dc531e39eaba5f78bc4a295e90e41f853150ec7b65ff2f04');
    expect(JSON.stringify(group)).not.toMatch(/lifecycle|dependsOn|depends_on/);
  });

  it('changes with each of them, and not with the order of names', () => {
    const hashes = [
      plain,
      { ...plain, a: 'lifecycle: prestart' },
      { ...plain, a: 'lifecycle: sidecar' },
      { ...plain, a: 'depends_on: [b]' },
    ].map((tasks) => groupOf(tasks).hash);
    expect(new Set(hashes).size).toBe(4);
    const three = (names: string) => groupOf({ ...plain, c: `depends_on: [${names}]` });
    expect(three('b, a').hash).toBe(three('a, b').hash);
    expect(three('b, a, b').tasks[2]?.dependsOn).toEqual(['a', 'b']);
  });
});

describe('what placement counts', () => {
  const asks = (cpu: string, memory: string) => `resources: {cpu: ${cpu}, memory: ${memory}}`;
  const askOf = (tasks: Readonly<Record<string, string>>) => {
    const { cpuMilli, memoryBytes } = groupOf(tasks).ask;
    return [cpuMilli, memoryBytes / MIB];
  };

  it.each<[string, Readonly<Record<string, string>>, readonly [number, number]]>([
    ['main tasks: their sum', { a: asks('100m', '64MiB'), b: asks('200m', '32MiB') }, [300, 96]],
    [
      'prestart below main: nothing more',
      { init: `lifecycle: prestart, ${asks('100m', '32MiB')}`, web: asks('200m', '64MiB') },
      [200, 64],
    ],
    [
      'prestart tasks may run side by side: their sum, each resource by itself',
      {
        a: `lifecycle: prestart, ${asks('150m', '32MiB')}`,
        b: `lifecycle: prestart, ${asks('150m', '16MiB')}`,
        web: asks('200m', '64MiB'),
      },
      [300, 64],
    ],
    [
      'sidecars on top of both, poststart on top of main',
      {
        init: `lifecycle: prestart, ${asks('250m', '8MiB')}`,
        proxy: `lifecycle: sidecar, ${asks('100m', '32MiB')}`,
        warm: `lifecycle: poststart, ${asks('10m', '8MiB')}`,
        web: asks('200m', '64MiB'),
      },
      [350, 104],
    ],
    [
      'poststop alone at the end',
      {
        clean: `lifecycle: poststop, ${asks('100m', '512MiB')}`,
        proxy: `lifecycle: sidecar, ${asks('100m', '32MiB')}`,
        web: asks('200m', '64MiB'),
      },
      [300, 512],
    ],
  ])('%s', (_, tasks, ask) => {
    expect(askOf(tasks)).toEqual(ask);
  });
});

describe('the sum of rules 9.3', () => {
  const problems = (tasks: Readonly<Record<string, string>>, stopAfter: string) =>
    compiled(tasks, `stop_after: ${stopAfter}\n`).problems.map(({ code, message, advice }) =>
      [code, message, advice].join(' '),
    );

  it('is what a task without an order takes', () => {
    const tasks = { a: 'kill_timeout: 10s', b: 'kill_timeout: 4s' };
    expect(problems(tasks, '15s')).toEqual([]);
  });

  it('counts tasks that end one after the other', () => {
    const tasks = {
      clean: 'lifecycle: poststop, kill_timeout: 3s',
      init: 'lifecycle: prestart, kill_timeout: 6s',
      proxy: 'lifecycle: sidecar, kill_timeout: 2s',
      web: 'kill_timeout: 5s',
    };
    expect(problems(tasks, '15s')).toEqual([]);
    expect(problems(tasks, '16s')).toEqual([
      'stop-after-too-long stop_after + shutdown_delay + kill_timeout (of tasks that end one after ' +
        'the other) + 5s is 16s + 0s + 10s + 5s = 31s, longer than lost_after (30s) in ' +
        'cluster.yaml. Write at most `stop_after: 15s`, or raise `lost_after`.',
    ]);
  });

  it('counts main tasks that depend on each other', () => {
    const tasks = { api: 'depends_on: [db], kill_timeout: 5s', db: 'kill_timeout: 6s' };
    expect(problems(tasks, '14s')).toEqual([]);
    expect(problems(tasks, '15s')).toHaveLength(1);
  });
});
