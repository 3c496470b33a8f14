// The one error that the runner's edges throw: RuntimeFailure of ports.ts with a stack, so that
// it can be logged.
// In: consequence, blame, reason, a sentence for people. Out: an Error. Not here: what the tick
// does about it.

import type { Consequence, RuntimeFailure } from '../ports.ts';

/** Thrown by edges. `message` names what is wrong and, where known, how to fix it. */
export class EdgeFailure extends Error implements RuntimeFailure {
  readonly kind = 'runtime-failure';
  readonly consequence: Consequence;
  readonly blame: RuntimeFailure['blame'];
  readonly reason: RuntimeFailure['reason'];

  constructor(fields: Omit<RuntimeFailure, 'kind'>, cause?: unknown) {
    super(fields.message, cause === undefined ? {} : { cause });
    this.name = 'EdgeFailure';
    this.consequence = fields.consequence;
    this.blame = fields.blame;
    this.reason = fields.reason;
  }
}

/** Whether a caught value is a failure of a port, with its consequence and blame. */
export const isRuntimeFailure = (value: unknown): value is RuntimeFailure =>
  typeof value === 'object' &&
  value !== null &&
  'kind' in value &&
  value.kind === 'runtime-failure';

/** The text of whatever was thrown. */
export const messageOf = (thrown: unknown): string =>
  thrown instanceof Error ? thrown.message : String(thrown);

/** The errno name (`ENOENT`) of a thrown value, or null. */
export const errnoOf = (thrown: unknown): string | null =>
  typeof thrown === 'object' &&
  thrown !== null &&
  'code' in thrown &&
  typeof thrown.code === 'string'
    ? thrown.code
    : null;
