// SSH signatures (PROTOCOL.sshsig of OpenSSH), made and checked with node:crypto.
// In: a signature as armored text, and what it is to be over. Out: the key that made it, or why it
// is none. Ed25519, RSA with SHA-2, ECDSA, and both kinds of keys that live in a security token.
// Not here: whose key it is (schema/acceptance.ts), keys in files (signing-key).

import { createHash, createPublicKey, sign as signBytes, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { SignatureFact } from '../../../schema/acceptance.ts';
import { messageOf } from './failure.ts';
import type { WireReader } from './ssh-wire.ts';
import { WireError, wireBytes, wireReader } from './ssh-wire.ts';

const BEGIN = '-----BEGIN SSH SIGNATURE-----';
const END = '-----END SSH SIGNATURE-----';
const MAGIC = Buffer.from('SSHSIG');
const VERSION = 1;
/** Shorter RSA keys are within reach of those who factor numbers. */
const RSA_BITS = 2048;
/** Git's signatures are made for this purpose; one made for another is no signature of a commit. */
export const GIT_NAMESPACE = 'git';

export const isSshSignature = (armored: string): boolean => armored.startsWith(BEGIN);

export const checkSshSignature = (armored: string, payload: Buffer): SignatureFact => {
  let key: string | null = null;
  try {
    const read = readSignature(armored);
    key = fingerprintOf(read.key);
    if (read.namespace !== GIT_NAMESPACE) {
      return { kind: 'bad', why: 'namespace', key, detail: read.namespace };
    }
    const isGood = isMadeBy(read, signedBytes(read, payload));
    return isGood
      ? { kind: 'ssh', key: read.key.toString('base64'), fingerprint: key }
      : { kind: 'bad', why: 'mismatch', key, detail: null };
  } catch (error) {
    return { kind: 'bad', why: 'unreadable', key, detail: messageOf(error) };
  }
};

/** `SHA256:…`, as ssh-keygen shows it. */
export const fingerprintOf = (key: Buffer): string =>
  `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;

interface ReadSignature {
  readonly key: Buffer;
  readonly namespace: string;
  readonly hash: 'sha256' | 'sha512';
  readonly signature: Buffer;
}

/** Throws WireError. */
const readSignature = (armored: string): ReadSignature => {
  const text = armored.trim();
  if (!text.startsWith(BEGIN) || !text.endsWith(END)) throw new WireError('it has no end');
  const reader = wireReader(Buffer.from(text.slice(BEGIN.length, -END.length), 'base64'));
  for (const byte of MAGIC) if (reader.byte() !== byte) throw new WireError('it is none of SSH');
  const version = reader.uint32();
  if (version !== VERSION) throw new WireError(`it is of version ${version}`);
  const [key, namespace] = [reader.bytes(), reader.text()];
  reader.bytes(); // reserved: it is not looked at, and must be empty to be signed over below
  const hash = reader.text();
  const signature = reader.bytes();
  if (!reader.isAtEnd()) throw new WireError('something follows it');
  if (hash !== 'sha256' && hash !== 'sha512') throw new WireError(`it hashes with ${hash}`);
  return { key, namespace, hash, signature };
};

/** What is really signed: the purpose and the hash of the message. */
const signedBytes = (
  { namespace, hash }: Pick<ReadSignature, 'namespace' | 'hash'>,
  payload: Buffer,
): Buffer =>
  Buffer.concat([
    MAGIC,
    wireBytes(namespace),
    wireBytes(''),
    wireBytes(hash),
    wireBytes(createHash(hash).update(payload).digest()),
  ]);

/** Throws WireError. */
const isMadeBy = ({ key, signature }: ReadSignature, data: Buffer): boolean => {
  const keyReader = wireReader(key);
  const type = keyReader.text();
  const outer = wireReader(signature);
  const algorithm = outer.text();
  const blob = outer.bytes();
  const check = ALGORITHMS[algorithm];
  if (check === undefined || check.type !== type) {
    throw new WireError(`it is of type ${algorithm} with a key of type ${type}`);
  }
  const token = check.isToken ? { flags: outer.byte(), counter: outer.uint32() } : null;
  if (!outer.isAtEnd()) throw new WireError('something follows it');
  const checker = check.read(keyReader);
  const message = token === null ? data : tokenBytes(keyReader.text(), token, data);
  if (!keyReader.isAtEnd()) throw new WireError('something follows its key');
  return checker(message, blob);
};

/** A security token signs the application, its flags and a counter with the message. */
const tokenBytes = (
  application: string,
  { flags, counter }: { readonly flags: number; readonly counter: number },
  data: Buffer,
): Buffer => {
  const middle = Buffer.alloc(5);
  middle.writeUInt8(flags, 0);
  middle.writeUInt32BE(counter, 1);
  const sha256 = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest();
  return Buffer.concat([sha256(Buffer.from(application, 'latin1')), middle, sha256(data)]);
};

type Checker = (message: Buffer, signature: Buffer) => boolean;

interface Algorithm {
  /** Of the key. */
  readonly type: string;
  readonly isToken: boolean;
  readonly read: (key: WireReader) => Checker;
}

const ed25519 = (key: WireReader): Checker => {
  const x = key.bytes();
  if (x.length !== 32) throw new WireError('its key has the wrong length');
  const object = createPublicKey({
    format: 'jwk',
    key: { kty: 'OKP', crv: 'Ed25519', x: x.toString('base64url') },
  });
  return (message, signature) => verify(null, message, object, signature);
};

const rsa =
  (hash: 'sha256' | 'sha512') =>
  (key: WireReader): Checker => {
    const [e, n] = [unsigned(key.bytes()), unsigned(key.bytes())];
    if (n.length * 8 < RSA_BITS)
      throw new WireError(`its RSA key is shorter than ${RSA_BITS} bits`);
    const object = createPublicKey({
      format: 'jwk',
      key: { kty: 'RSA', e: e.toString('base64url'), n: n.toString('base64url') },
    });
    return (message, signature) =>
      signature.length <= n.length && verify(hash, message, object, padded(signature, n.length));
  };

const CURVES = {
  nistp256: { crv: 'P-256', hash: 'sha256', bytes: 32 },
  nistp384: { crv: 'P-384', hash: 'sha384', bytes: 48 },
  nistp521: { crv: 'P-521', hash: 'sha512', bytes: 66 },
} as const;

const ecdsa =
  (name: keyof typeof CURVES) =>
  (key: WireReader): Checker => {
    const { crv, hash, bytes } = CURVES[name];
    if (key.text() !== name) throw new WireError('its key is of another curve');
    const point = key.bytes();
    if (point.length !== 1 + 2 * bytes || point[0] !== UNCOMPRESSED) {
      throw new WireError('its key is no point of the curve');
    }
    const [x, y] = [point.subarray(1, 1 + bytes), point.subarray(1 + bytes)];
    const object: KeyObject = createPublicKey({
      format: 'jwk',
      key: { kty: 'EC', crv, x: x.toString('base64url'), y: y.toString('base64url') },
    });
    return (message, signature) => {
      const reader = wireReader(signature);
      const [r, s] = [unsigned(reader.bytes()), unsigned(reader.bytes())];
      if (!reader.isAtEnd() || r.length > bytes || s.length > bytes) return false;
      const both = Buffer.concat([padded(r, bytes), padded(s, bytes)]);
      return verify(hash, message, { key: object, dsaEncoding: 'ieee-p1363' }, both);
    };
  };

const UNCOMPRESSED = 4;

const ALGORITHMS: Readonly<Record<string, Algorithm | undefined>> = {
  'ssh-ed25519': { type: 'ssh-ed25519', isToken: false, read: ed25519 },
  'rsa-sha2-256': { type: 'ssh-rsa', isToken: false, read: rsa('sha256') },
  'rsa-sha2-512': { type: 'ssh-rsa', isToken: false, read: rsa('sha512') },
  ...Object.fromEntries(
    (['nistp256', 'nistp384', 'nistp521'] as const).map((name) => {
      const type = `ecdsa-sha2-${name}`;
      return [type, { type, isToken: false, read: ecdsa(name) }];
    }),
  ),
  'sk-ssh-ed25519@openssh.com': {
    type: 'sk-ssh-ed25519@openssh.com',
    isToken: true,
    read: ed25519,
  },
  'sk-ecdsa-sha2-nistp256@openssh.com': {
    type: 'sk-ecdsa-sha2-nistp256@openssh.com',
    isToken: true,
    read: ecdsa('nistp256'),
  },
};

/** Numbers are written with a zero in front where they would look negative. */
const unsigned = (number: Buffer): Buffer => {
  let from = 0;
  while (from < number.length - 1 && number[from] === 0) from += 1;
  return number.subarray(from);
};

const padded = (number: Buffer, length: number): Buffer =>
  Buffer.concat([Buffer.alloc(Math.max(0, length - number.length)), number]);

/** A key that signs: Ed25519. */
export interface SigningKey {
  readonly privateKey: KeyObject;
  /** The public key as it goes over the wire. */
  readonly publicKey: Buffer;
}

/** ssh-keygen breaks lines there. */
const ARMOR_COLUMNS = 70;

/** The armored signature of a commit's bytes. */
export const sshSign = ({ privateKey, publicKey }: SigningKey, payload: Buffer): string => {
  const hash = 'sha512';
  const made = signBytes(
    null,
    signedBytes({ namespace: GIT_NAMESPACE, hash }, payload),
    privateKey,
  );
  const version = Buffer.alloc(4);
  version.writeUInt32BE(VERSION);
  const blob = Buffer.concat([
    MAGIC,
    version,
    wireBytes(publicKey),
    wireBytes(GIT_NAMESPACE),
    wireBytes(''),
    wireBytes(hash),
    wireBytes(Buffer.concat([wireBytes('ssh-ed25519'), wireBytes(made)])),
  ]).toString('base64');
  const lines = blob.match(new RegExp(`.{1,${ARMOR_COLUMNS}}`, 'g')) ?? [];
  return [BEGIN, ...lines, END, ''].join('\n');
};
