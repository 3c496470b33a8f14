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

/** Somebody else was quicker: what the command was about to change is not what it had read. */
export class StaleError extends CommandError {
  constructor(message: string) {
    super(`${message}: nothing is committed. Run it again`, 1);
  }
}

/** What the system said of a file, without its code and the path that the caller names. */
export const fileTrouble = (error: unknown): string => {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/^[A-Z]+: /, '').replace(/, \w+( '.*')?$/, '');
};
