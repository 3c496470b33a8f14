// Text of others made fit to be shown: what cutting it may not do, and what reaches a terminal.

import { describe, expect, it } from 'vitest';
import { forTerminal, jsonForTerminal, shortened } from '../../../schema/plain.ts';

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

describe('for a terminal', () => {
  const ESC = '\u001B';
  it.each([
    ['moves of the cursor', `a${ESC}[2J${ESC}[1;1Hb`, 'ab'],
    ['a title of the window', `a${ESC}]0;owned\u0007b`, 'ab'],
    ['a link to elsewhere', `a${ESC}]8;;http://x${ESC}\\b`, 'ab'],
    ['codes of one byte', 'a\u009B2Jb', 'a2Jb'],
    ['text turned round', 'a\u202Etxt.exe\u2066b', 'atxt.exeb'],
    ['what is not seen', 'a\u200Bb\u00ADc\uFEFF', 'abc'],
    ['what overwrites', 'bad\rgood\b\b\b\bmore', 'badgoodmore'],
    ['concealed, inverse, black', `${ESC}[8ma${ESC}[7mb${ESC}[30mc${ESC}[1;8md`, 'abcd'],
    ['a colour within a title', `a${ESC}]0;x${ESC}[31my\u0007b`, `a${ESC}[31myb`],
  ])('%s', (_what, text, shown) => {
    expect(forTerminal(text)).toBe(shown);
  });

  it('lines, columns and colours stay', () => {
    const text = `${ESC}[1mjob${ESC}[22m\tstate\n${ESC}[1;31mfailed${ESC}[0m \u{1F600} é${ESC}[m`;
    expect(forTerminal(text)).toBe(text);
  });

  it('JSON says the same', () => {
    const value = { text: `a${ESC}[2J\u202E\u200D\u009B\u2028\u{E0001}\n` };
    const shown = jsonForTerminal(JSON.stringify(value, null, 2));
    expect(JSON.parse(shown)).toEqual(value);
    expect(shown).toMatch(/^[ -~\n]*$/);
  });
});
