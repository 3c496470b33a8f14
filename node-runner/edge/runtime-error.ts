// The one error that leaves the runtime's edge, and how an answer of containerd becomes one. In:
// what was being done, and what went wrong. Out: RuntimeError, which carries the fields of
// RuntimeFailure: what follows, whose fault it is (rules 6.1), and a sentence for people. Not here:
// who retries (tick).

import { ClientError, Status } from 'nice-grpc';
import type { Consequence, RuntimeFailure } from '../ports.ts';

export type Reason = RuntimeFailure['reason'];

/** Thrown by every call of the runtime port. */
export class RuntimeError extends Error implements RuntimeFailure {
  readonly kind = 'runtime-failure';
  readonly reason: Reason;
  readonly consequence: Consequence;
  readonly blame: 'version' | 'platform';

  constructor(reason: Reason, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'RuntimeError';
    this.reason = reason;
    this.consequence = CONSEQUENCES[reason];
    this.blame = VERSIONS_FAULT.has(reason) ? 'version' : 'platform';
  }
}

/**
 * `stale`: what we believed is not so, look again. `broken`: trying the same again gives the same.
 */
const CONSEQUENCES: Readonly<Record<Reason, Consequence>> = {
  'not-found': 'stale',
  'already-exists': 'stale',
  unavailable: 'retry',
  'image-not-found': 'broken',
  registry: 'retry',
  login: 'retry',
  'digest-mismatch': 'retry',
  'no-platform': 'broken',
  'command-not-found': 'broken',
  'bad-spec': 'broken',
  disk: 'retry',
  network: 'retry',
  other: 'retry',
};

/** rules 6.1: only what the job's author wrote wrongly may count towards a revert. */
const VERSIONS_FAULT: ReadonlySet<Reason> = new Set<Reason>([
  'image-not-found',
  'no-platform',
  'command-not-found',
  'bad-spec',
]);

/** The status code of a failed call, null when the error is something else. */
export const codeOf = (error: unknown): Status | null =>
  error instanceof ClientError ? error.code : null;

/** Whether the call failed with this code. */
export const hasCode = (error: unknown, ...codes: readonly Status[]): boolean => {
  const code = codeOf(error);
  return code !== null && codes.includes(code);
};

/** Runs a call and ignores the answers named: for "absent is fine" and "there already is fine". */
export const tolerate = async <T>(
  call: Promise<T>,
  ...codes: readonly Status[]
): Promise<T | null> => {
  try {
    return await call;
  } catch (error) {
    if (hasCode(error, ...codes)) return null;
    throw error;
  }
};

/**
 * Runs one call of the port: whatever it throws leaves as RuntimeError; `doing` is "start container
 * x".
 */
export const atDoor = async <T>(doing: string, call: () => Promise<T>): Promise<T> => {
  try {
    return await call();
  } catch (error) {
    throw toRuntimeError(doing, error);
  }
};

/** What an error means. An abort by the caller's own signal passes through as it is. */
export const toRuntimeError = (doing: string, error: unknown): Error => {
  if (error instanceof RuntimeError) return error;
  if (isAbort(error)) return error;
  if (error instanceof ClientError) return fromAnswer(doing, error);
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const text = error instanceof Error ? error.message : String(error);
  if (code === 'ENOSPC' || code === 'EDQUOT') return diskFull(doing, error);
  return new RuntimeError('other', `Could not ${doing}: ${text}.`, error);
};

/** Whether the error is the abort of the caller's own signal. */
export const isAbort = (error: unknown): error is Error =>
  error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError');

const diskFull = (doing: string, error: unknown): RuntimeError =>
  new RuntimeError(
    'disk',
    `Could not ${doing}: the disk of containerd's root folder is full. Free space on the node.`,
    error,
  );

const fromAnswer = (doing: string, error: ClientError): RuntimeError => {
  const text = plainText(error.details);
  const known = FRAGMENTS.find(([fragment]) => fragment.test(error.details));
  if (known !== undefined) {
    if (known[1] === 'disk') return diskFull(doing, error);
    return new RuntimeError(known[1], `Could not ${doing}: ${text}. ${known[2]}`, error);
  }
  if (error.code === Status.NOT_FOUND)
    return new RuntimeError('not-found', `Could not ${doing}: ${text}.`, error);
  if (error.code === Status.ALREADY_EXISTS)
    return new RuntimeError('already-exists', `Could not ${doing}: ${text}.`, error);
  if (error.code === Status.UNAVAILABLE || error.code === Status.DEADLINE_EXCEEDED)
    return new RuntimeError(
      'unavailable',
      `Could not ${doing}: containerd does not answer (${text}). Check that it runs on the node.`,
      error,
    );
  return new RuntimeError('other', `Could not ${doing}: containerd says: ${text}.`, error);
};

/** Drops the chain of prefixes that containerd and runc put before the sentence that matters. */
const plainText = (details: string): string =>
  details
    .replace(/^failed to create shim task: /, '')
    .replace(/^OCI runtime (create|exec|start) failed: /, '')
    .replace(/^runc (create|exec|start) failed: /, '')
    .replace(/^unable to start container process: /, '')
    .replace(/: unknown$|: not found$/, '')
    .replace(/\.$/, '');

const COMMAND_ADVICE =
  'Check entrypoint and command in the job, and that the image holds that program for this node.';
const PATH_ADVICE = 'Check working_dir and the paths of volumes and files in the job.';
const LIMIT_ADVICE = 'Check the capabilities, limits and volumes in the job.';

/**
 * Texts of runc and containerd (fragments, because releases word the rest differently), what they
 * mean, and what a person should do.
 */
const FRAGMENTS: readonly (readonly [RegExp, Reason, string])[] = [
  [/no space left on device|disk quota exceeded/, 'disk', ''],
  [/executable file not found/, 'command-not-found', COMMAND_ADVICE],
  [
    /exec: "[^"]*": (stat [^:]*: )?(no such file|is a directory)/,
    'command-not-found',
    COMMAND_ADVICE,
  ],
  [/exec: "[^"]*": permission denied/, 'command-not-found', COMMAND_ADVICE],
  [/exec [^: ]*: (no such file|permission denied)/, 'command-not-found', COMMAND_ADVICE],
  [/exec format error/, 'command-not-found', COMMAND_ADVICE],
  [
    /unable to set memory limit/,
    'bad-spec',
    'The memory limit is too small to start a process; give it at least 8 MiB.',
  ],
  [/chdir to cwd|mkdir .*: not a directory/, 'bad-spec', PATH_ADVICE],
  [/mount a directory onto a file|not a directory: unknown/, 'bad-spec', PATH_ADVICE],
  [/unknown capability|invalid capability/, 'bad-spec', LIMIT_ADVICE],
  [/error setting rlimit|invalid rlimit|invalid mount/, 'bad-spec', LIMIT_ADVICE],
];
