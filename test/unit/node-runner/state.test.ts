// What an answer of a check writes down and reports: most answers nothing.
import { describe, expect, it } from 'vitest';
import type { CheckRole } from '../../../node-runner/decide/inventory.ts';
import { newMark, newTaskMark } from '../../../node-runner/decide/marks.ts';
import type { ProbeAsk } from '../../../node-runner/ports.ts';
import type { RunnerState } from '../../../node-runner/state.ts';
import { begun, newState, succeeded } from '../../../node-runner/state.ts';
import { watches } from '../../../node-runner/watch.ts';
import { tcpCheck, testBody, testGroup, testNode, testTask } from '../../support/runner-specs.ts';

const check = tcpCheck({ retries: 2, intervalMs: 1000 });
const task = testTask({ checks: { startup: check, ready: check, live: null } });
const body = testBody('aaaaaaaaaaaaaaaa-0-1', { spec: testGroup({ tasks: [task] }) });
const ask: ProbeAsk = {
  kind: 'tcp',
  address: '127.0.0.1',
  port: 80,
  path: '',
  timeoutMs: 1000,
  netns: null,
};

const running = (): RunnerState => {
  const state = newState(testNode);
  const open = { ...newTaskMark('server'), run: 'open', runSince: 0, everStarted: true } as const;
  state.marks.set(body.allocation, { ...newMark(body, 0), tasks: [open] });
  return state;
};

/** What the answer of a check makes due. */
const answer = (state: RunnerState, role: CheckRole, text: string | null) => {
  const { allocation } = body;
  const place = { allocation, task: 'server', container: `${allocation}.server` };
  const work = { kind: 'probe', place, role, work: { kind: 'network', ask } } as const;
  Object.assign(state, { changed: false, marksChanged: false });
  begun(state, work);
  const reply = text === null ? ({ ok: true } as const) : ({ ok: false, message: text } as const);
  const fact = { kind: 'answer', answer: reply } as const;
  const lookAt = succeeded(state, work, { fact, now: 5000, begunIn: 0 });
  looks.push(lookAt);
  return { report: state.changed, write: state.marksChanged };
};

/** When each answer so far asks for a look. */
const looks: number[] = [];

it('copies are watched since the last gap between two looks (6.1)', () => {
  const loop = { state: newState(testNode), lookedAt: null };
  const since = [1000, 6000, 15_900, 26_000, 27_000].map((now) => {
    watches(loop, now);
    return loop.state.watchedSince;
  });
  expect(since).toEqual([1000, 1000, 1000, 26_000, 26_000]);
});

describe('answers of checks', () => {
  it('the first good answer is reported, the next ones are not', () => {
    const state = running();
    expect(answer(state, 'ready', null)).toEqual({ report: true, write: false });
    expect(answer(state, 'ready', null)).toEqual({ report: false, write: false });
  });

  it('that the task came up outlives a restart of the runner', () => {
    const state = running();
    expect(answer(state, 'startup', null)).toEqual({ report: true, write: true });
    expect(answer(state, 'startup', null)).toEqual({ report: false, write: false });
  });

  it('the first failure, the one that turns it, and the end of it are reported', () => {
    const state = running();
    answer(state, 'ready', null);
    expect(answer(state, 'ready', 'refused').report).toBe(true);
    expect(answer(state, 'ready', 'refused').report).toBe(true);
    expect(answer(state, 'ready', 'refused at another time').report).toBe(false);
    expect(answer(state, 'ready', null).report).toBe(true);
  });

  it('one like the answer before asks for a look when the next is due, news at once', () => {
    const state = running();
    looks.length = 0;
    for (const text of [null, null, 'refused', 'refused', 'still refused']) {
      answer(state, 'ready', text);
    }
    expect(looks).toEqual([0, 6000, 0, 0, 6000]);
    // Somebody may wait for the place that was the last one.
    state.room.probe = 1;
    answer(state, 'ready', 'still refused');
    expect(looks.at(-1)).toBe(0);
  });

  it('the newest text is kept for the next report', () => {
    const state = running();
    answer(state, 'ready', 'one');
    answer(state, 'ready', 'two');
    const mark = state.marks.get(body.allocation);
    expect(mark?.tasks[0]?.checks.ready?.message).toBe('two');
  });
});
