// An error that a person caused or can mend: its message is all they need to see.

export class CommandError extends Error {
  /** Exit code of the command. */
  readonly code: number;

  constructor(message: string, code = 2) {
    super(message);
    this.name = 'CommandError';
    this.code = code;
  }
}

/** Nobody is there to ask: it may come back. */
export class NoReconcilerError extends CommandError {}
