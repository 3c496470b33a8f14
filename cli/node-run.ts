// A node runner, in the foreground: `purser node`, and what `purser node join` ends with.
// In: options. Out: a runner until the command ends. Not here: joining.

import { rm } from 'node:fs/promises';
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import type { DiscoverySettings } from '../node-runner/discovery.ts';
import { parseCpu, parseSize } from '../schema/units.ts';
import type { Invocation } from './command.ts';
import { text } from './command.ts';
import { CommandError } from './command-error.ts';
import { aborted, endWithStdin } from './end-with-stdin.ts';
import { joinedBelow, readJoined } from './joined.ts';
import { readPid, runnerPid, writePid } from './up/process.ts';
import pack from '../package.json' with { type: 'json' };

export const runNode = async ({ options, common, io }: Invocation): Promise<number> => {
  const name = text(options['name']) ?? (await onlyJoined(common.root));
  const root = text(options['nodeRoot']) ?? `${common.root}/nodes/${name}`;
  const joined = await readJoined(root);
  const cluster = text(options['cluster']) ?? joined?.cluster ?? null;
  if (cluster === null) {
    throw new CommandError(
      `${name} has not joined a cluster on this machine: \`purser node join ADDRESS TOKEN\`, ` +
        'or name the cluster of a reconciler on this machine with --cluster',
    );
  }
  if (joined !== null) await claim(root, name);
  const registries = options['insecureRegistry'];
  const { startRunner } = await import('../node-runner/main.ts');
  const runner = await startRunner({
    node: name,
    cluster,
    release: pack.version,
    root,
    links: linksOf(options, joined?.link ?? `unix:${common.root}/link.sock`),
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
    discovery: discoveryOf(options),
  });
  if (options['endWithStdin'] === true) endWithStdin();
  await aborted(io.signal);
  await runner.stop();
  if (joined !== null) await rm(runnerPid(root), { force: true });
  return 0;
};

/** Where one node has joined on this machine, it need not be named. */
const onlyJoined = async (root: string): Promise<string> => {
  const names = await joinedBelow(root);
  const [name] = names;
  if (name !== undefined && names.length === 1) return name;
  throw new CommandError(
    name === undefined
      ? 'name the node with --name; a new machine joins first: `purser node join ADDRESS TOKEN`'
      : `several nodes have joined on this machine; name one with --name: ${names.join(', ')}`,
  );
};

/** One runner a node. */
const claim = async (root: string, name: string): Promise<void> => {
  const file = runnerPid(root);
  const pid = await readPid(file);
  if (pid !== null) throw new CommandError(`${name} runs already, as process ${pid}`);
  await writePid(file);
};

/** Of several reconcilers each may be named; a leader tells of the others (edge/places.ts). */
const linksOf = (options: Readonly<Record<string, unknown>>, known: string): readonly string[] => {
  const given = options['link'];
  const links = Array.isArray(given) ? given.map(String) : [];
  return links.length === 0 ? [known] : links;
};

const cniOf = (options: Readonly<Record<string, unknown>>) => {
  const config = text(options['cniConfig']);
  return config === null ? null : { config, binDir: text(options['cniBin']) ?? '/usr/lib/cni' };
};

const discoveryOf = (options: Readonly<Record<string, unknown>>): DiscoverySettings => {
  const kinds = ['haproxy', 'traefik', 'prometheus'] as const;
  return {
    dns: loopbackOf(text(options['dns'])),
    files: kinds.flatMap((kind) => {
      const path = text(options[`${kind}File`]);
      return path === null ? [] : [{ kind, path: resolve(path) }];
    }),
    consul: consulOf(text(options['consul']), text(options['consulTokenFile'])),
  };
};

/** Whoever can ask is answered, also with names of the world: nobody beyond this machine. */
const loopbackOf = (written: string | null): DiscoverySettings['dns'] => {
  if (written === null) return null;
  const [, address = '', port = '53'] =
    /^(127(?:\.\d{1,3}){3}|\[::1\])(?::(\d{1,5}))?$/.exec(written) ?? [];
  const isAddress = isIP(address.replace(/^\[|\]$/g, '')) !== 0;
  if (isAddress && Number(port) > 0 && Number(port) < 65_536)
    return { address: address.replace(/^\[|\]$/g, ''), port: Number(port) };
  throw new CommandError(
    `--dns ${written} is no loopback address: write 127.0.0.1:53, or [::1]:53; it answers this ` +
      'machine alone',
  );
};

/** The agent of this machine: a token is not sent in the clear to any other. */
const consulOf = (url: string | null, tokenFile: string | null): DiscoverySettings['consul'] => {
  if (url === null && tokenFile === null) return null;
  if (url === null) throw new CommandError('--consul-token-file needs --consul');
  const found = /^http:\/\/(127(?:\.\d{1,3}){3}|localhost|\[::1\])(?::(\d{1,5}))?\/?$/.exec(url);
  const [, host = '', port = '8500'] = found ?? [];
  if (found !== null && Number(port) > 0 && Number(port) < 65_536) {
    const file = tokenFile === null ? null : resolve(tokenFile);
    return { host: host.replace(/^\[|\]$/g, ''), port: Number(port), tokenFile: file };
  }
  throw new CommandError(
    `--consul ${url} is no agent of this machine: write http://127.0.0.1:8500; an agent runs on ` +
      'each node, and is asked without TLS',
  );
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
