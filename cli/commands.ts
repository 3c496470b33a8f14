// All commands, in the order of `purser --help`.

import type { CommandSpec } from './command.ts';
import { approve } from './approve.ts';
import { deploy } from './deploy.ts';
import { drain, undrain } from './drain.ts';
import { events } from './events.ts';
import { exec } from './exec.ts';
import { explain } from './explain.ts';
import { history } from './history.ts';
import { init } from './init.ts';
import { pause, promote, restart, resume, scale, start, stop } from './job-edits.ts';
import { logs } from './logs.ts';
import { plan } from './plan.ts';
import { rollback } from './rollback.ts';
import { snapshot } from './snapshot.ts';
import { status } from './status.ts';
import { validate } from './validate.ts';
import { volume } from './volume.ts';
import { down } from './down.ts';
import { node } from './node.ts';
import { reconciler } from './reconciler.ts';
import { up } from './up.ts';

/** As `purser --help` shows them: titles, and commands in the order in which people need them. */
export const COMMAND_GROUPS: readonly (readonly [string, readonly CommandSpec[]])[] = [
  ['A cluster on this machine:', [up, down]],
  ['Before a commit:', [init, validate, plan, snapshot]],
  ['What is, and why:', [status, explain, logs, exec, events, history]],
  [
    'Changes, each a commit or a record in the ledger:',
    [
      deploy,
      rollback,
      scale,
      stop,
      start,
      restart,
      pause,
      resume,
      promote,
      approve,
      drain,
      undrain,
      volume,
    ],
  ],
  ['The parts by hand:', [reconciler, node]],
];

export const COMMANDS: readonly CommandSpec[] = COMMAND_GROUPS.flatMap(([, specs]) => specs);
