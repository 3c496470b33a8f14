// A program of Purser's: reads words, finds the command, prints what went wrong in one sentence.
// In: argv, the commands that there are. Out: an exit code (0 well, 1 as a command says, 2 error).
// Not here: which commands a program has (main.ts, and the single files beside it).

import { Command, CommanderError } from 'commander';
import { CommandError } from './command-error.ts';
import type { CommandSpec, Common, Io } from './command.ts';
import { commonOf, DEFAULT_ROOT } from './command.ts';
import type { CommandGroup } from './commands.ts';
import { forTerminal, jsonForTerminal } from '../schema/plain.ts';
import pack from '../package.json' with { type: 'json' };

const USAGE_ERROR = 2;

/** What a command line needs that begins with this word. */
type Commands = (first: string) => Promise<readonly CommandGroup[]>;

/** Runs one command line; its exit code. Never throws. */
export const runProgram = async (
  argv: readonly string[],
  commandsFor: Commands,
): Promise<number> => {
  const abort = new AbortController();
  process.on('SIGINT', () => abort.abort());
  process.on('SIGTERM', () => abort.abort());
  process.stdout.on('error', () => abort.abort()); // a pipe that was closed: `purser logs | head`
  let code = 0;
  const program = new Command('purser')
    .description('A container orchestrator whose ledger is a Git repository.')
    .version(pack.version)
    .showHelpAfterError('See: purser --help')
    .exitOverride();
  program.configureOutput({
    outputError: (text, write) => write(text.replace(/^error: /, 'purser: ')),
  });
  const groups = await commandsFor(argv[0] ?? '');
  for (const { title, specs } of groups) {
    program.commandsGroup(title);
    for (const spec of specs) {
      add(program, spec, async (invocation) => {
        code = await spec.run({ ...invocation, io: ioOf(abort.signal, invocation.common) });
      });
    }
  }
  if (groups.length > 1) {
    program.commandsGroup('Else:').helpCommand(true);
    const { addCompletion, completionNames } = await import('./completion.ts');
    const specs = groups.flatMap((group) => group.specs);
    addCompletion(program, specs, await completionNames(argv));
  }
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return code;
  } catch (error) {
    return explain(error);
  }
};

type Begin = (invocation: Omit<Parameters<CommandSpec['run']>[0], 'io'>) => Promise<void>;

const add = (program: Command, spec: CommandSpec, begin: Begin): void => {
  const command = program
    .command(spec.usage)
    .description(spec.summary)
    .option('--json', 'print JSON instead of text for people')
    .option('--root <dir>', `where the cluster of this machine lives (default ${DEFAULT_ROOT})`)
    .option('--socket <path>', "the reconciler's control socket (default ROOT/control.sock)")
    .option('--reconciler <host:port>', 'on other machines, commas between; token in PURSER_TOKEN')
    .addHelpText('after', afterOptions(spec));
  command.showHelpAfterError(`See: purser ${command.name()} --help`);
  spec.define(command).action(async (...words: unknown[]) => {
    const args = command.args;
    const options: Readonly<Record<string, unknown>> = command.opts();
    await begin({ args, options, common: commonOf(options) });
    void words;
  });
};

const afterOptions = ({ examples, exits }: CommandSpec): string => {
  const width = Math.max(...examples.map(([line]) => line.length));
  const lines = examples.map(([line, what]) => `  ${line.padEnd(width)}  ${what}`);
  return ['', 'Examples:', ...lines, '', `Exit codes: ${exits ?? PLAIN_EXITS}.`].join('\n');
};

const PLAIN_EXITS = '0 well, 2 an error';

/** The one place where text of others reaches a terminal, but for logs (lines.ts) and `exec`. */
const ioOf = (signal: AbortSignal, { json }: Pick<Common, 'json'>): Io => ({
  out: (text) => void process.stdout.write(`${json ? jsonForTerminal(text) : forTerminal(text)}\n`),
  err: (text) => void process.stderr.write(`${forTerminal(text)}\n`),
  tty: process.stdout.isTTY,
  columns: process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY,
  rows: process.stdout.isTTY ? process.stdout.rows : Number.POSITIVE_INFINITY,
  signal,
});

const explain = (error: unknown): number => {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE_ERROR;
  if (error instanceof CommandError) {
    process.stderr.write(`purser: ${forTerminal(error.message)}\n`);
    return error.code;
  }
  const message = typeof error === 'object' && error !== null && 'message' in error;
  const words = message ? String(error.message) : String(error);
  process.stderr.write(`purser: ${forTerminal(words)}\n`);
  if (process.env['PURSER_DEBUG'] !== undefined && error instanceof Error) {
    process.stderr.write(`${error.stack ?? ''}\n`);
  }
  return USAGE_ERROR;
};
