// What `purser up` says when not all comes up: the URLs of what is healthy, and what is not with its
// reason.

import { expect, it } from 'vitest';
import type { Control } from '../../../cli/client.ts';
import type { Io } from '../../../cli/command.ts';
import { farewell } from '../../../cli/up/farewell.ts';
import { follow, followLate, healthOf } from '../../../cli/up/progress.ts';
import { plan } from '../../../reconciler/plan/plan.ts';
import type { StateAnswer } from '../../../schema/control.ts';
import type { DesiredJob } from '../../../schema/desired.ts';
import type { LiveState } from '../../../schema/live.ts';
import { aCopy, aJob, desiredOf, liveOf } from '../../support/world.ts';

const PORTS = { ports: [{ name: 'http', port: 80, host: 8080 }] };
const web = aJob({ name: 'web', count: 1 });
// More memory than any node has: nobody can place it.
const huge = aJob({
  name: 'wiki',
  count: 1,
  groups: [{ ask: { cpuMilli: 1, memoryBytes: 1e13 } }],
});

const stateOf = (healthy: readonly ('web' | 'wiki')[]): StateAnswer => {
  const desired = desiredOf([web, huge]);
  const live = liveOf([
    ...(healthy.includes('web') ? [aCopy(web, { node: 'n001', index: 0 }, PORTS)] : []),
    ...(healthy.includes('wiki') ? [aCopy(huge, { node: 'n002', index: 0 }, PORTS)] : []),
  ]);
  const view = { desired, live, plan: plan(desired, live, 0), ageMs: 0, wakesInMs: null };
  const where = { cluster: 'test', repository: '/r', branch: 'main', directory: '' };
  return { ...where, failure: null, write: null, view };
};

/** A reconciler that says these states, and then nothing more. */
const saying = (states: readonly StateAnswer[]): Control => {
  const watch = async function* watch(_: string, signal: AbortSignal) {
    yield* states;
    await new Promise((done) => signal.addEventListener('abort', done));
  };
  return { watch } as unknown as Control;
};

const listening = () => {
  const lines: string[] = [];
  const out = (text: string) => void lines.push(text);
  const signal = new AbortController().signal;
  const io: Io = { out, err: out, tty: false, columns: 200, rows: 40, signal };
  return { io, lines };
};

it('ends at once where all is healthy', async () => {
  const state = stateOf(['web', 'wiki']);
  expect(await follow(saying([stateOf(['web']), state]), listening().io)).toBe(state);
});

it('ends with what there is when nothing comes up any more', async () => {
  const state = stateOf(['web']);
  expect(await follow(saying([stateOf([]), state]), listening().io, 50)).toBe(state);
});

it('shows the URLs of what is healthy, and the rest with its reason', () => {
  const { io, lines } = listening();
  const common = { root: '/r', socket: '/r/s', json: false };
  const repository = { url: '/r', branch: 'main', workTree: '/r' };
  farewell({ io, common, args: [], options: {} }, stateOf(['web']), {
    repository,
    purser: '/p/purser',
  });
  const text = lines.join('\n');
  expect(text).toContain('http://127.0.0.1:8080');
  expect(text).toMatch(/Not healthy so far.*\n {2}shop\/wiki +0\/1 healthy {2}.*memory/);
});

it('names the nodes in Git that were not heard from, and how they are taken out', () => {
  const { io, lines } = listening();
  const state = stateOf(['web', 'wiki']);
  const silent = liveOf(state.view?.live.nodes[0]?.allocations ?? [], {}, ['n001']);
  const common = { root: '/r', socket: '/r/s', json: false };
  const repository = { url: '/r', branch: 'main', workTree: '/r' };
  const tell = (live: LiveState) => {
    lines.length = 0;
    const view = state.view === null ? null : { ...state.view, live };
    const ending = { repository, purser: '/p/purser' };
    farewell({ io, common, args: [], options: {} }, { ...state, view }, ending);
    return lines.join('\n');
  };
  expect(tell(silent)).toMatch(/not heard from: n002, n003.*\n.* rm nodes\/n002.yaml nodes\/n003/);
  expect(tell(liveOf([]))).not.toContain('not heard from');
});

it('says of a job that is held why, also where copies of the version before run', () => {
  const held: DesiredJob = { ...web, standing: { kind: 'held', why: 'unresolved image: app:2' } };
  const desired = desiredOf([held]);
  const live = liveOf([
    aCopy(aJob({ name: 'web', count: 1, version: 'v0' }), { node: 'n001', index: 0 }),
  ]);
  const view = { desired, live, plan: plan(desired, live, 0), ageMs: 0, wakesInMs: null };
  expect(healthOf({ ...stateOf([]), view })).toMatchObject([
    { healthy: 0, note: 'waits (held): unresolved image: app:2' },
  ]);
});

it('does not show the URL of a copy that is not healthy', () => {
  const { io, lines } = listening();
  const desired = desiredOf([web]);
  const sick = aCopy(web, { node: 'n001', index: 0 }, { ...PORTS, health: 'unproven' });
  const live = liveOf([sick]);
  const view = { desired, live, plan: plan(desired, live, 0), ageMs: 0, wakesInMs: null };
  const common = { root: '/r', socket: '/r/s', json: false };
  const repository = { url: '/r', branch: 'main', workTree: '/r' };
  const ending = { repository, purser: '/p/purser' };
  farewell({ io, common, args: [], options: {} }, { ...stateOf([]), view }, ending);
  expect(lines.join('\n')).not.toContain('http://');
});

it('tells once of a job that comes up later', async () => {
  const told = new Set(['shop/web']);
  const said: string[] = [];
  const tell = (_: StateAnswer, job: string) => void said.push(job);
  const states = [stateOf(['web']), stateOf(['wiki']), stateOf(['web', 'wiki'])];
  await followLate(saying(states), listening().io, { told, tell });
  expect(said).toEqual(['shop/wiki']);
});
