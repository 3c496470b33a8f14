// Who holds a host port, in words: for a person who wonders why a copy waits.
// In: text of `ss -Hlntup`, mappings that other runners of this network namespace publish. Out: a
// short name by port. Not here: which ports are taken (listening.ts), running ss (kernel.ts).

/** `users:(("nginx",pid=812,fd=6),…)`: the first is named. Without root ss leaves it out. */
const USERS = /users:\(\("(?<name>[^"]*)",pid=(?<pid>\d+)/;

/** A name is what a process says of itself: nothing that a terminal obeys, and not long. */
const plainName = (name: string): string => name.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 40);

/** Each port once: the first process that ss names for it. */
export const parseHolders = (text: string): ReadonlyMap<number, string> => {
  const holders = new Map<number, string>();
  for (const line of text.split('\n')) {
    // Netid State Recv-Q Send-Q Local:Port Peer:Port Process
    const port = Number(/:(\d+)$/.exec(line.trim().split(/\s+/)[4] ?? '')?.[1] ?? Number.NaN);
    const { name, pid } = USERS.exec(line)?.groups ?? {};
    if (Number.isNaN(port) || name === undefined || holders.has(port)) continue;
    holders.set(port, `${plainName(name)}, process ${pid}`);
  }
  return holders;
};

/** What another runner publishes has no process that listens. */
export const OTHER_RUNNER = 'another node runner of this machine';
