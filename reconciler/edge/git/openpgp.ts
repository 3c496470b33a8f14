// OpenPGP signatures, checked by a package that is loaded only where OpenPGP keys are listed.
// In: an armored signature, what it is to be over, the keys. Out: a fact. A date is the committer's
// word, so a key's own expiry counts at that date, or the judge's where that is later. Not here:
// whose key it is to be (schema/signers.ts).

import type { SignatureFact } from '../../../schema/acceptance.ts';
import type { OpenPgpSigner } from '../../../schema/signers.ts';
import { codeOf, messageOf } from './failure.ts';

const BEGIN = '-----BEGIN PGP SIGNATURE-----';

export const isOpenPgpSignature = (armored: string): boolean => armored.startsWith(BEGIN);

type Library = typeof import('openpgp');

/** null: not installed. It is optional, for it is large and of another licence. */
const load = async (): Promise<Library | null> => {
  try {
    return await import('openpgp');
  } catch (error) {
    if (codeOf(error) === 'ERR_MODULE_NOT_FOUND') return null;
    throw error;
  }
};

export interface OpenPgpAsk {
  readonly armored: string;
  readonly payload: Buffer;
  readonly signers: readonly OpenPgpSigner[];
  /** Seconds since 1970; keys must be valid then. */
  readonly at: number;
}

export const checkOpenPgp = async (ask: OpenPgpAsk): Promise<SignatureFact> => {
  // Without a key there is nothing to check it with, and nothing to load.
  if (ask.signers.length === 0) return bad('unknown-key', null, null);
  const library = await load();
  if (library === null) {
    const detail = 'the package openpgp is not installed here: run npm install in Purser’s folder';
    return bad('unreadable', null, detail);
  }
  try {
    return await check(library, ask);
  } catch (error) {
    return bad('unreadable', null, messageOf(error));
  }
};

const bad = (
  why: Extract<SignatureFact, { kind: 'bad' }>['why'],
  key: string | null,
  detail: string | null,
): SignatureFact => ({ kind: 'bad', why, key, detail });

const check = async (library: Library, ask: OpenPgpAsk): Promise<SignatureFact> => {
  const signature = await library.readSignature({ armoredSignature: ask.armored });
  const [packet] = signature.packets;
  if (packet === undefined || signature.packets.length !== 1) {
    return bad('unreadable', null, 'it is not one signature but several');
  }
  const id = packet.issuerKeyID.toHex().toUpperCase();
  const message = await library.createMessage({ binary: new Uint8Array(ask.payload) });
  const madeAt = Math.floor((packet.created?.getTime() ?? 0) / 1000);
  const date = new Date(Math.max(ask.at, madeAt) * 1000);
  const unread: string[] = [];
  for (const { principals, armored } of ask.signers) {
    const keys = await keysIn(library, armored);
    if (typeof keys === 'string') {
      unread.push(`signers/${principals}.asc cannot be read: ${keys}`);
      continue;
    }
    const listed = keys.filter((key) => key.getKeys(packet.issuerKeyID).length > 0);
    if (listed.length === 0) continue;
    const { signatures } = await library.verify({
      message,
      signature,
      verificationKeys: listed,
      date,
    });
    try {
      await signatures[0]?.verified;
      // The library asks only whether the key was good when the signature says it was made.
      for (const key of listed) await key.getSigningKey(packet.issuerKeyID, date);
      return { kind: 'openpgp', principals, key: id };
    } catch (error) {
      const detail = messageOf(error);
      if (/expired|not yet valid|revoked/i.test(detail)) return bad('expired', id, detail);
      return bad(/digest|invalid/i.test(detail) ? 'mismatch' : 'unreadable', id, detail);
    }
  }
  return bad('unknown-key', id, unread.length === 0 ? null : unread.join('; '));
};

/** Keys, or why a file holds none. */
type Keys = readonly import('openpgp').Key[] | string;

/** By text: a list is read once, however many commits it judges. */
const read = new Map<string, Promise<Keys>>();
/** Keys come and go with commits; more than these are not in use. */
const KEYS_REMEMBERED = 400;

const keysIn = (library: Library, armored: string): Promise<Keys> => {
  const known = read.get(armored);
  if (known !== undefined) return known;
  if (read.size >= KEYS_REMEMBERED) read.clear();
  const keys: Promise<Keys> = library.readKeys({ armoredKeys: armored }).catch(messageOf);
  read.set(armored, keys);
  return keys;
};
