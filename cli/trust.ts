// Whom a command may trust on another machine: the authority whose fingerprint stands in its token.
// In: an address, a fingerprint. Out: the authority's certificate; nothing is sent before it is known.
// Not here: calls.

import { createHash } from 'node:crypto';
import { connect, type DetailedPeerCertificate } from 'node:tls';
import { CommandError, NoReconcilerError } from './command-error.ts';
import { hostAndPort } from './host-port.ts';

const ANSWER_LIMIT_MS = 10_000;

/**
 * The certificate with this fingerprint, PEM, as the server shows it. That the server holds a
 * certificate of it is checked by the call that follows.
 */
export const fetchAuthority = (address: string, fingerprint: string): Promise<string> => {
  const { host, port } = hostAndPort(address);
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port,
      rejectUnauthorized: false,
      minVersion: 'TLSv1.3',
      ALPNProtocols: ['h2'],
      timeout: ANSWER_LIMIT_MS,
    });
    const fail = (error: Error) => {
      socket.destroy();
      reject(error);
    };
    socket.once('timeout', () => fail(silent(address, 'it does not answer')));
    socket.once('error', (error) => fail(silent(address, error.message)));
    socket.once('secureConnect', () => {
      const found = shown(socket.getPeerCertificate(true)).find(
        (raw) => createHash('sha256').update(raw).digest('hex') === fingerprint,
      );
      if (found === undefined) fail(new CommandError(anotherAuthority(address)));
      else {
        socket.destroy();
        resolve(pemOf(found));
      }
    });
  });
};

const silent = (address: string, why: string): NoReconcilerError =>
  new NoReconcilerError(
    `no reconciler answers at ${address} (${why}): is it started with --listen, and does a firewall let this machine through?`,
  );

const anotherAuthority = (address: string): string =>
  `${address} belongs to another cluster than the token: its authority is not the one whose ` +
  'fingerprint the token holds. Nothing was sent there. Check the address, or make a new token';

/** The certificates that a server showed; an authority is the issuer of itself. */
const shown = (first: DetailedPeerCertificate): readonly Buffer[] => {
  const chain: Buffer[] = [];
  let at: DetailedPeerCertificate | undefined = first;
  while (at?.raw !== undefined && !chain.some((raw) => raw.equals(at?.raw ?? raw))) {
    chain.push(at.raw);
    at = at.issuerCertificate;
  }
  return chain;
};

const pemOf = (raw: Buffer): string => {
  const lines = raw.toString('base64').match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
};
