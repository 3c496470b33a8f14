// Runs ip and nft in the node's network namespace and reads the node's /proc/net.
// In: batches of commands as text. Out: their output; failures as RuntimeError. Not here: what to
// make (native.ts).

import { readFile, writeFile } from 'node:fs/promises';

import { runCommand, tryCommand } from '../command.ts';
import type { CommandAsk, CommandResult } from '../command.ts';
import { messageOf } from '../failure.ts';
import { RuntimeError } from '../runtime-error.ts';
import { createLimit } from '../limit.ts';
import { SOCKET_TABLES } from './listening.ts';

export interface Kernel {
  /** `ip -batch` in the node's namespace: stops at the first line that fails. */
  readonly ipBatch: (lines: readonly string[]) => Promise<void>;
  /** The same inside a named namespace. */
  readonly ipBatchIn: (namespace: string, lines: readonly string[]) => Promise<void>;
  /** `ip -j …`: parsed; an empty answer is an empty list. */
  readonly ipShow: (...args: readonly string[]) => Promise<readonly LinkShown[]>;
  readonly nft: (text: string) => Promise<void>;
  readonly nftShow: (...args: readonly string[]) => Promise<string>;
  /** Name below /proc/sys. */
  readonly sysctl: (name: string, value: string) => Promise<void>;
  readonly socketTables: () => Promise<string>;
  /** Processes that listen, as `ss` prints them. */
  readonly listeners: () => Promise<string>;
  /** A program with an environment of its own; its exit code decides nothing here. */
  readonly plugin: (ask: CommandAsk) => Promise<CommandResult>;
}

/** The fields of `ip -j link`, `ip -j addr` and `ip -j route` that we read. */
export interface LinkShown {
  readonly ifname?: string;
  readonly ifalias?: string;
  readonly dst?: string;
  readonly dev?: string;
  /** Of a route: the next hop. */
  readonly gateway?: string;
  readonly mtu?: number;
  /** Hardware address. */
  readonly address?: string;
  readonly addr_info?: readonly {
    readonly family: string;
    readonly local: string;
    readonly prefixlen: number;
    readonly label?: string;
  }[];
}

/**
 * `nodeNetns`: path of the namespace that is the node's own; null when this process is in it.
 * `nsenter --net` and not `ip netns exec`: the latter also makes a mount namespace, in which new
 * namespaces would not be seen by containerd.
 */
export const createKernel = (nodeNetns: string | null): Kernel => {
  const limit = createLimit(CONCURRENT);
  const inside = (ask: CommandAsk): CommandAsk => {
    if (nodeNetns === null) return ask;
    const args = [`--net=${nodeNetns}`, '--', ask.program, ...ask.args];
    return { ...ask, program: 'nsenter', args };
  };
  const run = async (program: string, args: readonly string[], input = ''): Promise<string> => {
    try {
      return await limit(() => runCommand(inside({ program, args, input })));
    } catch (error) {
      throw networkFailure(messageOf(error), error);
    }
  };
  return {
    ipBatch: async (lines) => {
      await run('ip', ['-batch', '-'], `${lines.join('\n')}\n`);
    },
    ipBatchIn: async (namespace, lines) => {
      await run('ip', ['-n', namespace, '-batch', '-'], `${lines.join('\n')}\n`);
    },
    ipShow: async (...args) => parseShown(await run('ip', ['-j', ...args])),
    nft: async (text) => {
      await run('nft', ['-f', '-'], text);
    },
    nftShow: (...args) => run('nft', ['-j', ...args]),
    sysctl: async (name, value) => {
      if (nodeNetns === null) await writeFile(`/proc/sys/${name}`, value);
      else await run('sh', ['-c', 'echo "$1" > "/proc/sys/$0"', name, value]);
    },
    socketTables: async () => {
      const files = SOCKET_TABLES.map((table) => `/proc/net/${table}`);
      if (nodeNetns !== null) return run('cat', ['--', ...files]);
      const texts = await Promise.all(files.map(readOrEmpty));
      return texts.join('\n');
    },
    listeners: () => run('ss', ['-Hlntup']),
    plugin: (ask) => limit(() => tryCommand(inside(ask))),
  };
};

/**
 * The kernel does one change of links at a time; more programs than this only wait for each
 * other, and the first allocations of a burst would be ready as late as the last.
 */
const CONCURRENT = 8;

/** A failure that is the machine's, not the job's; worth trying again. */
export const networkFailure = (message: string, cause?: unknown): RuntimeError =>
  new RuntimeError('network', message, cause);

/** A machine without IPv6 has no tcp6 and udp6. */
const readOrEmpty = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '');

const parseShown = (text: string): readonly LinkShown[] => {
  const value: unknown = text.trim() === '' ? [] : JSON.parse(text);
  return Array.isArray(value) ? value : [];
};
