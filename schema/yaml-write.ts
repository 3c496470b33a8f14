// Values written as YAML, in a line or as a block.
// In: JSON values. Out: text that schema/yaml.ts reads back as the same. Texts are written without
// quotes only where no reader of YAML 1.1 or 1.2 sees anything else in them. Not here: where the
// text goes (schema/yaml-splice.ts).

import type { Json } from './hash.ts';
import { resolvePlain } from './yaml.ts';

/** Longest list of plain items that is written in one line. */
const MAX_FLOW_LENGTH = 80;

/** Letters, digits and harmless signs; a colon only in the middle. */
const PLAIN = /^[A-Za-z0-9_/](?:[A-Za-z0-9_./@%+-]|:(?=[A-Za-z0-9_./@-]))*$/;
/** Booleans, times and numbers of YAML 1.1, which some editors still see. */
const OLD_SENSE = /^(?:y|n|yes|no|on|off)$|^[0-9].*[:_]|^0[box]|^[0-9.]+e/i;
/** Characters that JSON leaves as they are and YAML does not allow. */
// oxlint-disable-next-line no-control-regex -- these are what it is about
const UNPRINTABLE = /[\u007F-\u0084\u0086-\u009F\uFEFF\uFFFE\uFFFF]/g;

/** A text as a scalar: plain where that is safe, else in double quotes. */
export const writeText = (text: string): string => {
  if (PLAIN.test(text) && !OLD_SENSE.test(text) && resolvePlain(text) === text) return text;
  return JSON.stringify(text).replace(
    UNPRINTABLE,
    (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
};

/** A value in one line: `3`, `{min: 2, max: 20}`, `[a, b]`. */
export const writeInline = (value: Json): string => {
  if (typeof value === 'string') return writeText(value);
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (isList(value)) return `[${value.map(writeInline).join(', ')}]`;
  const entries = Object.entries(value).flatMap(([key, member]) =>
    member === undefined ? [] : [`${writeText(key)}: ${writeInline(member)}`],
  );
  return `{${entries.join(', ')}}`;
};

/**
 * Lines of a collection, each without the indentation of the whole. Only for collections that are
 * not empty.
 */
export const writeBlock = (value: Json): readonly string[] => {
  if (!isCollection(value)) return [writeInline(value)];
  if (isList(value)) {
    return value.flatMap((item) => {
      const [first = '', ...rest] = isFlat(item) ? [writeInline(item)] : writeBlock(item);
      return [`- ${first}`, ...rest.map((line) => `  ${line}`)];
    });
  }
  return Object.entries(value).flatMap(([key, member]) =>
    member === undefined ? [] : writeEntry(key, member),
  );
};

/** Lines of one entry of a block map. */
export const writeEntry = (key: string, value: Json): readonly string[] =>
  isFlat(value)
    ? [`${writeText(key)}: ${writeInline(value)}`]
    : [`${writeText(key)}:`, ...writeBlock(value).map((line) => `  ${line}`)];

/** A map or list with something in it. */
export const isCollection = (
  value: Json,
): value is readonly Json[] | { readonly [key: string]: Json | undefined } =>
  value !== null && typeof value === 'object' && Object.keys(value).length > 0;

/** Scalars, empty collections and short lists of scalars stand in one line. */
const isFlat = (value: Json): boolean =>
  !isCollection(value) ||
  (isList(value) &&
    value.every((item) => !isCollection(item)) &&
    writeInline(value).length <= MAX_FLOW_LENGTH);

const isList = (value: Json): value is readonly Json[] => Array.isArray(value);
