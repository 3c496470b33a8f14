import { describe, expect, it } from 'vitest';
import { replacedIn, withReplaced } from '../../../schema/replaced.ts';

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
