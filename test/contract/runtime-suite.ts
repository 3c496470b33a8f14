// What every RuntimePort must do, whoever implements it: containerd's edge and the simulator's
// runtime run this. In: a name, and a way to make a runtime with an image to pull and
// specifications for a few programs. Not here: what only a real containerd has (registries,
// restarts, terminals): runtime.test.ts.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type {
  ImageFacts,
  OciSpec,
  RuntimeContainer,
  RuntimeEvent,
  RuntimePort,
} from '../../node-runner/ports.ts';

/** What a container of the suite does. */
export type Program =
  | { readonly kind: 'run'; readonly heedsTerm: boolean }
  | { readonly kind: 'exit'; readonly code: number; readonly afterMs: number }
  /** Its command is not in the image. */
  | { readonly kind: 'absent' };

export interface RuntimeBench {
  readonly runtime: RuntimePort;
  readonly image: { readonly repository: string; readonly digest: string };
  /** Where no such image is. */
  readonly missing: { readonly repository: string; readonly digest: string };
  readonly spec: (id: string, program: Program) => OciSpec;
  /** A user of the image by name. */
  readonly user: { readonly name: string; readonly uid: number; readonly gid: number };
  /** Arguments of a process that prints `hello` and ends with 3. */
  readonly hello: readonly string[];
  /** Leaves the container's record without a task, as a reboot does. */
  readonly loseTask: (id: string) => Promise<void>;
  /**
   * Whether the program itself runs. For a moment after the start it is runc, which ends by any
   * signal.
   */
  readonly hasBegun: (id: string) => Promise<boolean>;
  readonly close: () => Promise<void>;
}

const PATIENCE_MS = 60_000;
const POLL_MS = 10;

/** Waits until the look gives something; fails after a while. */
export const until = async <T>(look: () => Promise<T | null | undefined | false>): Promise<T> => {
  for (let waited = 0; waited < PATIENCE_MS; waited += POLL_MS) {
    const found = await look();
    if (found !== null && found !== undefined && found !== false) return found;
    await sleep(POLL_MS);
  }
  throw new Error('what was waited for did not come');
};

export const find = async (
  runtime: RuntimePort,
  id: string,
): Promise<RuntimeContainer | undefined> =>
  (await runtime.list()).find((container) => container.id === id);

/** Collects events from the first resync on. */
export const listen = async (
  runtime: RuntimePort,
): Promise<{ readonly heard: readonly RuntimeEvent[]; readonly stop: () => Promise<void> }> => {
  const heard: RuntimeEvent[] = [];
  const abort = new AbortController();
  const ended = (async () => {
    for await (const event of runtime.events(abort.signal)) heard.push(event);
  })();
  await until(async () => heard.length > 0);
  return {
    heard,
    stop: async () => {
      abort.abort();
      await ended;
    },
  };
};

export const runtimeSuite = (name: string, makeBench: () => Promise<RuntimeBench>): void => {
  describe(name, () => {
    let bench: RuntimeBench;
    let runtime: RuntimePort;
    let image: ImageFacts;
    let count = 0;

    beforeAll(async () => {
      bench = await makeBench();
      runtime = bench.runtime;
      image = await runtime.pull(bench.image, {});
    });
    afterAll(() => bench?.close());

    const create = async (program: Program, id = `c-${(count += 1)}`): Promise<string> => {
      const spec = bench.spec(id, program);
      await runtime.create({ id, labels: { a: '1' }, image, spec, logPath: null });
      return id;
    };
    const run = async (program: Program): Promise<string> => {
      const id = await create(program);
      await runtime.start(id);
      if (program.kind === 'run') await until(() => bench.hasBegun(id));
      return id;
    };
    const ended = (id: string): Promise<RuntimeContainer> =>
      until(async () => {
        const found = await find(runtime, id);
        return found?.task === 'stopped' && found;
      });

    test('says its version', async () => {
      expect(await runtime.version()).toMatch(/\d/);
    });

    test('a pulled image is listed by digest; pulling it again changes nothing', async () => {
      const name = `${bench.image.repository}@${bench.image.digest}`;
      expect(image.name).toBe(name);
      expect(image.digest).toBe(bench.image.digest);
      expect(await runtime.images()).toContainEqual(image);
      expect(await runtime.pull(bench.image, {})).toEqual(image);
    });

    test('an image that no registry has is the version’s fault, and says its name', async () => {
      const pulled = runtime.pull(bench.missing, {});
      await expect(pulled).rejects.toMatchObject({
        kind: 'runtime-failure',
        reason: 'image-not-found',
        blame: 'version',
        message: expect.stringContaining(bench.missing.digest) as string,
      });
    });

    test('a pull that is cancelled before it begins does nothing', async () => {
      const signal = AbortSignal.abort();
      await expect(runtime.pull(bench.missing, { signal })).rejects.toMatchObject({
        name: 'AbortError',
      });
    });

    test('a pull that is cancelled midway ends at once, and can be done again', async () => {
      await runtime.removeImage(image.name);
      const stop = new AbortController();
      const pulled = runtime.pull(bench.image, { signal: stop.signal });
      stop.abort();
      await expect(pulled).rejects.toMatchObject({ name: 'AbortError' });
      expect(await runtime.pull(bench.image, {})).toEqual(image);
    });

    test('a container is created, not started, and listed with its labels', async () => {
      const id = await create({ kind: 'run', heedsTerm: true });
      const found = await find(runtime, id);
      expect(found).toMatchObject({ id, labels: { a: '1' }, image: image.name, task: 'created' });
      expect(found?.pid).toBeGreaterThan(0);
      expect(found?.exit).toBeNull();
      await runtime.remove(id);
    });

    test('creating again gives the same container', async () => {
      const id = await create({ kind: 'run', heedsTerm: true });
      const before = await find(runtime, id);
      await create({ kind: 'run', heedsTerm: true }, id);
      expect(await find(runtime, id)).toEqual(before);
      await runtime.remove(id);
    });

    test('starting twice is starting once', async () => {
      const id = await run({ kind: 'run', heedsTerm: true });
      await runtime.start(id);
      expect(await find(runtime, id)).toMatchObject({ task: 'running' });
      await runtime.remove(id);
    });

    test('an exit is told as an event and kept in the list', async () => {
      const { heard, stop } = await listen(runtime);
      const id = await run({ kind: 'exit', code: 7, afterMs: 0 });
      const { exit } = await ended(id);
      expect(exit).toMatchObject({ code: 7, signal: null, known: true });
      expect(exit?.at).toBeGreaterThan(0);
      const event = await until(async () =>
        heard.find((each) => each.kind === 'exit' && each.container === id),
      );
      expect(event).toMatchObject({ exit: { code: 7, known: true } });
      await stop();
      await runtime.remove(id);
    });

    test('events begin with resync and end when they are told to', async () => {
      const { heard, stop } = await listen(runtime);
      expect(heard[0]).toEqual({ kind: 'resync' });
      await stop();
    });

    test('SIGTERM ends a program that heeds it', async () => {
      const id = await run({ kind: 'run', heedsTerm: true });
      // It heeds the signal from the moment on at which it has said so to the kernel.
      const found = await until(async () => {
        await runtime.kill(id, 15, { all: false });
        const container = await find(runtime, id);
        return container?.task === 'stopped' && container;
      });
      expect(found.exit).toMatchObject({ code: 0, known: true });
      await runtime.remove(id);
    });

    test('a program that ignores SIGTERM ends by SIGKILL', async () => {
      const id = await run({ kind: 'run', heedsTerm: false });
      await runtime.kill(id, 15, { all: false });
      await sleep(100);
      expect(await find(runtime, id)).toMatchObject({ task: 'running' });
      await runtime.kill(id, 9, { all: true });
      expect((await ended(id)).exit).toMatchObject({ code: 137, signal: 9 });
      await runtime.remove(id);
    });

    test.each([
      [9, { code: 137, signal: 9 }],
      [15, { code: 2, signal: null }],
    ])('signal %i ends what was created and never started, and is told', async (signal, how) => {
      const { heard, stop } = await listen(runtime);
      const id = await create({ kind: 'run', heedsTerm: true });
      await runtime.kill(id, signal, { all: false });
      expect((await ended(id)).exit).toMatchObject({ ...how, known: true });
      await until(async () => heard.some((each) => each.kind === 'exit' && each.container === id));
      await expect(runtime.start(id)).rejects.toMatchObject({ consequence: 'retry' });
      await stop();
      await runtime.remove(id);
    });

    test('killing what has ended, or never was, is no error', async () => {
      const id = await run({ kind: 'exit', code: 0, afterMs: 0 });
      await ended(id);
      await runtime.kill(id, 15, { all: false });
      await runtime.kill('never-was', 15, { all: true });
      await runtime.remove(id);
    });

    test('removing ends what runs; removing again is fine', async () => {
      const id = await run({ kind: 'run', heedsTerm: false });
      await runtime.remove(id);
      expect(await find(runtime, id)).toBeUndefined();
      await runtime.remove(id);
      await create({ kind: 'run', heedsTerm: true }, id);
      expect(await find(runtime, id)).toMatchObject({ task: 'created' });
      await runtime.remove(id);
    });

    test('what has ended is not created again, but restarted or removed', async () => {
      const id = await run({ kind: 'exit', code: 0, afterMs: 0 });
      await ended(id);
      const again = create({ kind: 'run', heedsTerm: true }, id);
      await expect(again).rejects.toMatchObject({ reason: 'already-exists', consequence: 'stale' });
      await runtime.remove(id);
    });

    test.each(['created', 'running'])(
      'the removal of what is %s is told as its end',
      async (task) => {
        const { heard, stop } = await listen(runtime);
        const program = { kind: 'run', heedsTerm: false } as const;
        const id = task === 'created' ? await create(program) : await run(program);
        await runtime.remove(id);
        const event = await until(async () =>
          heard.find((each) => each.kind === 'exit' && each.container === id),
        );
        // Who hears of it when the task is gone cannot tell it from the death of its shim.
        const killed = { code: 137, signal: 9 };
        const unknown = { code: null, known: false };
        const expected = event.kind === 'exit' && event.exit.known ? killed : unknown;
        expect(event).toMatchObject({ exit: expected });
        await stop();
      },
    );

    test('a container whose task is gone says so, and can restart or be made anew', async () => {
      const id = await run({ kind: 'run', heedsTerm: true });
      await bench.loseTask(id);
      expect(await find(runtime, id)).toMatchObject({
        task: 'none',
        pid: null,
        labels: { a: '1' },
        exit: { code: null, known: false },
      });
      await runtime.kill(id, 9, { all: true });
      await expect(runtime.start(id)).rejects.toMatchObject({ reason: 'not-found' });
      await runtime.restart(id, null);
      await runtime.start(id);
      await bench.loseTask(id);
      await create({ kind: 'run', heedsTerm: true }, id);
      expect(await find(runtime, id)).toMatchObject({ task: 'created', exit: null });
      await runtime.remove(id);
    });

    test('a restart makes a new task of the same container', async () => {
      const id = await run({ kind: 'exit', code: 1, afterMs: 0 });
      await ended(id);
      const { pid } = await runtime.restart(id, null);
      expect(await find(runtime, id)).toMatchObject({ task: 'created', pid, labels: { a: '1' } });
      await runtime.start(id);
      expect((await ended(id)).exit).toMatchObject({ code: 1 });
      await runtime.restart(id, bench.spec(id, { kind: 'exit', code: 2, afterMs: 0 }));
      await runtime.start(id);
      expect((await ended(id)).exit).toMatchObject({ code: 2 });
      await runtime.remove(id);
    });

    test('a restart with a command that the image lacks leaves no task', async () => {
      const id = await run({ kind: 'run', heedsTerm: true });
      const again = runtime.restart(id, bench.spec(id, { kind: 'absent' }));
      await expect(again).rejects.toMatchObject({ reason: 'command-not-found', blame: 'version' });
      expect(await find(runtime, id)).toMatchObject({ task: 'none' });
      await runtime.remove(id);
    });

    test('restarting what is not there says so', async () => {
      await expect(runtime.restart('never-was', null)).rejects.toMatchObject({
        reason: 'not-found',
        consequence: 'stale',
        blame: 'platform',
      });
    });

    test('labels are replaced whole, while it runs', async () => {
      const id = await run({ kind: 'run', heedsTerm: true });
      await runtime.relabel(id, { b: '2', 'with/slash': 'x' });
      expect(await find(runtime, id)).toMatchObject({ task: 'running' });
      expect((await find(runtime, id))?.labels).toEqual({ b: '2', 'with/slash': 'x' });
      await runtime.remove(id);
    });

    test('what is not there cannot be started, relabelled or entered', async () => {
      const calls = [
        () => runtime.start('never-was'),
        () => runtime.relabel('never-was', {}),
        () => runtime.exec({ container: 'never-was', args: bench.hello, env: [], tty: null }),
      ];
      for (const call of calls)
        await expect(call()).rejects.toMatchObject({ reason: 'not-found', consequence: 'stale' });
    });

    test('a command that the image lacks is the version’s fault and leaves nothing', async () => {
      const id = `c-${(count += 1)}`;
      const attempt = create({ kind: 'absent' }, id).then(() => runtime.start(id));
      await expect(attempt).rejects.toMatchObject({
        kind: 'runtime-failure',
        reason: 'command-not-found',
        blame: 'version',
        consequence: 'broken',
      });
      await runtime.remove(id);
      expect(await find(runtime, id)).toBeUndefined();
    });

    test('a container of an image that is gone cannot be created', async () => {
      const id = `c-${(count += 1)}`;
      const gone = { ...image, name: 'x/y@z', chainId: `sha256:${'0'.repeat(64)}` };
      const spec = bench.spec(id, { kind: 'run', heedsTerm: true });
      const created = runtime.create({ id, labels: {}, image: gone, spec, logPath: null });
      await expect(created).rejects.toMatchObject({ reason: 'not-found', consequence: 'stale' });
      expect(await find(runtime, id)).toBeUndefined();
    });

    test('users are found by name and by number', async () => {
      const { name: user, uid, gid } = bench.user;
      expect(await runtime.resolveUser(image, user)).toMatchObject({ uid, gid });
      expect(await runtime.resolveUser(image, '12:34')).toEqual({
        uid: 12,
        gid: 34,
        additionalGids: [],
      });
      expect(await runtime.resolveUser(image, '')).toMatchObject({ uid: 0, gid: 0 });
      await expect(runtime.resolveUser(image, 'nobody-here')).rejects.toMatchObject({
        reason: 'bad-spec',
        blame: 'version',
      });
    });

    test('a process can be run in a container', async () => {
      const id = await run({ kind: 'run', heedsTerm: true });
      const session = await runtime.exec({ container: id, args: bench.hello, env: [], tty: null });
      let text = '';
      for await (const { data } of session.output) text += Buffer.from(data).toString();
      expect(text.trim()).toBe('hello');
      expect(await session.exit).toMatchObject({ code: 3, known: true });
      expect(await find(runtime, id)).toMatchObject({ task: 'running' });
      const absent = runtime.exec({ container: id, args: ['no-such'], env: [], tty: null });
      await expect(absent).rejects.toMatchObject({ reason: 'command-not-found' });
      await runtime.kill(id, 9, { all: true });
      await ended(id);
      const late = runtime.exec({ container: id, args: bench.hello, env: [], tty: null });
      await expect(late).rejects.toMatchObject({ reason: 'other', consequence: 'retry' });
      await runtime.remove(id);
    });

    test('a removed image is no longer listed; removing it again is fine', async () => {
      await runtime.removeImage(image.name);
      expect(await runtime.images()).not.toContainEqual(image);
      await runtime.removeImage(image.name);
      expect(await runtime.pull(bench.image, {})).toEqual(image);
    });
  });
};
