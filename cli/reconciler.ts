// `purser reconciler`: the control plane of one cluster, in the foreground.

import { dirname, join, resolve } from 'node:path';
import type { CommandSpec } from './command.ts';
import { text } from './command.ts';
import { CommandError } from './command-error.ts';
import { aborted, endWithStdin } from './end-with-stdin.ts';
import { DEFAULT_API_PORT, withPort } from './host-port.ts';
import { listensOf, reconcilerOptions } from './reconciler-options.ts';
import { API_SOCKET, AUTHORITY_FOLDER, SIGNING_KEY } from './up/layout.ts';

export const reconciler: CommandSpec = {
  usage: 'reconciler',
  summary: 'run the reconciler of one cluster (what `up` does for you)',
  examples: [
    ['purser reconciler --repository /srv/shop.git --cluster shop', 'a local repository'],
    [
      'purser reconciler --repository https://git.example/shop.git --token-file /etc/purser/token --cluster shop',
      'a remote one',
    ],
    [
      'purser reconciler --repository https://git.example/shop.git --cluster shop --listen 10.0.0.1 --etcd 10.0.0.5,10.0.0.6,10.0.0.7 --etcd-ca ca.crt --etcd-cert r1.crt --etcd-key r1.key',
      'one of several',
    ],
  ],
  define: (command) =>
    reconcilerOptions(command)
      .requiredOption('--repository <url>', 'path, http(s) or ssh URL of the Git repository')
      .requiredOption('--cluster <name>', 'the name in cluster.yaml')
      .option('--branch <name>', 'branch to follow', 'main')
      .option('--link <address>', 'where runners dial: unix:/path or 127.0.0.1:PORT')
      .option('--end-with-stdin', 'end when stdin closes'),
  run: async ({ options, common, io }) => {
    const { startReconciler } = await import('../reconciler/main.ts');
    const registries = options['insecureRegistry'];
    const forge = text(options['forge']);
    const { listen, several } = await listensOf(options);
    const api = text(options['api']);
    const started = await startReconciler({
      cluster: required(options, 'cluster'),
      repository: {
        url: required(options, 'repository'),
        branch: text(options['branch']) ?? 'main',
        directory: text(options['directory']) ?? '',
        tokenFile: text(options['tokenFile']),
      },
      cacheDir: `${common.root}/cache`,
      linkAddress: text(options['link']) ?? `unix:${common.root}/link.sock`,
      listen:
        listen === null
          ? null
          : {
              address: listen,
              folder: join(common.root, AUTHORITY_FOLDER),
              ...(api === null ? {} : { apiAddress: withPort(api, DEFAULT_API_PORT) }),
            },
      ...(several === null ? {} : { several }),
      controlSocket: common.socket,
      apiSocket: join(dirname(common.socket), API_SOCKET),
      registryCredentials: text(options['registryCredentials']),
      insecureRegistries: Array.isArray(registries) ? registries.map(String) : [],
      program: typeof PURSER_BUILD === 'undefined' ? null : PURSER_BUILD,
      signingKey: signingKeyOf(common.root, text(options['signingKey'])),
      trusted: trustedOf(text(options['trust'])),
      forge: forge === null ? null : await readForge(forge),
    });
    if (options['endWithStdin'] === true) endWithStdin();
    await aborted(io.signal);
    await started.stop();
    return 0;
  },
};

/** Loaded when it is needed: most starts have no forge. */
const readForge = async (file: string) => (await import('./forge-file.ts')).readForgeFile(file);

/** One that is named must be there; the cluster's own is made. */
const signingKeyOf = (root: string, given: string | null) =>
  given === null
    ? { file: join(root, SIGNING_KEY), make: true }
    : { file: resolve(given), make: false };

const trustedOf = (commit: string | null): string | null => {
  if (commit === null || /^[0-9a-f]{40}$/.test(commit)) return commit;
  throw new CommandError('--trust takes the whole id of a commit: git rev-parse COMMIT');
};

/** Set by esbuild.mjs; from the sources, run without a bundle, it is not there. */
declare const PURSER_BUILD: string | undefined;

const required = (options: Readonly<Record<string, unknown>>, name: string): string => {
  const value = text(options[name]);
  if (value === null) throw new CommandError(`--${name} is missing`);
  return value;
};
