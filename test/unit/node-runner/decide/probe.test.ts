// Checks and health (rules 4), by tables.
import { describe, expect, it } from 'vitest';
import type {
  AllocationMark,
  CheckMark,
  TaskMark,
} from '../../../../node-runner/decide/inventory.ts';
import { newMark, newTaskMark } from '../../../../node-runner/decide/marks.ts';
import { afterProbe } from '../../../../node-runner/decide/outcome.ts';
import {
  activeRoles,
  answeredRoles,
  fatalCheck,
  groupHealth,
  probeDueAt,
  probeWakeAt,
  taskHealth,
  withAnswer,
} from '../../../../node-runner/decide/probe.ts';
import type { ChecksSpec } from '../../../../schema/spec.ts';
import { tcpCheck, testBody, testGroup, testTask } from '../../../support/runner-specs.ts';

const check = tcpCheck({ intervalMs: 10_000, retries: 3 });
const none: ChecksSpec = { startup: null, ready: null, live: null };
const all: ChecksSpec = { startup: check, ready: check, live: check };
const good: CheckMark = { dueAt: 0, ok: true, failuresInRow: 0, message: null };
const bad: CheckMark = { dueAt: 0, ok: false, failuresInRow: 3, message: 'refused' };
const open = (checks: TaskMark['checks'] = {}): TaskMark => ({
  ...newTaskMark('server'),
  run: 'open',
  runSince: 1000,
  everStarted: true,
  checks,
});

it('startup gates the others', () => {
  expect(activeRoles(all, open())).toEqual(['startup']);
  expect(activeRoles(all, open({ startup: bad }))).toEqual(['startup']);
  const patient = { ...all, live: { ...check, timeoutMs: check.timeoutMs + 1 } };
  expect(activeRoles(patient, open({ startup: good }))).toEqual(['ready', 'live']);
  expect(activeRoles({ ...none, live: check }, open())).toEqual(['live']);
});

describe('ready and live that ask the same question', () => {
  const shared: ChecksSpec = { ...none, ready: check, live: { ...check, retries: 9 } };
  const apart: ChecksSpec = { ...shared, live: { ...check, intervalMs: 5000 } };

  it('are one probe', () => {
    expect(activeRoles(shared, open())).toEqual(['ready']);
    expect(answeredRoles(shared, 'ready')).toEqual(['ready', 'live']);
    expect(activeRoles(apart, open())).toEqual(['ready', 'live']);
    expect(answeredRoles(apart, 'ready')).toEqual(['ready']);
    expect(answeredRoles(apart, 'live')).toEqual(['live']);
  });

  it('count its failures each by its own retries', () => {
    const body = testBody('aaaaaaaaaaaaaaaa-0-1', {
      spec: testGroup({ tasks: [testTask({ checks: shared })] }),
    });
    const place = { allocation: body.allocation, task: 'server', container: 'c' };
    const ask = { kind: 'tcp', address: '', port: 1, path: '', timeoutMs: 1, netns: null } as const;
    const probe = { kind: 'network', ask } as const;
    const work = { kind: 'probe', place, role: 'ready', work: probe } as const;
    let mark: AllocationMark = { ...newMark(body, 0), tasks: [open({ ready: good, live: good })] };
    const fails = (now: number): TaskMark['checks'] => {
      const answer = { ok: false, message: 'refused' } as const;
      mark = afterProbe(mark, work, { answer, now });
      return mark.tasks[0]?.checks ?? {};
    };
    const seen = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((turn) => fails(turn * 10_000 + 1000));
    expect(seen.map(({ ready }) => ready?.ok)).toEqual([true, true, ...Array(7).fill(false)]);
    expect(seen.map(({ live }) => live?.ok)).toEqual([...Array(8).fill(true), false]);
  });
});

describe('the instant at which the runner wakes for a check', () => {
  const due = { ...good, dueAt: 12_340 };

  it('is shared with other checks that are good', () => {
    expect(probeWakeAt(check, open({ ready: due }), 'ready')).toBe(12_500);
    expect(probeWakeAt(check, open({ ready: { ...due, dueAt: 12_500 } }), 'ready')).toBe(12_500);
    expect(probeWakeAt({ ...check, intervalMs: 1000 }, open({ ready: due }), 'ready')).toBe(12_350);
    expect(probeWakeAt({ ...check, intervalMs: 19 }, open({ ready: due }), 'ready')).toBe(12_340);
  });

  it('is its own while it is not good', () => {
    expect(probeWakeAt(check, open(), 'ready')).toBe(1000);
    expect(probeWakeAt(check, open({ ready: { ...due, ok: null } }), 'ready')).toBe(12_340);
    expect(probeWakeAt(check, open({ ready: { ...due, ok: false } }), 'ready')).toBe(12_340);
  });
});

describe('health of a task', () => {
  it.each<[string, ChecksSpec, TaskMark, string]>([
    ['not started', none, newTaskMark('server'), 'unproven'],
    ['runs without checks', none, open(), 'healthy'],
    ['ended', none, { ...open(), run: 'ended' }, 'unhealthy'],
    ['no result yet', all, open(), 'unproven'],
    ['started, ready unknown', all, open({ startup: good }), 'unproven'],
    ['all good', all, open({ startup: good, ready: good, live: good }), 'healthy'],
    ['ready failed', all, open({ startup: good, ready: bad, live: good }), 'unhealthy'],
    ['startup failed', all, open({ startup: bad }), 'unhealthy'],
    ['ready alone', { ...none, ready: check }, open({ ready: good }), 'healthy'],
  ])('%s', (_name, checks, task, health) => {
    expect(taskHealth(testTask({ checks }), task)).toBe(health);
  });
});

it.each<[readonly ('healthy' | 'unhealthy' | 'unproven')[], string]>([
  [['healthy', 'healthy'], 'healthy'],
  [['healthy', 'unproven'], 'unproven'],
  [['unproven', 'unhealthy'], 'unhealthy'],
])('%s together are %s', (healths, health) => expect(groupHealth(healths)).toBe(health));

describe('answers', () => {
  const answer = (task: TaskMark, ok: boolean, now: number): TaskMark => {
    const reply = ok ? ({ ok } as const) : ({ ok: false, message: 'refused' } as const);
    const ready = withAnswer(check, task, { role: 'ready', answer: reply, now });
    return { ...task, checks: { ...task.checks, ready } };
  };

  it('are asked for at once, often at first, and failures do not count then', () => {
    let task = open();
    expect(probeDueAt(task, 'ready')).toBe(1000);
    task = answer(task, false, 1000);
    expect(task.checks.ready).toMatchObject({ dueAt: 2000, ok: null, failuresInRow: 0 });
    task = answer(task, true, 2000);
    expect(task.checks.ready).toMatchObject({ dueAt: 12_000, ok: true });
  });

  it('stand until the retries are used up', () => {
    let task = answer(open(), true, 1000);
    for (const [now, ok] of [
      [11_000, true],
      [21_000, true],
      [31_000, false],
    ] as const) {
      task = answer(task, false, now);
      expect(task.checks.ready?.ok).toBe(ok);
    }
    expect(task.checks.ready?.message).toBe('refused');
    expect(answer(task, true, 41_000).checks.ready).toMatchObject({ ok: true, message: null });
  });

  it('that never come good make it unhealthy after the retries', () => {
    let task = open();
    const states: (boolean | null | undefined)[] = [];
    for (const now of [1000, 10_000, 11_000, 21_000, 31_000]) {
      task = answer(task, false, now);
      states.push(task.checks.ready?.ok);
    }
    expect(states).toEqual([null, null, null, null, false]);
  });
});

it('only startup and live demand the end', () => {
  expect(fatalCheck(all, open({ startup: good, ready: bad, live: good }))).toBeNull();
  expect(fatalCheck(all, open({ startup: good, live: bad }))).toEqual({
    role: 'live',
    message: 'refused',
  });
  expect(fatalCheck(all, open({ startup: bad }))?.role).toBe('startup');
});
