// All commands, in the order of `purser --help`.

import type { CommandSpec } from './command.ts';
import { down } from './down.ts';
import { node } from './node.ts';
import { reconciler } from './reconciler.ts';
import { up } from './up.ts';

export const COMMANDS: readonly CommandSpec[] = [up, down, reconciler, node];
