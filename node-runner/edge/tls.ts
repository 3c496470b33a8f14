// TLS 1.3 on the runner's side. In: who it is. Out: credentials and options of a channel. Not here:
// where key and certificate lie (identity.ts).

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
