// Configuration of CNI plugins: a list from a file or a folder, and what is said to each plugin.
// In: text, an allocation's ports. Out: values. Not here: reading files, running plugins (cni.ts).

import { addressKind, isLoopbackAddress } from '../../../schema/ip-address.ts';
import type { NetworkAsk } from '../../ports.ts';

export interface CniConfig {
  readonly cniVersion: string;
  readonly name: string;
  /** In the order in which they are added; each has `type`, the name of the program. */
  readonly plugins: readonly CniPlugin[];
}

export type CniPlugin = Readonly<Record<string, unknown>> & { readonly type: string };

/** A `.conflist` (list of plugins) or a `.conf` (one plugin); null when it is neither. */
export const parseCniConfig = (text: string): CniConfig | null => {
  const value = parse(text);
  if (!isRecord(value) || typeof value['name'] !== 'string') return null;
  const { name, cniVersion = '0.1.0' } = value;
  if (typeof name !== 'string' || typeof cniVersion !== 'string') return null;
  const plugins = Array.isArray(value['plugins']) ? value['plugins'] : [value];
  return plugins.length > 0 && plugins.every(isPlugin) ? { cniVersion, name, plugins } : null;
};

/**
 * Files of a configuration folder that count, in the order of the specification: the first is
 * taken.
 */
export const isCniFile = (name: string): boolean => /\.(conflist|conf|json)$/.test(name);

/** What a plugin reads on its standard input. */
export const pluginInput = (
  config: CniConfig,
  plugin: CniPlugin,
  extra: { readonly ports: NetworkAsk['ports']; readonly prevResult: unknown },
): string => {
  const capabilities = plugin['capabilities'];
  const takesPorts = isRecord(capabilities) && capabilities['portMappings'] === true;
  const { capabilities: _declared, ...rest } = plugin;
  return JSON.stringify({
    ...rest,
    name: config.name,
    cniVersion: config.cniVersion,
    ...(takesPorts ? { runtimeConfig: { portMappings: portMappings(extra.ports) } } : {}),
    ...(extra.prevResult === null ? {} : { prevResult: extra.prevResult }),
  });
};

/** Whether any plugin of the list publishes ports. */
export const publishesPorts = (config: CniConfig): boolean =>
  config.plugins.some(({ capabilities }) => isRecord(capabilities) && capabilities['portMappings']);

const portMappings = (ports: NetworkAsk['ports']): readonly object[] =>
  ports.flatMap(({ port, host }) =>
    ['tcp', 'udp'].map((protocol) => ({ hostPort: host, containerPort: port, protocol })),
  );

/** IPv4 addresses of a result, in its order, without prefix lengths. */
export const addressesOfResult = (result: unknown): readonly string[] =>
  listIn(result, 'ips').flatMap((ip) => {
    const [address = ''] = isRecord(ip) ? String(ip['address']).split('/') : [];
    return addressKind(address) === 'ipv4' ? [address] : [];
  });

/**
 * Name servers and domains that plugins name, as a resolv.conf; '' where they name none. What
 * cannot stand there, and servers that every machine has for itself, are left out.
 */
export const resolvConfOfResult = (result: unknown): string => {
  const dns = isRecord(result) ? result['dns'] : null;
  const words = (name: string) => listIn(dns, name).filter(isWord);
  const servers = words('nameservers').filter(isNameServer).slice(0, NAME_SERVERS);
  const domain = isRecord(dns) ? [dns['domain']].filter(isWord) : [];
  const search = [...words('search'), ...domain];
  const options = words('options');
  return [
    ...servers.map((address) => `nameserver ${address}\n`),
    search.length === 0 ? '' : `search ${search.join(' ')}\n`,
    options.length === 0 ? '' : `options ${options.join(' ')}\n`,
  ].join('');
};

/** As many as C libraries ask. */
const NAME_SERVERS = 3;

const isWord = (value: unknown): value is string =>
  typeof value === 'string' && /^[\w.:-]{1,253}$/.test(value);

const isNameServer = (address: string): boolean =>
  addressKind(address)?.startsWith('ip') === true && !isLoopbackAddress(address);

const listIn = (value: unknown, name: string): readonly unknown[] => {
  const list = isRecord(value) ? value[name] : null;
  return Array.isArray(list) ? list : [];
};

/** Plugins print errors as JSON on standard output; whatever else they print is given as it is. */
export const pluginError = (stdout: string): string => {
  const value = parse(stdout);
  if (!isRecord(value)) return stdout.trim().slice(0, 400);
  return [value['msg'], value['details']].filter((text) => typeof text === 'string').join(': ');
};

export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isPlugin = (value: unknown): value is CniPlugin =>
  isRecord(value) && typeof value['type'] === 'string' && /^[\w.-]+$/.test(value['type']);

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
};
