// All commands, in the order of `purser --help`.

import type { CommandSpec } from './command.ts';
import { exec } from './exec.ts';
import { pause, promote, restart, resume, scale, start, stop } from './job-edits.ts';
import { logs } from './logs.ts';
import { status } from './status.ts';
import { down } from './down.ts';
import { node } from './node.ts';
import { reconciler } from './reconciler.ts';
import { up } from './up.ts';

export const COMMANDS: readonly CommandSpec[] = [
  up,
  down,
  status,
  logs,
  exec,
  scale,
  stop,
  start,
  restart,
  pause,
  resume,
  promote,
  reconciler,
  node,
];
