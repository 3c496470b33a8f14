// A standby hands what it is asked on to the leader: two reconcilers' doors with real TLS between
// them, the command line's own dialling at a socket and by a token. In: who leads, as the test says.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { connect } from '../../cli/client.ts';
import { dialTls } from '../../cli/dial.ts';
import { fetchAuthority } from '../../cli/trust.ts';
import { type Doors, openDoors } from '../../reconciler/doors.ts';
import { createControl } from '../../reconciler/edge/control.ts';
import { forwardControl } from '../../reconciler/edge/forward.ts';
import { createNodes } from '../../reconciler/edge/nodes.ts';
import { listen, type Listening } from '../../reconciler/edge/server.ts';
import { OF_LEADER, type TokenAnswer } from '../../schema/control.ts';
import { ControlServiceDefinition } from '../../schema/generated/purser/control/v1/control.ts';
import { parseToken } from '../../schema/identity.ts';

const CLUSTER = 'test';

interface One {
  readonly name: string;
  readonly socket: string;
  readonly address: () => string;
  readonly doors: Doors;
  /** What was done here. */
  readonly done: string[];
  /** Something changed: watches answer again. */
  readonly ring: () => void;
  readonly end: () => Promise<void>;
}

let folder: string;
let leader: string | null;
let ones: Map<string, One>;
let watchers: Set<() => void>;

const lead = (name: string | null): void => {
  leader = name;
  for (const watcher of watchers) watcher();
};

const open = async (name: string): Promise<One> => {
  const silent = () => {};
  const log = { info: silent, warn: silent, error: silent };
  const clock = { now: () => performance.now(), sleepUntil: async () => {} };
  const nodes = createNodes({ cluster: CLUSTER, clock, log });
  const doors = await openDoors({
    cluster: CLUSTER,
    listen: { address: '127.0.0.1:0', folder: path.join(folder, 'authority') },
    log,
    epochMs: Date.now,
  });
  const done: string[] = [];
  const changes = new Set<() => void>();
  let count = 0;
  const refuse = () => {
    if (leader !== name) throw new Error(`${name} is a standby; ${leader} leads`);
  };
  const own = createControl({
    handlers: {
      ...doors.handlers,
      state: async () => `${name} ${leader === name ? `leads ${count}` : 'is a standby'}`,
      file: async () => `a file of ${name}`,
      events: async () => {
        refuse();
        return `events of ${name} ${count}`;
      },
      commit: async (argument) => {
        refuse();
        done.push(JSON.stringify(argument));
        if ('slow' in (argument as object)) await new Promise(() => {});
        return `committed by ${name}`;
      },
    },
    changes: (listener) => {
      changes.add(listener);
      return () => changes.delete(listener);
    },
    streams: nodes.streams,
  });
  const control = forwardControl(own, {
    authority: doors.authority,
    lead: {
      term: () => (leader === name ? 1 : null),
      leader: () =>
        leader === null || leader === name
          ? null
          : { name: leader, address: ones.get(leader)?.address() ?? '127.0.0.1:1' },
      watch: (listener) => {
        watchers.add(listener);
        return () => watchers.delete(listener);
      },
    },
  });
  const socket = path.join(folder, `${name}.sock`);
  const listening: Listening[] = [
    await listen(`unix:${socket}`, ControlServiceDefinition, control),
    await doors.open({ control, nodes, list: async () => null }),
  ];
  const address = listening[1]?.address ?? '';
  return {
    name,
    socket,
    address: () => address,
    doors,
    done,
    ring: () => {
      count += 1;
      for (const change of changes) change();
    },
    end: async () => {
      for (const one of listening.splice(0)) await one.stop();
    },
  };
};

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'pfw-'));
  [leader, watchers, ones] = ['a', new Set(), new Map()];
  for (const name of ['a', 'b']) ones.set(name, await open(name));
});
afterEach(async () => {
  for (const one of ones.values()) await one.end();
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
});

const the = (name: string): One => {
  const one = ones.get(name);
  if (one === undefined) throw new Error(name);
  return one;
};

const at = async <Answer>(socket: string, method: string, argument?: unknown): Promise<Answer> => {
  const control = await connect(socket);
  try {
    return await control.call<Answer>(method, argument);
  } finally {
    control.close();
  }
};

test('what is asked of a standby is done by the leader', async () => {
  const { socket } = the('b');
  expect(await at(socket, 'commit', { x: 1 })).toBe('committed by a');
  expect(the('a').done).toEqual(['{"x":1}']);
  expect(the('b').done).toEqual([]);
  expect(await at(socket, 'file')).toBe('a file of a');
  // Of itself it answers itself.
  expect(await at(socket, 'state')).toBe('b is a standby');
  expect(await at(socket, 'state', OF_LEADER)).toBe('a leads 0');
  expect(await at(the('a').socket, 'state', OF_LEADER)).toBe('a leads 0');
});

test('by a token of another machine too, and no more than the token allows', async () => {
  const ask = { kind: 'view', node: null, uses: 1, lastsMs: 60_000 } as const;
  const answer = (await the('b').doors.handlers['token']?.(ask)) as TokenAnswer | undefined;
  const token = answer?.token ?? '';
  const b = the('b').address();
  const authority = await fetchAuthority(b, parseToken(token)?.authority ?? '');
  const control = dialTls(b, { authority, token });
  try {
    expect(await control.call('state', OF_LEADER)).toBe('a leads 0');
    await expect(control.call('commit', {})).rejects.toThrow('it needs one of --role operate');
    expect(the('a').done).toEqual([]);
  } finally {
    control.close();
  }
});

test('a leader that cannot be reached: what a standby knows is said, a change is not made', async () => {
  const { socket } = the('b');
  await the('a').end();
  expect(await at(socket, 'state', OF_LEADER)).toBe('b is a standby');
  expect(await at(socket, 'file')).toBe('a file of b');
  await expect(at(socket, 'events')).rejects.toThrow('b is a standby; a leads');
  await expect(at(socket, 'commit', {})).rejects.toThrow('b is a standby; a leads');
  lead(null);
  await expect(at(socket, 'commit', {})).rejects.toThrow('b is a standby; null leads');
  lead('b');
  expect(await at(socket, 'commit', {})).toBe('committed by b');
});

test('a leader that goes away over a change: it is not said to be undone, nor done twice', async () => {
  const { socket } = the('b');
  const slow = at(socket, 'commit', { slow: true });
  await expect.poll(() => the('a').done).toHaveLength(1);
  lead('b');
  await the('a').end();
  await expect(slow).rejects.toThrow(/a, which leads, went away.* may have been done: look/);
  expect(the('b').done).toEqual([]);
});

test('what one handed on is not handed back', async () => {
  ones.set('c', await open('c'));
  // Nobody leads, and whoever is asked takes another one for the leader.
  leader = 'nobody';
  ones.set('nobody', { ...the('b'), name: 'nobody' });
  await expect(at(the('c').socket, 'commit', {})).rejects.toThrow('b is a standby; nobody leads');
});

/** What a watch says, one after the other. */
const watching = async (socket: string, method: string, argument?: unknown) => {
  const control = await connect(socket);
  const abort = new AbortController();
  const said: string[] = [];
  let failed: unknown = null;
  const running = (async () => {
    for await (const answer of control.watch<string>(method, abort.signal, argument)) {
      said.push(answer);
    }
  })().catch((error: unknown) => {
    failed = error;
  });
  const end = async () => {
    abort.abort();
    await running;
    control.close();
  };
  return { said, failed: () => failed, end };
};

test('a watch of a standby follows the leader, and the next one', async () => {
  const { socket } = the('b');
  const state = await watching(socket, 'state', OF_LEADER);
  const events = await watching(socket, 'events');
  try {
    await expect.poll(() => state.said).toEqual(['a leads 0']);
    the('a').ring();
    await expect.poll(() => state.said.at(-1)).toBe('a leads 1');
    await expect.poll(() => events.said.at(-1)).toBe('events of a 1');
    await the('a').end();
    await expect.poll(() => state.said.at(-1)).toBe('b is a standby');
    lead(null);
    lead('b');
    await expect.poll(() => state.said.at(-1)).toBe('b leads 0');
    await expect.poll(() => events.said.at(-1)).toBe('events of b 0');
    // Back again: a's machine was started anew.
    ones.set('a', await open('a'));
    lead('a');
    await expect.poll(() => state.said.at(-1)).toBe('a leads 0');
    await expect.poll(() => events.said.at(-1)).toBe('events of a 0');
    expect([state.failed(), events.failed()]).toEqual([null, null]);
  } finally {
    await state.end();
    await events.end();
  }
  await expect.poll(() => watchers.size).toBe(0);
});

test('a watch that nobody can answer says so at once', async () => {
  lead(null);
  const events = await watching(the('b').socket, 'events');
  await expect.poll(() => String(events.failed())).toContain('b is a standby; null leads');
  await events.end();
});
