// How long a command waits for somebody else.
// In: a limit, the command's own signal. Out: a signal. Not here: what is said when it is over.

/**
 * Aborts with `signal`, or after so many milliseconds. Not AbortSignal.any with
 * AbortSignal.timeout: nothing holds the timeout there, Node 20 collects it, and it never fires.
 */
export const patience = (limitMs: number, signal: AbortSignal): AbortSignal => {
  const over = new AbortController();
  setTimeout(() => over.abort(), limitMs).unref();
  return AbortSignal.any([signal, over.signal]);
};
