// `purser node`: a node runner, in the foreground.

import { parseCpu, parseSize } from '../schema/units.ts';
import type { CommandSpec } from './command.ts';
import { text } from './command.ts';
import { CommandError } from './command-error.ts';
import { endWithStdin } from './end-with-stdin.ts';
import { aborted } from './reconciler.ts';

export const node: CommandSpec = {
  usage: 'node',
  summary: 'run a node runner (what `up` does for you)',
  examples: [
    ['purser node --name n1 --cluster shop', 'with a containerd of its own'],
    ['purser node --name n1 --cluster shop --link 127.0.0.1:7420', 'a reconciler on a port'],
  ],
  define: (command) =>
    command
      .requiredOption('--name <node>', "the node's name, as in nodes/<name>.yaml")
      .requiredOption('--cluster <name>', 'the name in cluster.yaml')
      .option('--node-root <dir>', 'where everything of this node lies (default ROOT/nodes/NAME)')
      .option('--link <address>', 'the reconciler: unix:/path or 127.0.0.1:PORT')
      .option('--containerd <socket>', 'a containerd that runs already (default: a private one)')
      .option('--containerd-binary <path>', 'program of the private containerd', 'containerd')
      .option('--address <ip>', 'address at which published ports answer')
      .option('--cpu <cores>', 'CPU for allocations: 2, 1500m')
      .option('--memory <size>', 'memory for allocations: 4GiB')
      .option('--subnet <cidr>', 'addresses for allocations: 10.1.4.0/22')
      .option('--cni-config <path>', 'CNI plugins in place of the own network: a .conflist')
      .option('--cni-bin <dir>', 'where the CNI plugins are', '/usr/lib/cni')
      .option('--registry-credentials <path>', "docker's config.json")
      .option('--insecure-registry <host:port...>', 'registries that speak plain http')
      .option('--end-with-stdin', 'end when stdin closes'),
  run: async ({ options, common, io }) => {
    const { startRunner } = await import('../node-runner/main.ts');
    const name = String(options['name']);
    const registries = options['insecureRegistry'];
    const runner = await startRunner({
      node: name,
      cluster: String(options['cluster']),
      root: text(options['nodeRoot']) ?? `${common.root}/nodes/${name}`,
      link: text(options['link']) ?? `unix:${common.root}/link.sock`,
      containerd: text(options['containerd']),
      containerdBinary: text(options['containerdBinary']) ?? 'containerd',
      address: text(options['address']),
      capacity: {
        cpuMilli: quantity(options, 'cpu', parseCpu),
        memoryBytes: quantity(options, 'memory', parseSize),
      },
      registryLogins: text(options['registryCredentials']),
      insecureRegistries: Array.isArray(registries) ? registries.map(String) : [],
      subnet: text(options['subnet']),
      cni: cniOf(options),
    });
    if (options['endWithStdin'] === true) endWithStdin();
    await aborted(io.signal);
    await runner.stop();
    return 0;
  },
};

const cniOf = (options: Readonly<Record<string, unknown>>) => {
  const config = text(options['cniConfig']);
  return config === null ? null : { config, binDir: text(options['cniBin']) ?? '/usr/lib/cni' };
};

const quantity = (
  options: Readonly<Record<string, unknown>>,
  name: string,
  parse: (written: string) => number | null,
): number | null => {
  const written = text(options[name]);
  if (written === null) return null;
  const value = parse(written);
  if (value === null)
    throw new CommandError(`--${name} ${written} is no quantity: write 2 or 500m, 4GiB`);
  return value;
};
