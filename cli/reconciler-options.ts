// What a reconciler is told on its command line, by `purser reconciler` and by `purser up`, which passes
// it on. In: a command, or parsed options. Out: the same with options; words for a command line; an
// error where some do not go together. Not here: what becomes of them (reconciler.ts, up.ts).

import { Command } from 'commander';
import type { SeveralConfig } from '../reconciler/config.ts';
import { text } from './command.ts';
import { CommandError } from './command-error.ts';
import { withPort } from './host-port.ts';
import { defineSeveral, severalOf } from './several.ts';

export const reconcilerOptions = (command: Command): Command =>
  defineSeveral(
    command
      .option('--directory <path>', "the cluster's directory in the repository", '')
      .option('--token-file <path>', 'file with a token for an http(s) repository')
      .option('--listen <host:port>', 'let other machines in there, by TLS')
      .option('--api <host:port>', 'answer programs there over HTTPS too (needs --listen)')
      .option('--registry-credentials <path>', "logins: docker's config.json")
      .option('--insecure-registry <host:port...>', 'registries on loopback that speak plain http')
      .option('--forge <file>', 'show plans and checks there: what `purser github setup` wrote')
      .option('--signing-key <file>', "Purser's key, Ed25519 in OpenSSH's format (default: made)")
      .option(
        '--trust <commit>',
        'accept this commit, whoever signed it, and judge those after it',
      ),
  );

type Options = Readonly<Record<string, unknown>>;

/** The options that were given, as words for another command line. */
export const reconcilerWords = (options: Options): readonly string[] =>
  reconcilerOptions(new Command()).options.flatMap((option) => {
    const value = options[option.attributeName()];
    if (value === undefined || value === option.defaultValue) return [];
    return [option.long ?? '', ...(Array.isArray(value) ? value : [value]).map(String)];
  });

export interface Listens {
  readonly listen: string | null;
  readonly several: SeveralConfig | null;
}

/** Where a reconciler is to listen, and with whom; throws CommandError where that does not fit. */
export const listensOf = async (options: Options): Promise<Listens> => {
  const given = text(options['listen']);
  const listen = given === null ? null : withPort(given);
  if (text(options['api']) !== null && listen === null) {
    throw new CommandError('--api needs --listen: both let in who has a token of this cluster');
  }
  const several = await severalOf(options);
  if (several !== null) {
    const { severalProblem } = await import('../reconciler/several.ts');
    const problem = severalProblem(several, listen);
    if (problem !== null) throw new CommandError(problem);
  }
  return { listen, several };
};
