// When a program in the foreground ends: at a signal, or where it is a child of `purser up`, when `up`
// is gone, however it went: its stdin closes then. In: a signal, stdin. Out: a promise, or a SIGTERM.

/** Sends this process its own SIGTERM at the end of stdin. */
export const endWithStdin = (): void => {
  process.stdin.on('end', () => process.kill(process.pid, 'SIGTERM'));
  process.stdin.on('error', () => process.kill(process.pid, 'SIGTERM'));
  process.stdin.resume();
};

export const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
