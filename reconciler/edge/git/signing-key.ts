// Purser's own key: a file in OpenSSH's format, readable by its owner only.
// In: its path. Out: the key that signs, and the line that lists it among the signers. Made where
// there is none. Ed25519 without a passphrase only: nobody is there to type one. Not here: signing
// (sshsig).

import { createPrivateKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { PURSER_ROLE } from '../../../schema/signers.ts';
import { broken, codeOf, messageOf } from './failure.ts';
import type { SigningKey } from './sshsig.ts';
import { wireBytes, wireReader } from './ssh-wire.ts';

const TYPE = 'ssh-ed25519';
const MAGIC = 'openssh-key-v1\0';
const BEGIN = '-----BEGIN OPENSSH PRIVATE KEY-----';
const END = '-----END OPENSSH PRIVATE KEY-----';
/** Such a key has some 400 bytes. */
const KEY_BYTES = 16 * 1024;
/** PKCS #8 of an Ed25519 key, up to the 32 bytes of the key itself. */
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex');
const SEED_BYTES = 32;
/** Bits of a mode that let others in. */
const OTHERS = 0o077;

/** Reads the key; makes it first where there is no file. Throws GitFailure. */
export const openSigningKey = (file: string, make: boolean): SigningKey => {
  if (make && !fs.existsSync(file)) makeKey(file);
  return readKey(file);
};

/** `purser namespaces="git" ssh-ed25519 AAAA…`: the line of signers/allowed_signers. */
export const allowedSignerLine = ({ publicKey }: Pick<SigningKey, 'publicKey'>): string =>
  `${PURSER_ROLE} namespaces="git" ${TYPE} ${publicKey.toString('base64')}`;

const readKey = (file: string): SigningKey => {
  const how = "make one with: ssh-keygen -t ed25519 -N '' -f FILE";
  let text: string;
  try {
    const { mode, size } = fs.statSync(file);
    if ((mode & OTHERS) !== 0) {
      throw broken(`the signing key ${file} can be read by others: chmod 600 ${file}`);
    }
    if (size > KEY_BYTES) throw broken(`${file} is no signing key: it has ${size} bytes; ${how}`);
    text = fs.readFileSync(file, 'latin1');
  } catch (error) {
    if (codeOf(error) === null) throw error;
    throw broken(`the signing key ${file} cannot be read: ${messageOf(error)}; ${how}`);
  }
  try {
    return parseKey(text);
  } catch (error) {
    throw broken(`${file} is no signing key of Purser: ${messageOf(error)}; ${how}`);
  }
};

/** Throws Error. */
const parseKey = (text: string): SigningKey => {
  const trimmed = text.trim();
  if (!trimmed.startsWith(BEGIN) || !trimmed.endsWith(END)) {
    throw new Error("it is not in OpenSSH's format");
  }
  const data = Buffer.from(trimmed.slice(BEGIN.length, -END.length), 'base64');
  if (data.toString('latin1', 0, MAGIC.length) !== MAGIC)
    throw new Error('it does not begin as one');
  const reader = wireReader(data.subarray(MAGIC.length));
  const cipher = reader.text();
  if (cipher !== 'none') throw new Error('it has a passphrase, which nobody is there to type');
  reader.bytes(); // derivation of a passphrase, and its options
  reader.bytes();
  const count = reader.uint32();
  if (count !== 1) throw new Error(`it holds ${count} keys`);
  const publicKey = reader.bytes();
  const secret = wireReader(reader.bytes());
  secret.uint32();
  secret.uint32();
  const type = secret.text();
  if (type !== TYPE) throw new Error(`it is of type ${type}, not ${TYPE}`);
  secret.bytes();
  const seed = secret.bytes().subarray(0, SEED_BYTES);
  const der = Buffer.concat([PKCS8_HEAD, seed]);
  return { publicKey, privateKey: createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }) };
};

/** Never over a file that is there: two that start at once must not end with two keys. */
const makeKey = (file: string): void => {
  const scratch = `${file}.${process.pid}.tmp`;
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.rmSync(scratch, { force: true });
  fs.writeFileSync(scratch, newKey(), { mode: 0o600, flag: 'wx', flush: true });
  try {
    fs.linkSync(scratch, file);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  } finally {
    fs.rmSync(scratch, { force: true });
  }
};

const ARMOR_COLUMNS = 70;
const BLOCK_BYTES = 8;

const newKey = (): string => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const seed = Buffer.from(privateKey.export({ format: 'jwk' }).d ?? '', 'base64url');
  const point = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url');
  const wired = Buffer.concat([wireBytes(TYPE), wireBytes(point)]);
  const check = randomBytes(4);
  const secret = Buffer.concat([
    check,
    check,
    wired,
    wireBytes(Buffer.concat([seed, point])),
    wireBytes('purser'),
  ]);
  const rest = (BLOCK_BYTES - (secret.length % BLOCK_BYTES)) % BLOCK_BYTES;
  const padding = Buffer.from(Array.from({ length: rest }, (_, at) => at + 1));
  const data = Buffer.concat([
    Buffer.from(MAGIC, 'latin1'),
    wireBytes('none'),
    wireBytes('none'),
    wireBytes(''),
    Buffer.from([0, 0, 0, 1]),
    wireBytes(wired),
    wireBytes(Buffer.concat([secret, padding])),
  ]).toString('base64');
  const lines = data.match(new RegExp(`.{1,${ARMOR_COLUMNS}}`, 'g')) ?? [];
  return [BEGIN, ...lines, END, ''].join('\n');
};
