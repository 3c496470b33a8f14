// The command line: `purser COMMAND`, with all commands. In: argv. Out: an exit code. Each command is
// a file of its own. Not here: reading words (program.ts).

import { commandsFor } from './commands.ts';
import { tellFatal } from './fatal.ts';
import { runProgram } from './program.ts';

tellFatal();
process.exitCode = await runProgram(process.argv.slice(2), commandsFor);
// Channels and watchers may still hold the loop open; the command is done.
process.exit();
