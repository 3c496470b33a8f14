// A live view that redraws in place: on a screen of its own, lines written over, never cleared in
// between.
// In: texts. Out: escape codes. On the way out the terminal is as before, with the last view
// printed below the prompt.

import { forTerminal } from '../schema/plain.ts';
import type { Io } from './command.ts';
import { cut } from './table.ts';

export interface Screen {
  readonly draw: (text: string) => void;
  readonly close: () => void;
}

const ESC = '\u001B[';
const ENTER = `${ESC}?1049h${ESC}?25l`;
const LEAVE = `${ESC}?25h${ESC}?1049l`;
/** Terminals that know synchronized updates show the frame at once; the others ignore the codes. */
const BEGIN = `${ESC}?2026h${ESC}H`;
const END = `${ESC}J${ESC}?2026l`;

export const createScreen = (io: Pick<Io, 'out'>): Screen => {
  let last = '';
  const write = (codes: string) => void process.stdout.write(codes);
  const redraw = () => {
    const { columns, rows } = process.stdout;
    const lines = last.split('\n').slice(0, Math.max(1, rows - 1));
    const frame = lines.map((line) => `${cut(line, columns)}${ESC}K`).join('\r\n');
    write(BEGIN + frame + END);
  };
  write(ENTER);
  process.stdout.on('resize', redraw);
  return {
    draw: (text) => {
      last = forTerminal(text);
      redraw();
    },
    close: () => {
      process.stdout.off('resize', redraw);
      write(LEAVE);
      if (last !== '') io.out(last);
    },
  };
};
