// The small parts of deciding, by tables: restart, ports, environment, stop_after, retry, words.
import { describe, expect, it } from 'vitest';
import { purserVariables, taskEnvironment } from '../../../../node-runner/decide/environment.ts';
import { choosePorts, DYNAMIC_FIRST, DYNAMIC_LAST } from '../../../../node-runner/decide/ports.ts';
import { restartVerdict } from '../../../../node-runner/decide/restart.ts';
import { newMark } from '../../../../node-runner/decide/marks.ts';
import { nextRetry } from '../../../../node-runner/decide/retry.ts';
import {
  hasRival,
  mustStop,
  mustWait,
  stopAfterAt,
} from '../../../../node-runner/decide/stop-after.ts';
import {
  exitFailure,
  exitRecord,
  signalNumber,
  sizeText,
} from '../../../../node-runner/decide/words.ts';
import type { TaskExit } from '../../../../node-runner/ports.ts';
import { newState } from '../../../../node-runner/state.ts';
import type { RestartSpec } from '../../../../schema/spec.ts';
import { MIB, testBody, testGroup, testNode, testTask } from '../../../support/runner-specs.ts';

const fail: RestartSpec = { attempts: 2, intervalMs: 1000, delayMs: 10, mode: 'fail' };
const delay: RestartSpec = { ...fail, mode: 'delay' };

describe('restart', () => {
  it.each<[string, RestartSpec, readonly number[], number, object]>([
    ['the first', fail, [], 5000, { kind: 'restart', startAt: 5010, restartTimes: [5000] }],
    [
      'the second',
      fail,
      [4900],
      5000,
      { kind: 'restart', startAt: 5010, restartTimes: [4900, 5000] },
    ],
    ['the third in the interval', fail, [4800, 4900], 5000, { kind: 'dead' }],
    [
      'the third, the first long ago',
      fail,
      [4000, 4900],
      5000,
      { kind: 'restart', startAt: 5010, restartTimes: [4900, 5000] },
    ],
    ['no attempts', { ...fail, attempts: 0 }, [], 5000, { kind: 'dead' }],
    [
      'used up, delay',
      delay,
      [4800, 4900],
      5000,
      { kind: 'restart', startAt: 5800, restartTimes: [4900, 5000] },
    ],
    [
      'no attempts, delay',
      { ...delay, attempts: 0 },
      [],
      5000,
      { kind: 'restart', startAt: 6000, restartTimes: [5000] },
    ],
  ])('%s', (_name, spec, times, now, verdict) => {
    expect(restartVerdict(spec, times, now)).toEqual(verdict);
  });
});

describe('ports', () => {
  const group = testGroup({
    ports: [
      { name: 'http', port: 8080, host: null },
      { name: 'admin', port: 9090, host: 9090 },
    ],
  });
  const others = (taken: readonly number[]) => ({ ports: new Set(taken), holders: new Map() });
  const chosen = (allocation: string, taken: readonly number[], spec = group) => {
    const answer = choosePorts(allocation, spec, others(taken));
    if (answer.kind === 'taken') throw new Error(answer.message);
    return answer.ports;
  };

  it('are the same for one allocation, differ between two, and lie in the range', () => {
    const [first] = chosen('a-0-1', []);
    expect(chosen('a-0-1', [])[0]).toEqual(first);
    expect(chosen('a-1-1', [])[0]?.host).not.toBe(first?.host);
    expect(first?.host).toBeGreaterThanOrEqual(DYNAMIC_FIRST);
    expect(first?.host).toBeLessThanOrEqual(DYNAMIC_LAST);
  });

  it('avoid what is taken, and turn round at the end', () => {
    const taken: number[] = [];
    const all = Array.from({ length: 50 }, () => {
      const host = chosen('a-0-1', taken)[0]?.host ?? 0;
      taken.push(host);
      return host;
    });
    expect(new Set(all).size).toBe(50);
    const range = Array.from(
      { length: DYNAMIC_LAST - DYNAMIC_FIRST + 1 },
      (_, step) => DYNAMIC_FIRST + step,
    );
    const left = range[7] ?? 0;
    expect(
      chosen(
        'a-0-1',
        range.filter((port) => port !== left),
      )[0]?.host,
    ).toBe(left);
    expect(choosePorts('a-0-1', group, others(range))).toMatchObject({ kind: 'taken' });
  });

  it('say which pinned port is in the way', () => {
    expect(choosePorts('a-0-1', group, others([9090]))).toEqual({
      kind: 'taken',
      message: 'host port 9090 (admin) is in use on this node',
    });
    const known = { ports: new Set([9090]), holders: new Map([[9090, 'nginx, process 812']]) };
    expect(choosePorts('a-0-1', group, known)).toEqual({
      kind: 'taken',
      message: 'host port 9090 (admin) is in use on this node by nginx, process 812',
    });
  });

  it('are one inside and outside in host mode', () => {
    const [http] = chosen('a-0-1', [], { ...group, networkMode: 'host' });
    expect(http?.port).toBe(http?.host);
  });
});

describe('environment', () => {
  const place = {
    body: testBody('a-2-1', { index: 2 }),
    ports: [{ name: 'http-api', port: 8080, host: 23456 }],
    node: testNode,
  };

  it('tells every task who it is and where it answers', () => {
    expect(Object.fromEntries(purserVariables('server', place))).toEqual({
      PURSER_NAMESPACE: 'default',
      PURSER_JOB: 'web',
      PURSER_GROUP: 'web',
      PURSER_INDEX: '2',
      PURSER_TASK: 'server',
      PURSER_ALLOCATION: 'a-2-1',
      PURSER_NODE: 'n1',
      PURSER_PORT_http_api: '8080',
      PURSER_HOST_PORT_http_api: '23456',
      PURSER_ADDR_http_api: '192.0.2.1:23456',
    });
  });

  it('lets the job win over the image, and replaces what the node knows', () => {
    const task = testTask({
      environment: [
        ['A', 'job'],
        ['N', '${node.name}/${node.arch}/${node.zone}'],
        ['V', '1.10'],
      ],
    });
    const env = taskEnvironment(task, ['A=image', 'B=image', 'C=with=sign'], place);
    expect(env).toContain('A=job');
    expect(env).toContain('B=image');
    expect(env).toContain('C=with=sign');
    expect(env).toContain('N=n1/amd64/${node.zone}');
    expect(env).toContain('V=1.10');
    expect(env.filter((line) => line.startsWith('PATH='))).toHaveLength(1);
    expect(taskEnvironment(task, ['PATH=/own'], place)).toContain('PATH=/own');
    const nodeAttributes = [['node.arch', 'git'] as const, ['node.zone', 'a'] as const];
    const placed = { ...place, body: { ...place.body, nodeAttributes } };
    expect(taskEnvironment(task, [], placed)).toContain('N=n1/git/a');
  });
});

describe('stop_after', () => {
  it.each<[number, number | null, number, boolean]>([
    [0, null, 1, false],
    [100, null, 1, true],
    [100, 50, 149, false],
    [100, 50, 150, true],
  ])('of %d after contact at %s, at %d: %s', (stopAfterMs, contactAt, now, stops) => {
    expect(mustStop(stopAfterMs, contactAt, now)).toBe(stops);
  });
  it('names the instant for the watchdog', () => {
    expect(stopAfterAt(100, 50)).toBe(150);
    expect(stopAfterAt(0, 50)).toBeNull();
  });
});

it('retries double from a second to a minute', () => {
  const failure = { blame: 'platform', message: 'no answer' } as const;
  let retry = nextRetry(undefined, failure, 0);
  const waits = [retry.notBefore];
  for (let turn = 0; turn < 8; turn += 1) {
    retry = nextRetry(retry, failure, 0);
    waits.push(retry.notBefore);
  }
  expect(waits).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
});

describe('words', () => {
  const exit = (fields: Partial<TaskExit>): TaskExit => ({
    code: 0,
    signal: null,
    known: true,
    at: null,
    ...fields,
  });
  const kill = {
    cause: 'check',
    signalAt: 0,
    timeoutMs: 1,
    signalledAt: 0,
    forcedAt: null,
  } as const;
  const seen = { outOfMemory: false, kill: null };

  it.each<[string, TaskExit | null, Parameters<typeof exitRecord>[1], string, string]>([
    ['a code', exit({ code: 7 }), seen, 'exit code 7', 'exit'],
    ['code 0', exit({ code: 0 }), seen, 'exit code 0', 'exit'],
    ['a signal in the code', exit({ code: 137 }), seen, 'killed by SIGKILL', 'exit'],
    ['a crash', exit({ code: 139 }), seen, 'killed by SIGSEGV', 'exit'],
    ['a shell’s code above 128', exit({ code: 130 }), seen, 'exit code 130', 'exit'],
    [
      'memory',
      exit({ code: 137 }),
      { ...seen, outOfMemory: true },
      'out of memory: limit 128MiB',
      'out-of-memory',
    ],
    [
      'memory of a child only',
      exit({ code: 1 }),
      { ...seen, outOfMemory: true },
      'exit code 1',
      'exit',
    ],
    ['a failed check', exit({ code: 143 }), { ...seen, kill }, 'no answer', 'check-failed'],
    [
      'nobody saw it',
      null,
      seen,
      'ended while containerd was not watching: exit status unknown',
      'runtime',
    ],
  ])('%s', (_name, ended, how, message, kind) => {
    const failure = exitFailure(testTask(), exitRecord(ended, how), 'no answer');
    expect(failure).toMatchObject({ message, kind, task: 'server' });
  });

  it('an end that nobody saw is not the version’s fault', () => {
    expect(exitFailure(testTask(), exitRecord(null, seen), null).blame).toBe('platform');
  });

  it.each([
    ['SIGTERM', 15],
    ['TERM', 15],
    ['SIGINT', 2],
    ['9', 9],
    ['SIGWHAT', 15],
  ])('%s is %d', (name, number) => expect(signalNumber(name)).toBe(number));

  it.each([
    [128 * MIB, '128MiB'],
    [1536 * MIB, '1.5GiB'],
    [700, '700B'],
  ])('%d bytes are %s', (bytes, text) => expect(sizeText(bytes)).toBe(text));
});

describe('copies that must not run beside each other', () => {
  const spec = testGroup({ singleton: true, stopAfterMs: 8000 });
  const mark = (attempt: number) => newMark(testBody(`a-0-${attempt}`, { attempt, spec }), 0);
  const [older, newer] = [mark(1), mark(2)];

  it.each([
    [8000, 0, false],
    [8000, 7999, false],
    [8000, 8000, true],
    [0, Number.POSITIVE_INFINITY, false],
  ])('stop_after %d, unheard for %d: waits %s', (stopAfterMs, unheardMs, waits) => {
    expect(mustWait(stopAfterMs, unheardMs)).toBe(waits);
  });

  it('the older one gives way, and the newer one waits until it is gone', () => {
    const marks = new Map([older, newer].map((each) => [each.allocation, each]));
    const state = { ...newState(testNode), marks };
    expect(hasRival(older, state)).toBe(true);
    expect(hasRival(newer, state)).toBe(false);
    state.inFlight.add('container a-0-1.server');
    expect(hasRival(newer, state)).toBe(true);
    const elsewhere = { ...older, body: { ...older.body, index: 1 } };
    expect(hasRival(elsewhere, state)).toBe(false);
  });

  it('with a named volume either waits while something of the other runs', () => {
    const volumes = [{ name: 'data', onLoss: 'wait' }] as const;
    const held = [older, newer].map(({ body, ...rest }) => ({
      ...rest,
      body: { ...body, spec: testGroup({ volumes }) },
    }));
    const marks = new Map(held.map((each) => [each.allocation, each]));
    const state = { ...newState(testNode), marks };
    const rivals = () => held.map((each) => hasRival(each, state));
    expect(rivals()).toEqual([false, false]);
    const facts = { labels: {}, image: '', pid: 7, exit: null, outOfMemory: false };
    state.containers.set('a-0-2.server', { ...facts, id: 'a-0-2.server', task: 'running' });
    expect(rivals()).toEqual([true, false]);
    state.containers.set('a-0-2.server', { ...facts, id: 'a-0-2.server', task: 'stopped' });
    expect(rivals()).toEqual([false, false]);
    state.inFlight.add('container a-0-1.server');
    expect(rivals()).toEqual([false, true]);
  });

  it('a dead one, kept for the evidence, is gone once nothing of it runs', () => {
    const dead = { ...older, deadAt: 5 };
    const id = 'a-0-1.server';
    const facts = { id, labels: {}, image: '', pid: 7, exit: null, outOfMemory: false };
    const marks = new Map([dead, newer].map((each) => [each.allocation, each]));
    const state = { ...newState(testNode), marks };
    state.containers.set(id, { ...facts, task: 'running' });
    expect(hasRival(newer, state)).toBe(true);
    state.containers.set(id, { ...facts, task: 'stopped' });
    expect(hasRival(newer, state)).toBe(false);
    expect(hasRival(dead, state)).toBe(true);
  });
});
