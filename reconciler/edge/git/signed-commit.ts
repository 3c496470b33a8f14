// A commit's signature and what it was made over, from the commit's bytes.
// In: the bytes of a commit. Out: signature and payload, byte for byte as git signed it; or the
// commit with a signature put in. Written anew because the libraries' own splitting knows PGP only.
// Not here: whether the signature is good (sshsig, openpgp).

export interface SignedCommit {
  /** Armored text; null: there is none. */
  readonly signature: string | null;
  /** The commit without it. */
  readonly payload: Buffer;
  /** More than one: nobody can say which counts. */
  readonly signatures: number;
  /** Seconds since 1970, as the committer wrote them. */
  readonly committedAt: number;
}

const NEWLINE = 10;
const SPACE = 32;

export const splitCommit = (data: Buffer): SignedCommit => {
  const kept: Buffer[] = [];
  const signature: Buffer[] = [];
  let signatures = 0;
  let committedAt = 0;
  let isSignature = false;
  let at = 0;
  while (at < data.length && data[at] !== NEWLINE) {
    const end = data.indexOf(NEWLINE, at);
    const next = end < 0 ? data.length : end + 1;
    const line = data.subarray(at, next);
    const continues = line[0] === SPACE;
    if (!continues) {
      const name = line.toString('latin1', 0, Math.max(0, line.indexOf(SPACE)));
      isSignature = name.startsWith('gpgsig');
      if (isSignature) signatures += 1;
      if (name === 'committer') committedAt = secondsIn(line.toString('utf8'));
    }
    if (!isSignature) kept.push(line);
    else signature.push(continues ? line.subarray(1) : line.subarray(line.indexOf(SPACE) + 1));
    at = next;
  }
  return {
    signature: signatures === 0 ? null : Buffer.concat(signature).toString('latin1'),
    payload: Buffer.concat([...kept, data.subarray(at)]),
    signatures,
    committedAt,
  };
};

const secondsIn = (line: string): number =>
  Number(/> (-?\d{1,15}) [+-]\d+\n?$/.exec(line)?.[1] ?? 0);

/** The commit with the signature as git stores it: a header before the message. */
export const withSignature = (payload: Buffer, armored: string): Buffer => {
  const split = payload.indexOf('\n\n');
  const header = `gpgsig ${armored.trimEnd().replaceAll('\n', '\n ')}\n`;
  return Buffer.concat([
    payload.subarray(0, split + 1),
    Buffer.from(header),
    payload.subarray(split + 1),
  ]);
};
