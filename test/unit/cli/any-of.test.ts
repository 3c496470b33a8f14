// Several reconcilers, any of which will do: what is asked goes on with the next one.

import { expect, test } from 'vitest';
import { connectAny } from '../../../cli/any-of.ts';
import { CommandError, NoReconcilerError } from '../../../cli/command-error.ts';
import { commonOf } from '../../../cli/command.ts';
import type { Control } from '../../../cli/dial.ts';

const never = new AbortController().signal;

/** Reconcilers by name, of which some are away; `asked` says who was asked what. */
const world = (names: readonly string[]) => {
  const away = new Set<string>();
  const asked: string[] = [];
  const gone = (name: string) => new NoReconcilerError(`no reconciler answers at ${name}`);
  const dial = async (name: string): Promise<Control> => {
    if (away.has(name)) throw gone(name);
    const answer = (method: string): string => {
      asked.push(`${name} ${method}`);
      if (away.has(name)) throw gone(name);
      if (method === 'refused') throw new CommandError(`${name} says no`);
      return name;
    };
    const fake: Pick<Control, 'call' | 'watch' | 'close'> = {
      call: async <Answer>(method: string) => answer(method) as Answer,
      watch: async function* watch<Answer>(method: string) {
        for (let turn = 0; ; turn += 1) yield `${answer(method)} ${turn}` as Answer;
      },
      close: () => asked.push(`${name} closed`),
    };
    return fake as Control;
  };
  return { away, asked, open: () => connectAny(names, dial) };
};

test('the first that answers is asked, and asked on', async () => {
  const { away, asked, open } = world(['a', 'b', 'c']);
  away.add('a');
  const control = await open();
  expect([await control.call('state'), await control.call('file')]).toEqual(['b', 'b']);
  expect(asked).toEqual(['b state', 'b file']);
});

test('one that goes away is left for the next; what it refuses is said', async () => {
  const { away, asked, open } = world(['a', 'b']);
  const control = await open();
  away.add('a');
  expect(await control.call('state')).toBe('b');
  expect(asked).toEqual(['a state', 'a closed', 'b state']);
  await expect(control.call('refused')).rejects.toThrow('b says no');
  expect(asked.at(-1)).toBe('b refused');
});

test('what changes something is not asked twice, and what to do is said', async () => {
  const { away, asked, open } = world(['a', 'b']);
  const control = await open();
  away.add('a');
  await expect(control.call('commit')).rejects.toThrow(/answers at a; it may have been done: look/);
  expect(asked).toEqual(['a commit', 'a closed']);
  expect(await control.call('commit')).toBe('b');
});

test('none that answers: all are named, once', async () => {
  const { away, open } = world(['a', 'b']);
  const control = await open();
  away.add('a').add('b');
  await expect(open()).rejects.toThrow('no reconciler answers at a; no reconciler answers at b');
  await expect(control.call('state')).rejects.toThrow(NoReconcilerError);
});

test('a watch goes on with the next one', async () => {
  const { away, open } = world(['a', 'b']);
  const control = await open();
  const seen: string[] = [];
  for await (const answer of control.watch<string>('state', never)) {
    seen.push(answer);
    if (answer === 'a 1') away.add('a');
    if (answer === 'b 1') break;
  }
  expect(seen).toEqual(['a 0', 'a 1', 'b 0', 'b 1']);
});

test('addresses with commas between', () => {
  expect(commonOf({ reconciler: '10.0.0.1, r2.example:7000,[::1]' }).socket).toBe(
    'tls:10.0.0.1:7420,r2.example:7000,[::1]:7420',
  );
});
