// Until mutual TLS is there, which addresses the link may use: loopback and Unix sockets, and
// anything inside a network namespace that is not the machine's own.
// In: an address as written. Out: null, or why it is refused and what to do. Not here: opening it.

/** `unix:/path` or `host:port`. */
export const linkAddressProblem = (
  address: string,
  facts: { readonly ownNamespace: boolean },
): string | null => {
  if (address.startsWith('unix:/')) return null;
  const match = /^(?<host>\[[^\]]+\]|[^:]+):(?<port>\d{1,5})$/.exec(address);
  const host = match?.groups?.['host'];
  if (host === undefined || Number(match?.groups?.['port']) > 65_535) {
    return `\`${address}\` is not an address: write unix:/path/of/socket or 127.0.0.1:PORT`;
  }
  if (isLoopback(host) || facts.ownNamespace) return null;
  return (
    `\`${address}\` is not on this machine: the link between reconciler and runners has no ` +
    'encryption yet, so only loopback addresses and Unix sockets are accepted'
  );
};

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
