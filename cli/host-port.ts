// Addresses of machines as people write them. In: text. Out: host and port. Not here: dialling.

import { CommandError } from './command-error.ts';

/** Where a reconciler listens for other machines unless it is told otherwise. */
export const DEFAULT_PORT = 7420;
/** Where it answers programs over HTTPS. */
export const DEFAULT_API_PORT = 7421;

/** `purser.example`, `10.0.0.1:7420`, `[::1]:7420`. Throws CommandError. */
export const hostAndPort = (
  address: string,
  defaultPort = DEFAULT_PORT,
): { readonly host: string; readonly port: number } => {
  const match = /^(?<host>\[[0-9a-fA-F:.]+\]|[^:[\]/\s]+)(?::(?<port>\d{1,5}))?$/.exec(address);
  const host = match?.groups?.['host'];
  const port = Number(match?.groups?.['port'] ?? defaultPort);
  if (host === undefined || port > 65_535) {
    throw new CommandError(`\`${address}\` is no address: write HOST, HOST:PORT or [IPV6]:PORT`);
  }
  return { host: host.replace(/^\[|\]$/g, ''), port };
};

/** The same address with its port. */
export const withPort = (address: string, defaultPort = DEFAULT_PORT): string => {
  const { host, port } = hostAndPort(address, defaultPort);
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
};
