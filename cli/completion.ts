// Shell completion: `purser complete bash|zsh|fish|powershell` prints a script for the shell.
// The library is young (0.0.x): it is used here only.

import tab from '@bomb.sh/tab/commander';
import type { Command } from 'commander';

export const addCompletion = (program: Command): void => {
  tab(program);
};
