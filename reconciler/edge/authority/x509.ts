// Certificates of the cluster's own authority: ECDSA P-256, signed with SHA-256.
// In: keys, names, times. Out: PEM. The authority may sign nothing but leaves; a reconciler's leaf
// serves, a node's leaf dials, so neither can pass for the other. Not here: where keys lie, who may
// have a certificate (authority.ts, membership.ts).

// What the library below needs to be there when it is loaded.
import 'reflect-metadata';
import {
  BasicConstraintsExtension,
  cryptoProvider,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  Pkcs10CertificateRequest,
  PublicKey,
  SubjectAlternativeNameExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { randomBytes, webcrypto } from 'node:crypto';
import { KEY_ALGORITHM, RECONCILER_HOST } from '../../../schema/identity.ts';

/** PEM, both. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

/** What a certificate is for, and whose it is. */
interface Bearer {
  readonly kind: 'reconciler' | 'node';
  readonly id: string;
}

export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/** RFC 5280 wants at most 20 bytes, and unpredictable ones are good practice. */
const SERIAL_BYTES = 16;
/** Two authorities of one cluster, before and after a lost disk, are not to be mixed up. */
const NAME_BYTES = 8;

cryptoProvider.set(webcrypto);

/** An authority of its own: a key, and its certificate signed by itself. */
export const makeAuthority = async (
  cluster: string,
  span: Span,
  name = `Purser ${cluster} ${randomBytes(NAME_BYTES).toString('hex')}`,
): Promise<KeyPair> => {
  const keys = await webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: [{ CN: [name] }],
    notBefore: new Date(span.fromMs),
    notAfter: new Date(span.toMs),
    signingAlgorithm: KEY_ALGORITHM,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    ],
  });
  return { certificate: certificate.toString('pem'), key: await pemOf(keys.privateKey) };
};

/** A key that never leaves this process, and its certificate: of a reconciler that serves. */
export const makeServer = async (authority: KeyPair, id: string, span: Span): Promise<KeyPair> => {
  const keys = await webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ['sign', 'verify']);
  const publicKey = await PublicKey.create(keys.publicKey);
  const certificate = await signLeaf(authority, publicKey, { ...span, kind: 'reconciler', id });
  return { certificate, key: await pemOf(keys.privateKey) };
};

/** The same of a reconciler that calls another one: it can serve nobody. */
export const makePeer = async (authority: KeyPair, id: string, span: Span): Promise<KeyPair> => {
  const keys = await webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ['sign', 'verify']);
  const publicKey = await PublicKey.create(keys.publicKey);
  const certificate = await signLeaf(authority, publicKey, { ...span, kind: 'node', id });
  return { certificate, key: await pemOf(keys.privateKey) };
};

/** `refused`: for people, why the request is not signed. */
export type Signed =
  | { readonly kind: 'signed'; readonly certificate: string }
  | { readonly kind: 'refused'; readonly why: string };

/** Longest request in bytes; such a one has some 450. */
const REQUEST_BYTES = 8 * 1024;

/**
 * The certificate of a node for the key of its request. Of the request nothing counts but the key:
 * names in it are the asker's own words.
 */
export const signNode = async (
  authority: KeyPair,
  request: string,
  about: Span & { readonly id: string },
): Promise<Signed> => {
  const publicKey = await keyOf(request);
  if (publicKey === null) {
    return { kind: 'refused', why: 'the request holds no ECDSA P-256 key that signed it' };
  }
  return {
    kind: 'signed',
    certificate: await signLeaf(authority, publicKey, { ...about, kind: 'node' }),
  };
};

/** The same key gives the same text, whatever else a request says; null: it is no good request. */
export const requestKey = async (request: string): Promise<string | null> =>
  (await keyOf(request))?.toString('base64') ?? null;

const keyOf = async (request: string): Promise<PublicKey | null> => {
  if (request.length > REQUEST_BYTES) return null;
  try {
    const parsed = new Pkcs10CertificateRequest(request);
    const { name, namedCurve } = { namedCurve: '', ...parsed.publicKey.algorithm };
    if (name !== KEY_ALGORITHM.name || namedCurve !== KEY_ALGORITHM.namedCurve) return null;
    return (await parsed.verify()) ? parsed.publicKey : null;
  } catch {
    return null; // bytes of a stranger, which are no request
  }
};

const signLeaf = async (
  authority: KeyPair,
  publicKey: PublicKey,
  { id, kind, fromMs, toMs }: Bearer & Span,
): Promise<string> => {
  const issuer = new X509Certificate(authority.certificate);
  const serves = kind === 'reconciler';
  const names = [
    { type: 'url' as const, value: id },
    ...(serves ? [{ type: 'dns' as const, value: RECONCILER_HOST }] : []),
  ];
  const certificate = await X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: [{ CN: [id] }],
    issuer: issuer.subjectName.toJSON(),
    notBefore: new Date(fromMs),
    notAfter: new Date(toMs),
    signingAlgorithm: KEY_ALGORITHM,
    publicKey,
    signingKey: await privateKeyOf(authority.key),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension(
        [serves ? ExtendedKeyUsage.serverAuth : ExtendedKeyUsage.clientAuth],
        true,
      ),
      new SubjectAlternativeNameExtension(names),
    ],
  });
  return certificate.toString('pem');
};

const serial = (): string => randomBytes(SERIAL_BYTES).toString('hex');

const pemOf = async (key: webcrypto.CryptoKey): Promise<string> =>
  PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');

const privateKeyOf = (pem: string): Promise<webcrypto.CryptoKey> => {
  const [bytes] = PemConverter.decode(pem);
  if (bytes === undefined) throw new Error('there is no private key');
  return webcrypto.subtle.importKey('pkcs8', bytes, KEY_ALGORITHM, false, ['sign']);
};
