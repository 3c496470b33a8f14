// Which addresses the link may use: without TLS loopback and Unix sockets, and anything inside a
// network namespace that is not the machine's own; with TLS any.
// In: an address as written. Out: null, or why it is refused and what to do. Not here: opening it.

import { TLS_SCHEME } from './identity.ts';

/** `unix:/path`, `host:port` or `tls:host:port`. */
export const linkAddressProblem = (
  address: string,
  facts: { readonly ownNamespace: boolean },
): string | null => {
  if (address.startsWith('unix:/')) return null;
  const isTls = address.startsWith(TLS_SCHEME);
  const plain = isTls ? address.slice(TLS_SCHEME.length) : address;
  const match = /^(?<host>\[[^\]]+\]|[^:]+):(?<port>\d{1,5})$/.exec(plain);
  const host = match?.groups?.['host'];
  if (host === undefined || Number(match?.groups?.['port']) > 65_535) {
    return `\`${address}\` is not an address: write unix:/path/of/socket, 127.0.0.1:PORT or tls:HOST:PORT`;
  }
  if (isTls || isLoopback(host) || facts.ownNamespace) return null;
  return (
    `\`${address}\` is not on this machine, and the link speaks no TLS there: let the machine join ` +
    'with `purser node join`, or write tls:HOST:PORT'
  );
};

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
