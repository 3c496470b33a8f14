// Shell completion: `purser complete bash|zsh|fish|powershell` prints a script for the shell; the
// script asks `purser complete -- WORDS` for what may come next. In: the program, names of what is
// there. The library is young (0.0.x): it is used here only. Its handlers cannot wait, so names are
// fetched before it is asked.

import tab from '@bomb.sh/tab/commander';
import type { Command } from 'commander';
import { OF_LEADER, type StateAnswer } from '../schema/control.ts';
import type { CommandSpec } from './command.ts';
import { commonOf } from './command.ts';
import { shortSlot } from './state.ts';

type Kind = NonNullable<CommandSpec['completes']>;

export type CompletionNames = Readonly<Record<Kind, readonly string[]>>;

const NONE: CompletionNames = { job: [], node: [], allocation: [] };

export const addCompletion = (
  program: Command,
  specs: readonly CommandSpec[],
  names: CompletionNames,
): void => {
  const completion = tab(program);
  program.commands
    .find((command) => command.name() === 'complete')
    ?.description('print a script that completes words in your shell')
    .addHelpText(
      'after',
      '\nExamples:\n  source <(purser complete bash)  in this shell; put it into ~/.bashrc to keep it',
    )
    .hook('preAction', (_program, { args }) => {
      if (args[0] === 'bash') process.stdout.write(BASH_ALONE);
    });
  for (const { usage, completes } of specs) {
    const command = completion.commands.get(usage.split(' ')[0] ?? '');
    const argument = command?.arguments.values().next().value;
    if (argument === undefined || completes === undefined) continue;
    argument.handler = (complete) => {
      for (const name of names[completes]) complete(name, '');
    };
  }
};

/**
 * The library's script leans on the package bash-completion, which a bare machine does not have:
 * there every Tab would print an error. Variables are the caller's, as functions of bash see them.
 */
const BASH_ALONE = `declare -F _get_comp_words_by_ref >/dev/null || _get_comp_words_by_ref() {
  words=("\${COMP_WORDS[@]}") cword=$COMP_CWORD
  cur=\${words[cword]} prev=\${words[cword-1]}
}
`;

/** A person waits for the answer with a finger on the key. */
const PATIENCE_MS = 1000;

/**
 * Names for a completion request; none for other commands, and where no reconciler answers in time.
 */
export const completionNames = async (argv: readonly string[]): Promise<CompletionNames> => {
  if (argv[0] !== 'complete' || !argv.includes('--')) return NONE;
  const common = commonOf({ root: after(argv, '--root'), socket: after(argv, '--socket') });
  const late = new Promise<null>((resolve) => {
    setTimeout(() => resolve(null), PATIENCE_MS).unref();
  });
  const state = await Promise.race([late, stateAt(common.socket)]).catch(() => null);
  return state === null ? NONE : namesIn(state);
};

const after = (argv: readonly string[], option: string): string | undefined => {
  const at = argv.indexOf(option);
  return at < 0 ? undefined : argv[at + 1];
};

const stateAt = async (socket: string): Promise<StateAnswer> => {
  const { connect } = await import('./client.ts');
  const control = await connect(socket);
  try {
    return await control.call<StateAnswer>('state', OF_LEADER);
  } finally {
    control.close();
  }
};

/** Jobs by their short name where it is the only one of that name. */
const namesIn = ({ view }: StateAnswer): CompletionNames => {
  if (view === null) return NONE;
  const { jobs, nodes } = view.desired;
  const isOnly = (name: string) => jobs.filter(({ spec }) => spec.job === name).length === 1;
  const copies = view.live.nodes
    .flatMap(({ allocations }) => allocations)
    .filter(({ phase }) => phase !== 'dead');
  return {
    job: jobs.map(({ id, spec }) => (isOnly(spec.job) ? spec.job : id)),
    node: nodes.map(({ name }) => name),
    allocation: copies.map((copy) => {
      const { namespace, job, group, index } = copy.body;
      const name = isOnly(job) ? job : `${namespace}/${job}`;
      return group === job ? `${name}[${index}]` : `${name}/${shortSlot(copy)}`;
    }),
  };
};
