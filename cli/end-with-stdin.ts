// A child of `purser up` ends when `up` is gone, however it went: its stdin closes then.

/** Sends this process its own SIGTERM at the end of stdin. */
export const endWithStdin = (): void => {
  process.stdin.on('end', () => process.kill(process.pid, 'SIGTERM'));
  process.stdin.on('error', () => process.kill(process.pid, 'SIGTERM'));
  process.stdin.resume();
};
