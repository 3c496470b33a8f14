// What every command is made of: a name, its options, examples for --help, and what it does with
// its words.
// In: parsed words. Out: an exit code. Not here: any single command.

import { resolve } from 'node:path';
import type { Command } from 'commander';
import { TLS_SCHEME } from '../schema/identity.ts';
import { withPort } from './host-port.ts';

/** Options that every command has. */
export interface Common {
  readonly root: string;
  /** The reconciler: a socket's path, or `tls:host:port`, of several with commas between. */
  readonly socket: string;
  readonly json: boolean;
}

/** Where a command writes: people's text or JSON to stdout, remarks to stderr. */
export interface Io {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** stdout is a terminal: colour, live views and progress are welcome. */
  readonly tty: boolean;
  /** Size of the terminal; infinite where there is none, so that nothing is cut in a pipe. */
  readonly columns: number;
  readonly rows: number;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

export interface Invocation {
  readonly args: readonly string[];
  /** Options by their camel-case names, as commander gives them. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly common: Common;
  readonly io: Io;
}

export interface CommandSpec {
  /** As written: `logs <job>`. */
  readonly usage: string;
  readonly summary: string;
  /** Shell lines with what they do. */
  readonly examples: readonly (readonly [string, string])[];
  /** Exit codes, where they say more than 0 well, 2 an error. */
  readonly exits?: string;
  /** Adds options. */
  readonly define: (command: Command) => Command;
  /** Returns the exit code. */
  readonly run: (invocation: Invocation) => Promise<number>;
  /** Names to complete: what the first argument is. */
  readonly completes?: 'job' | 'node' | 'allocation';
}

/** Where a cluster of this machine lives unless --root or PURSER_ROOT says otherwise. */
export const DEFAULT_ROOT = '/var/lib/purser';

export const commonOf = (options: Readonly<Record<string, unknown>>): Common => {
  const root = resolve(text(options['root']) ?? variable('PURSER_ROOT') ?? DEFAULT_ROOT);
  const remote = text(options['reconciler']) ?? variable('PURSER_RECONCILER');
  const local = text(options['socket']) ?? variable('PURSER_SOCKET') ?? `${root}/control.sock`;
  const places = remote?.split(',').map((place) => withPort(place.trim())) ?? [];
  const socket = remote === null ? local : `${TLS_SCHEME}${places.join()}`;
  return { root, socket, json: options['json'] === true };
};

/** Of the environment; one that is empty counts as unset. */
const variable = (name: string): string | null => {
  const value = process.env[name];
  return value === undefined || value === '' ? null : value;
};

/** An option's value where it is text. */
export const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);
