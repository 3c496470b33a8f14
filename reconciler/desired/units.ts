// Units of fields that the schema has already checked: the text must be one.
// In: text from a checked document. Out: the number. Not here: the units themselves
// (schema/units.ts).
// A text that is none is a bug of ours, not a user's mistake: the schema refuses it first.

import { parseCpu, parseDuration, parseSize } from '../../schema/units.ts';

/** Milliseconds. */
export const durationMs = (text: string): number => checked(parseDuration(text), text);
/** Bytes. */
export const sizeBytes = (text: string): number => checked(parseSize(text), text);
/** Thousandths of a core. */
export const cpuMilli = (text: string): number => checked(parseCpu(text), text);

const checked = (value: number | null, text: string): number => {
  if (value === null) throw new Error(`"${text}" passed the schema but is no value of its unit`);
  return value;
};
