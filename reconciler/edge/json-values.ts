// How much a text of JSON becomes in memory, before it is read: `[{},{},…]` of 256 MB becomes 5 GB,
// and would end the process. In: bytes. Out: whether they hold too many values. Texts inside are
// skipped: they are no larger in memory than here. Not here: whether it is JSON.

/** The largest report that there can be has some four million; these are some 1 GB. */
const VALUES = 16_000_000;
/** Smaller ones cannot hold so many: each takes two bytes. */
const LOOKED_AT_BYTES = VALUES;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** `,` `:` `[` `{`: a value stands after each. */
const BEFORE_VALUES = new Set([0x2c, 0x3a, 0x5b, 0x7b]);

export const hasTooManyValues = (bytes: Uint8Array, most = VALUES): boolean => {
  if (bytes.length <= Math.min(LOOKED_AT_BYTES, most)) return false;
  let values = 0;
  let isText = false;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte === BACKSLASH && isText) at += 1;
    else if (byte === QUOTE) isText = !isText;
    else if (!isText && BEFORE_VALUES.has(byte)) values += 1;
    if (values > most) return true;
  }
  return false;
};

/** undefined when it is no JSON, or far too much of it. */
export const parseJson = (bytes: Uint8Array): unknown =>
  hasTooManyValues(bytes)
    ? undefined
    : // A view of the same bytes, not a copy.
      parseText(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8'));

/** undefined when it is no JSON; only of a text that cannot hold too many values. */
export const parseText = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};
