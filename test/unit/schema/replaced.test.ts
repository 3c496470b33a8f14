import { describe, expect, it } from 'vitest';
import { differingIn, replacedIn, withReplaced } from '../../../schema/replaced.ts';

describe('lists with some values replaced', () => {
  const list = ['a', 'b', 'c'];

  it('read as the list does, but for the values that were replaced', () => {
    const made = withReplaced(list, new Map([[1, 'x']]));
    expect(made).toEqual(['a', 'x', 'c']);
    expect(list).toEqual(['a', 'b', 'c']);
    expect(replacedIn(list, made)).toEqual([1]);
  });

  it('are the list itself where nothing is', () => {
    expect(withReplaced(list, new Map())).toBe(list);
    expect(replacedIn(list, list)).toEqual([]);
  });

  it('say nothing of a list that they were not made of', () => {
    const made = withReplaced(list, new Map([[0, 'x']]));
    const further = withReplaced(made, new Map([[2, 'y']]));
    expect(replacedIn(made, further)).toEqual([2]);
    expect(replacedIn(list, further)).toBeNull();
    expect(replacedIn(further, made)).toBeNull();
    expect(replacedIn([...list], made)).toBeNull();
    expect(replacedIn(list, [...made])).toBeNull();
  });
});

describe('where two lists differ', () => {
  const list = ['a', 'b', 'c', 'd'];
  const rows: readonly [string, readonly string[], readonly string[], readonly string[]][] = [
    ['nothing, of the same list', list, [], []],
    ['nothing, of an equal one', [...list], [], []],
    [
      'what is known to be replaced',
      withReplaced(
        list,
        new Map([
          [3, 'x'],
          [1, 'y'],
        ]),
      ),
      ['d', 'b'],
      ['x', 'y'],
    ],
    ['one that came', ['a', 'b', 'x', 'c', 'd'], [], ['x']],
    ['one that went', ['a', 'c', 'd'], ['b'], []],
    ['one that came again', ['a', 'a', 'b', 'c', 'd'], [], ['a']],
    ['all between two that changed', ['x', 'b', 'y', 'd'], ['a', 'b', 'c'], ['x', 'b', 'y']],
    ['all', [], list, []],
  ];
  it.each(rows)('%s', (_, now, old, news) => {
    expect(differingIn(list, now)).toEqual({ old, news });
  });
});
