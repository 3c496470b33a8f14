// The node runner as a service of the machine, where its package is installed and systemd runs.
// In: nothing. Out: whether there is one, and its start. Not here: the unit itself
// (packages/purser-runner).

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { CommandError } from './command-error.ts';

export const RUNNER_UNIT = 'purser-runner.service';
/** Words for the runner that `purser node join` was not told. */
export const RUNNER_SETTINGS = '/etc/purser/runner.env';

const run = promisify(execFile);

/** No where systemd does not run: in a container, or without the package. */
export const hasRunnerUnit = (): Promise<boolean> =>
  run('systemctl', ['cat', RUNNER_UNIT]).then(
    () => true,
    () => false,
  );

/** Now, and whenever the machine starts. Throws CommandError. */
export const startRunnerUnit = async (): Promise<void> => {
  try {
    await run('systemctl', ['enable', '--quiet', RUNNER_UNIT]);
    await run('systemctl', ['restart', RUNNER_UNIT]);
  } catch (error) {
    const why = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
    throw new CommandError(
      `the machine has joined, but ${RUNNER_UNIT} does not start: ${why || String(error)}; see \`journalctl -u ${RUNNER_UNIT}\``,
    );
  }
};
