// The commands as a whole: names, help, what is said to whom did not type it right.

import { expect, test } from 'vitest';
import { Command } from 'commander';
import { allCommands } from '../../../cli/commands.ts';
import { commonOf, DEFAULT_ROOT } from '../../../cli/command.ts';
import { findTask } from '../../../cli/deploy.ts';
import type { ReadyState } from '../../../cli/state.ts';
import { findCopy, findJob, knownWords } from '../../../cli/state.ts';
import { compile } from '../../../reconciler/desired/compile.ts';
import { plan } from '../../../reconciler/plan/plan.ts';
import { ready, story, jobOf } from '../../support/tree.ts';
import { aCopy, liveOf } from '../../support/world.ts';

const commands = await allCommands();

const IMAGE = `reg.example/web:1@sha256:${'0'.repeat(64)}`;
const LONG = `groups:
  api:
    tasks:
      server: { image: "${IMAGE}" }
      side: { image: "${IMAGE}" }
  front: { image: "${IMAGE}" }
`;

const stateOf = (): ReadyState => {
  const { tree } = ready(
    story({
      'cluster.yaml': 'name: test\npolicies:\n  registries: [reg.example]\n',
      'nodes/n001.yaml': '# a node\n',
      'jobs/shop/web.yaml': `image: "${IMAGE}"\n`,
      'jobs/shop/long.yaml': LONG,
      'jobs/a/twice.yaml': `image: "${IMAGE}"\n`,
      'jobs/b/twice.yaml': `image: "${IMAGE}"\n`,
    }),
  );
  const desired = compile(tree);
  const live = liveOf([
    aCopy(jobOf(desired, 'shop/web'), { node: 'n001', index: 0, group: 'web' }),
    aCopy(jobOf(desired, 'shop/web'), { node: 'n001', index: 1, group: 'web' }),
  ]);
  const view = { desired, live, plan: plan(desired, live, 0), ageMs: 0, wakesInMs: null };
  const where = { cluster: 'test', repository: '/r', branch: 'main', directory: '' };
  return { ...where, failure: null, write: null, view };
};

test('every command has a summary, examples that begin with a command, and a name of its own', () => {
  const names = commands.map(({ usage }) => usage.split(' ')[0] ?? '');
  expect(new Set(names).size).toBe(names.length);
  for (const { usage, summary, examples, define } of commands) {
    expect(summary, usage).toMatch(/^[a-z]/);
    expect(examples.length, usage).toBeGreaterThan(0);
    for (const [line] of examples) expect(line).toMatch(/purser|git /);
    const command = define(new Command(usage));
    const flags = command.options.map(({ long }) => long);
    expect(new Set(flags).size, usage).toBe(flags.length);
  }
});

test('root and socket: option, then environment, then default', () => {
  expect(commonOf({ root: '/r' })).toMatchObject({ root: '/r', socket: '/r/control.sock' });
  expect(commonOf({ socket: '/s' }).socket).toBe('/s');
  expect(commonOf({ json: true }).json).toBe(true);
  if (process.env['PURSER_ROOT'] === undefined) expect(commonOf({}).root).toBe(DEFAULT_ROOT);
});

test.each([
  { name: 'web', found: 'shop/web' },
  { name: 'shop/web', found: 'shop/web' },
  { name: 'wep', error: 'did you mean web?' },
  { name: 'twice', error: 'ambiguous: a/twice, b/twice' },
  { name: 'nothing-like-it', error: 'there is a/twice, b/twice, shop/long, shop/web' },
])('a job named $name', ({ name, found, error }) => {
  const find = () => findJob(stateOf(), name).id;
  if (found !== undefined) expect(find()).toBe(found);
  else expect(find).toThrow(error);
});

test.each([
  { name: 'web', found: ['shop/web', 'web', 'web'] },
  { name: 'shop/web', found: ['shop/web', 'web', 'web'] },
  { name: 'long/front', found: ['shop/long', 'front', 'front'] },
  { name: 'shop/long/api/side', found: ['shop/long', 'api', 'side'] },
  { name: 'long/api', error: 'shop/long/api/server=IMAGE or shop/long/api/side=IMAGE' },
  { name: 'long', error: 'name the group' },
  { name: 'long/other', error: 'name the group' },
])('a task named $name', ({ name, found, error }) => {
  const find = () => {
    const { job, group, task } = findTask(stateOf(), name);
    return [job.id, group, task];
  };
  if (found !== undefined) expect(find()).toEqual(found);
  else expect(find).toThrow(error);
});

test('a copy by slot, by id, by the start of an id', () => {
  const state = stateOf();
  const copy = findCopy(state, 'web[1]');
  expect(copy.body.index).toBe(1);
  expect(findCopy(state, 'shop/web/web[1]')).toBe(copy);
  expect(findCopy(state, copy.allocation)).toBe(copy);
  expect(() => findCopy(state, copy.allocation.slice(0, 6))).toThrow('names 2 allocations');
  expect(() => findCopy(state, 'web')).toThrow('names 2 allocations: web[0], web[1]');
  expect(() => findCopy(state, 'web[7]')).toThrow('did you mean web[');
});

test('nothing near: at most a dozen names', () => {
  const many = Array.from({ length: 40 }, (_, index) => `team/job-${index}`);
  expect(knownWords('x', many)).toMatch(/^; there is team\/job-0, .* and 28 more$/);
  expect(knownWords('x', [])).toBe('; there is none');
});
