// A request for a certificate, signed with the key that it is for: PKCS #10.
// In: a key. Out: PEM. Loaded when it is needed: the library is large, and a runner is small.

// What the library below needs to be there when it is loaded.
import 'reflect-metadata';
import { cryptoProvider, Pkcs10CertificateRequestGenerator } from '@peculiar/x509';
import type { KeyObject } from 'node:crypto';
import { createPublicKey, webcrypto } from 'node:crypto';
import { KEY_ALGORITHM } from '../../schema/identity.ts';

export const signRequest = async (privateKey: KeyObject, node: string): Promise<string> => {
  cryptoProvider.set(webcrypto);
  const { subtle } = webcrypto;
  const secret = privateKey.export({ type: 'pkcs8', format: 'der' });
  const open = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  const keys = {
    privateKey: await subtle.importKey('pkcs8', secret, KEY_ALGORITHM, false, ['sign']),
    publicKey: await subtle.importKey('spki', open, KEY_ALGORITHM, true, ['verify']),
  };
  const name = [{ CN: [node] }];
  const request = await Pkcs10CertificateRequestGenerator.create({
    name,
    keys,
    signingAlgorithm: KEY_ALGORITHM,
  });
  return request.toString('pem');
};
