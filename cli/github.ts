// `purser github setup`: Purser's login on GitHub, made or taken, and checked.

import type { CommandSpec } from './command.ts';
import { CommandError } from './command-error.ts';

export const github: CommandSpec = {
  usage: 'github <setup>',
  summary: 'show plans and checks on GitHub: make or take a login, and check it',
  examples: [
    [
      'purser github setup --repository shop/cluster',
      'makes a GitHub App in your browser, keeps its key, checks everything',
    ],
    [
      'purser github setup --repository shop/cluster --app-id 12 --key-file key.pem',
      'takes an App that is there',
    ],
    [
      'purser github setup --repository shop/cluster --token-file token',
      'without an App: statuses and a comment, no buttons',
    ],
    ['purser github setup', 'checks again what was set up'],
  ],
  exits: '0 well, 1 something is missing, 2 an error',
  define: (command) =>
    command
      .option('--repository <owner/name>', 'on GitHub')
      .option('--url <url>', 'of a GitHub Enterprise Server', 'https://github.com')
      .option('--branch <name>', 'branch that the cluster follows', 'main')
      .option('--directory <path>', "the cluster's directory in the repository", '')
      .option('--app-id <id>', 'an App that is there')
      .option('--key-file <path>', "the App's private key (it is copied)")
      .option('--webhook-secret-file <path>', "the App's webhook secret (it is copied)")
      .option('--token-file <path>', 'a token in place of an App (it is copied)')
      .option('--organization', 'the App belongs to the organization, not to you')
      .option('--webhook-url <url>', 'where GitHub reaches this machine, such as a proxy with TLS')
      .option(
        '--webhook-listen <address>',
        'where deliveries arrive here (default: as before, else 127.0.0.1:8471)',
      ),
  run: async (invocation) => {
    if (invocation.args[0] !== 'setup') throw new CommandError('write `purser github setup`');
    return (await import('./github-setup.ts')).setUpGitHub(invocation);
  },
};
