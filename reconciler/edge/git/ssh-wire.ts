// SSH's wire format, as far as keys and signatures need it: texts with their length in front.
// In: bytes. Out: their parts; null as soon as something does not fit. Not here: what they mean.

export interface WireReader {
  readonly bytes: () => Buffer;
  readonly text: () => string;
  readonly uint32: () => number;
  readonly byte: () => number;
  readonly isAtEnd: () => boolean;
}

/** A text that is cut short, or goes on. */
export class WireError extends Error {}

/** Its readers throw WireError. */
export const wireReader = (data: Buffer): WireReader => {
  let at = 0;
  const take = (length: number): Buffer => {
    if (at + length > data.length) throw new WireError('it is cut short');
    at += length;
    return data.subarray(at - length, at);
  };
  const uint32 = () => take(4).readUInt32BE();
  const bytes = () => take(uint32());
  return {
    bytes,
    text: () => bytes().toString('latin1'),
    uint32,
    byte: () => take(1).readUInt8(),
    isAtEnd: () => at === data.length,
  };
};

/** A text with its length in front. */
export const wireBytes = (value: Buffer | string): Buffer => {
  const data = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  return Buffer.concat([length, data]);
};
