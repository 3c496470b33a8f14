// The real store on the real disk: the contract, modes, damage, rotation and reading of logs.

import {
  appendFile,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { rotateLogs } from '../../node-runner/edge/store/logs.ts';
import { readLog } from '../../node-runner/edge/store/read-log.ts';
import { createStore } from '../../node-runner/edge/store/store.ts';
import { until } from './runtime-suite.ts';
import { someOrders, storeSuite } from '../support/suites/store.ts';

const quiet = { error: () => undefined };
const makeRoot = (): Promise<string> => mkdtemp(join(tmpdir(), 'purser-store-'));
const remove = (root: string): Promise<void> => rm(root, { recursive: true, force: true });

storeSuite('disk', async () => {
  const root = await makeRoot();
  const open = () => createStore({ root: join(root, 'state'), log: quiet });
  return { port: await open(), restart: open, close: () => remove(root) };
});

let root = '';
beforeEach(async () => {
  root = await makeRoot();
});
afterEach(() => remove(root));

const modeOf = async (path: string): Promise<string> =>
  ((await stat(path)).mode & 0o777).toString(8);

describe('the state folder', () => {
  it('is closed to others, while files and volumes can be used inside a container', async () => {
    const store = await createStore({ root: join(root, 's'), log: quiet });
    await store.writeOrders(someOrders(1));
    const files = [{ path: '/etc/a', content: 'hello' }];
    const tasks = [{ name: 'web', files }];
    const paths = await store.prepare({ allocation: 'a-0-1', tasks, volumes: ['v'] });
    for (const folder of ['', 'files', 'logs', 'volumes', 'logs/a-0-1'])
      expect(await modeOf(join(root, 's', folder))).toBe('700');
    expect(await modeOf(join(root, 's/orders.json'))).toBe('600');
    const mounted = paths.files['web\n/etc/a'] ?? '';
    expect(await readFile(mounted, 'utf8')).toBe('hello');
    expect(await modeOf(mounted)).toBe('644');
    expect(await modeOf(paths.volumes['v'] ?? '')).toBe('777');
  });

  it('leaves the inode of an unchanged file alone, since a container has it mounted', async () => {
    const store = await createStore({ root, log: quiet });
    const tasks = [{ name: 'web', files: [{ path: '/etc/a', content: 'hello' }] }];
    const paths = await store.prepare({ allocation: 'a-0-1', tasks, volumes: [] });
    const path = paths.files['web\n/etc/a'] ?? '';
    const before = (await stat(path)).ino;
    await store.prepare({ allocation: 'a-0-1', tasks, volumes: [] });
    expect((await stat(path)).ino).toBe(before);
  });

  it.each(['{"node":', '[]', '{"node":"n1"}', ''])('survives damage: %s', async (text) => {
    const said: string[] = [];
    const log = { error: (_fields: object, message: string) => void said.push(message) };
    await writeFile(join(root, 'orders.json'), text);
    const store = await createStore({ root, log });
    expect(await store.readOrders()).toBeNull();
    expect(said).toHaveLength(1);
    expect(await readFile(join(root, 'orders.json.corrupt'), 'utf8')).toBe(text);
    await store.writeOrders(someOrders(7));
    expect(await store.readOrders()).toEqual(someOrders(7));
  });

  it('says what to do when the disk refuses', async () => {
    await writeFile(join(root, 'file'), '');
    await expect(createStore({ root: join(root, 'file/x'), log: quiet })).rejects.toMatchObject({
      kind: 'runtime-failure',
      reason: 'disk',
      blame: 'platform',
    });
  });
});

describe('logs', () => {
  const folder = (): string => join(root, 'logs/a-0-1');
  const log = (name: string): string => join(folder(), name);
  const ask = (extra: object = {}) => ({
    root,
    allocation: 'a-0-1',
    task: 'web',
    tail: null,
    follow: false,
    previous: 0,
    ...extra,
  });
  const all = async (extra: object = {}): Promise<string> => {
    const parts: Uint8Array[] = [];
    for await (const part of readLog(ask(extra))) parts.push(part);
    return Buffer.concat(parts).toString();
  };
  const lines = (from: number, to: number): string =>
    Array.from({ length: to - from }, (_, index) => `line ${from + index}\n`).join('');
  beforeEach(() => mkdir(folder(), { recursive: true }));

  it('have a file a run; an empty or absent one is used again', async () => {
    const store = await createStore({ root, log: quiet });
    const path = async (): Promise<string> => {
      const tasks = [{ name: 'web', files: [] }];
      const paths = await store.prepare({ allocation: 'a-0-1', tasks, volumes: [] });
      return paths.logs['web'] ?? '';
    };
    expect(await path()).toBe(log('web.1.log'));
    await writeFile(log('web.1.log'), '');
    expect(await path()).toBe(log('web.1.log'));
    await writeFile(log('web.1.log'), 'one\n');
    expect(await path()).toBe(log('web.2.log'));
    await writeFile(log('web.10.log'), 'ten\n');
    await writeFile(log('web.side.77.log'), 'of another task\n');
    expect(await path()).toBe(log('web.11.log'));
    expect(await all()).toBe('ten\n');
    expect(await all({ previous: 1 })).toBe('one\n');
    await expect(all({ previous: 2 })).rejects.toMatchObject({ reason: 'not-found' });
    await expect(all({ task: 'nobody' })).rejects.toThrow('has not started on this node');
  });

  it('are cut to size, count and runs', async () => {
    for (const run of [1, 2, 3, 4]) await writeFile(log(`web.${run}.log`), 'short\n');
    const limits = { fileBytes: 100, files: 3, runs: 2 };
    for (const round of [1, 2, 3, 4]) {
      await appendFile(log('web.4.log'), `${round}`.repeat(150));
      await rotateLogs(root, limits);
    }
    expect((await readdir(folder())).toSorted()).toEqual([
      'web.3.log',
      'web.4.log',
      'web.4.log.1',
      'web.4.log.2',
    ]);
    expect((await stat(log('web.4.log'))).size).toBe(0);
    expect(await readFile(log('web.4.log.1'), 'utf8')).toBe('4'.repeat(150));
    expect(await all()).toBe('3'.repeat(150) + '4'.repeat(150));
  });

  it('give their last lines, also across rotated files and large ones', async () => {
    await writeFile(log('web.1.log.1'), lines(0, 5));
    await writeFile(log('web.1.log'), lines(5, 8));
    expect(await all({ tail: 2 })).toBe(lines(6, 8));
    expect(await all({ tail: 3 })).toBe(lines(5, 8));
    expect(await all({ tail: 5 })).toBe(lines(3, 8));
    expect(await all({ tail: 0 })).toBe('');
    expect(await all({ tail: 100 })).toBe(lines(0, 8));
    await writeFile(log('web.1.log'), lines(0, 40_000));
    expect(await all({ tail: 20_000 })).toBe(lines(20_000, 40_000));
    await appendFile(log('web.1.log'), 'no newline yet');
    expect(await all({ tail: 1 })).toBe('no newline yet');
  });

  it('are followed over rotation and a new run, without a gap', async () => {
    const limits = { fileBytes: 2_000, files: 3, runs: 3 };
    const stop = new AbortController();
    await writeFile(log('web.1.log'), lines(0, 10));
    let seen = '';
    const reading = (async () => {
      for await (const part of readLog(ask({ follow: true, signal: stop.signal })))
        seen += Buffer.from(part).toString();
    })();
    /** What of it is kept is three files: the reader may be behind by one, not by all. */
    const read = async (to: number): Promise<void> => {
      await until(async () => seen.length >= lines(0, to).length);
      expect(seen).toBe(lines(0, to));
    };
    for (let from = 10; from < 1_010; from += 50) {
      await appendFile(log('web.1.log'), lines(from, from + 50));
      await sleep(20);
      if (from % 250 !== 10) continue;
      await rotateLogs(root, limits);
      await read(from + 50);
    }
    await read(1_010);
    await writeFile(log('web.2.log'), 'second run\n');
    await until(async () => seen.endsWith('second run\n'));
    stop.abort();
    await reading;
    expect(seen).toBe(`${lines(0, 1_010)}second run\n`);
  });

  it('are told to their last word, and then the following ends', async () => {
    await writeFile(log('web.1.log'), 'first run\n');
    await writeFile(log('web.2.log'), 'second run\n');
    const reader = readLog(ask({ follow: true }));
    const next = async () => Buffer.from((await reader.next()).value ?? []).toString();
    expect(await next()).toBe('second run\n');
    await appendFile(log('web.2.log'), 'asked to stop\n');
    await rm(folder(), { recursive: true });
    expect(await next()).toBe('asked to stop\n');
    expect((await reader.next()).done).toBe(true);
  });

  it('are waited for by a follower that comes before the task', async () => {
    const stop = new AbortController();
    const reader = readLog(ask({ follow: true, signal: stop.signal }));
    const first = reader.next();
    await sleep(50);
    await writeFile(log('web.1.log'), 'hello\n');
    expect(Buffer.from((await first).value ?? []).toString()).toBe('hello\n');
    stop.abort();
    expect((await reader.next()).done).toBe(true);
  });

  it('can be aborted while the reader is slow: nothing is read ahead', async () => {
    await writeFile(log('web.1.log'), 'x'.repeat(1_000_000));
    const reader = readLog(ask());
    const first = await reader.next();
    expect(first.value?.length).toBe(65_536);
    await reader.return();
    expect((await reader.next()).done).toBe(true);
  });
});

describe('the end of a log', () => {
  it('is that of the newest run that wrote something, or of the one before, in so many bytes', async () => {
    const store = await createStore({ root, log: quiet });
    const folder = join(root, 'logs/a-0-1');
    await mkdir(folder, { recursive: true });
    const of = { allocation: 'a-0-1', task: 'web', run: 'newest', bytes: 11 } as const;
    await writeFile(join(folder, 'web.1.log'), 'one: first\none: last\n');
    await writeFile(join(folder, 'web.2.log'), 'two: first\ntwo: last\n');
    await writeFile(join(folder, 'web.3.log'), '');
    expect(await store.endOfLog(of)).toBe('\ntwo: last\n');
    expect(await store.endOfLog({ ...of, run: 'before' })).toBe('\none: last\n');
    await writeFile(join(folder, 'web.2.log.1'), 'two: older\n');
    await writeFile(join(folder, 'web.2.log'), 'new\n');
    expect(await store.endOfLog(of)).toBe(' older\nnew\n');
    await expect(store.endOfLog({ ...of, task: '../x' })).rejects.toMatchObject({
      reason: 'bad-spec',
    });
  });
});
