// Why a member of etcd cannot be asked, for people: what is wrong, in which file, what to do.
// In: what was thrown, how etcd is asked. Out: a sentence, or null where the thrown one says enough.
// Never a password. Not here: asking (etcd.ts).

import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { EtcdConfig } from '../../config.ts';

type Say = (etcd: EtcdConfig, said: string) => string;

/** Of what Node says of them: `IP: 10.0.0.5 is not in the cert's list: 10.0.0.9. Resolution note: `. */
const NAMES = /(?:list|altnames): (?!IP: |Host: )(.*?)\.?\s*(?:Resolution note|\(|$)/;

/** First that fits. The left side is of etcd 3.4 and later, of Node's TLS, or of grpc-js. */
const TABLE: readonly (readonly [RegExp, Say])[] = [
  [
    /authentication failed/,
    ({ user }) =>
      `it knows no user ${user?.name} with the password in ${user?.passwordFile}: change the file, or the user's password`,
  ],
  [
    /user name is empty/,
    () => 'it wants to know who asks: give --etcd-user and --etcd-password-file',
  ],
  [
    /permission denied/,
    (etcd) =>
      `${whoOf(etcd)} may not read and write keys that begin with purser/: \`etcdctl role grant-permission ROLE readwrite purser/ --prefix=true\`, with a role of that user`,
  ],
  [
    /authentication is not enabled/,
    ({ user }) =>
      `it asks for no user (authentication is off): leave --etcd-user ${user?.name} away, or turn it on`,
  ],
  [
    /does not match certificate's altnames/,
    (_, said) =>
      `its certificate is for other names (${NAMES.exec(said)?.[1] ?? 'none'}): name it in --etcd as there, or give it a certificate for this address`,
  ],
  [/certificate has expired/, () => 'its certificate has ended: give it a new one'],
  [
    /unable to verify|self.signed certificate|unable to get (local )?issuer/,
    ({ tls }) =>
      `its certificate is not of the authority in ${tls?.ca}: give the one that signed it with --etcd-ca`,
  ],
  [/alert (bad certificate|certificate|unknown ca|number (42|4[4-8]|116))/, refusedWords],
  [
    /key values mismatch/,
    ({ tls }) => `${tls?.key} is not the key of ${tls?.certificate}: see --etcd-cert, --etcd-key`,
  ],
  [
    /PEM routines|no start line|DECODER routines/,
    ({ tls }) => `${tls?.certificate} or ${tls?.key} is no PEM: see --etcd-cert, --etcd-key`,
  ],
  [/ECONNREFUSED/, () => 'nothing listens there: is it running?'],
  [
    /Failed to connect|ECONNRESET|Connection dropped/,
    ({ tls }) =>
      tls === null
        ? 'the connection is cut: where it speaks TLS alone, give the file of its authority with --etcd-ca'
        : 'the connection is cut: does it speak TLS?',
  ],
];

function refusedWords({ tls }: EtcdConfig): string {
  const file = tls?.certificate ?? null;
  if (file === null) return 'it wants a certificate: give --etcd-cert and --etcd-key';
  const ended = endedAt(file);
  return ended === null
    ? `it does not take the certificate in ${file}: its --trusted-ca-file must hold the authority that signed it`
    : `the certificate in ${file} ended at ${ended}: put a new one there, with its key`;
}

/** When a certificate ended; null: it has not, or it is none. */
const endedAt = (file: string): string | null => {
  try {
    const { validTo } = new X509Certificate(readFileSync(file));
    return Date.parse(validTo) < Date.now() ? validTo : null;
  } catch {
    return null;
  }
};

const whoOf = ({ user, tls }: EtcdConfig): string =>
  user === null ? `whoever shows ${tls?.certificate ?? 'no certificate'}` : `user ${user.name}`;

/** What etcd, or the way there, said; for people. */
export const etcdWords = (etcd: EtcdConfig, said: string): string => {
  for (const [pattern, say] of TABLE) if (pattern.test(said)) return say(etcd, said);
  return said;
};
