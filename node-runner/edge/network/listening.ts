// Which host ports are in use, from the kernel's socket tables.
// In: text of /proc/net/{tcp,tcp6,udp,udp6}. Out: port numbers. Not here: reading the files, whose
// sockets they are.

/** TCP_LISTEN in the kernel's numbering; an unconnected UDP socket shows as TCP_CLOSE. */
const LISTEN = '0A';
const UNCONNECTED = '07';

/** Files of /proc/net that are read, in this order. */
export const SOCKET_TABLES = ['tcp', 'tcp6', 'udp', 'udp6'] as const;

/** Ports that accept traffic, ascending, each once; any mix of the four tables, concatenated. */
export const parseListening = (text: string): readonly number[] => {
  const ports = new Set<number>();
  for (const line of text.split('\n')) {
    // sl local_address rem_address st …; the header and blank lines have no hexadecimal port.
    const [, local = '', , state = ''] = line.trim().split(/\s+/);
    const port = /^[0-9A-F]+:([0-9A-F]{4})$/.exec(local)?.[1];
    if (port !== undefined && (state === LISTEN || state === UNCONNECTED))
      ports.add(Number.parseInt(port, 16));
  }
  return [...ports].toSorted((a, b) => a - b);
};
