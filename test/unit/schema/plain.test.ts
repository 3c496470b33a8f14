// Text of others made fit to be shown: what cutting it may not do.

import { describe, expect, it } from 'vitest';
import { shortened } from '../../../schema/plain.ts';

describe('a text that is too long', () => {
  it('is cut to so many characters, as forges and programs count them', () => {
    expect(shortened('abcdef', 6)).toBe('abcdef');
    expect(shortened('abcdefg', 6)).toBe('abcde…');
    expect(shortened('😀😀😀', 6)).toBe('😀😀😀');
    expect(shortened('abc', 1)).toBe('…');
  });

  it('is cut between characters, never in one', () => {
    for (let most = 1; most < 20; most += 1) {
      const cut = shortened('a😀b😀😀c😀😀😀', most);
      expect(cut.length).toBeLessThanOrEqual(most);
      expect(cut, 'half a character').not.toMatch(/\p{Cs}/u);
    }
  });
});
