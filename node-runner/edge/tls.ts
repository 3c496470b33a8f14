// TLS 1.3 on the runner's side. In: who it is. Out: credentials and options of a channel, and what to
// say where a clock is in the way. Not here: where key and certificate lie (identity.ts).

import { createSecureContext } from 'node:tls';
import { ChannelCredentials } from '@grpc/grpc-js';
import { RECONCILER_HOST } from '../../schema/identity.ts';
import type { Identity } from './identity.ts';

/** Options of a channel that is to reach a reconciler, at whatever address it answers. */
export const TLS_CHANNEL = { 'grpc.ssl_target_name_override': RECONCILER_HOST } as const;

/** Without a certificate: of a machine that joins, or of a person with a token. */
export const credentialsOf = ({
  authority,
  certificate,
  key,
}: Pick<Identity, 'authority'> & Partial<Identity>): ChannelCredentials =>
  ChannelCredentials.createFromSecureContext(
    createSecureContext({
      ca: authority,
      minVersion: 'TLSv1.3',
      ...(certificate === undefined ? {} : { cert: certificate }),
      ...(key === undefined ? {} : { key }),
    }),
  );

/**
 * A reconciler's certificate counts from a day before it was made, and for a week: where it does not
 * count by this machine's clock, a clock is wrong. Which one, and what helps; null: that is not what
 * `error` says.
 */
export const clockDoubt = (error: unknown, epochMs: number): string | null => {
  const found = /certificate (has expired|is not yet valid)/i.exec(String(error));
  if (found === null) return null;
  const says = `${new Date(epochMs).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
  return (
    `this machine's clock says ${says}, and by it the reconciler's certificate ${found[1]}: ` +
    'the clock of this machine or of the reconciler is wrong. Compare `date -u` on both, and let ' +
    'them be set: `timedatectl set-ntp true`'
  );
};
