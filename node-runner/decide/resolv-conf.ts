// /etc/resolv.conf of a copy: names of services without their domain, and the names of the world.
// In: the body, the node, the copy's network. Out: text. Pure. Not here: reading the machine's own
// (edge/resolv-conf), what plugins of CNI name (edge/network), who answers (edge/dns).

import type { AllocationBody } from '../../schema/orders.ts';
import { SERVICE_DOMAIN } from '../../schema/services.ts';
import type { NodeFacts } from './inventory.ts';
import type { OwnNetwork } from './network.ts';

/** Older C libraries read six domains and 256 characters. */
const SEARCH_DOMAINS = 6;
const SEARCH_CHARS = 256;

/**
 * `web` is looked for in the copy's own namespace first and `web.shop` in that namespace (ndots),
 * before the world. One server alone: a second one would be asked as well, by some C libraries at
 * the same time, and say that there is no such name. While the runner is started again a question
 * is asked again, so the copy waits, and its look-up does not fail. What whoever made the network
 * names takes the place of what the machine says.
 */
export const resolvConfOf = (
  { namespace, spec }: Pick<AllocationBody, 'namespace' | 'spec'>,
  { resolvConf: machine, dnsAddress }: Pick<NodeFacts, 'resolvConf' | 'dnsAddress'>,
  { reachesDns = true, resolvConf: made = '' }: Pick<OwnNetwork, 'reachesDns' | 'resolvConf'> = {},
): string => {
  const resolvConf = replaced(machine, made);
  if (dnsAddress === undefined || spec.networkMode !== 'bridge' || !reachesDns) return resolvConf;
  const own = [`${namespace}.${SERVICE_DOMAIN}`, SERVICE_DOMAIN];
  const search = fitting([...own, ...wordsOf(resolvConf, /^(search|domain)$/)]);
  const options = wordsOf(resolvConf, /^options$/).filter((word) => !OURS.test(word));
  return [
    `nameserver ${dnsAddress}`,
    `search ${search.join(' ')}`,
    `options ${['ndots:2', 'timeout:3', 'attempts:5', ...options].join(' ')}`,
    '',
  ].join('\n');
};

/** Of two lines with domains the last one counts. */
const replaced = (machine: string, made: string): string => {
  if (made === '') return machine;
  return /^nameserver/m.test(made) ? made : `${machine}\n${made}`;
};

const OURS = /^(ndots|timeout|attempts):/;

/** Behind the last line that begins so; `.` is no domain to look in. */
const wordsOf = (text: string, keyword: RegExp): readonly string[] => {
  const lines = text.split('\n').map((line) => line.trim().split(/\s+/));
  const [, ...words] = lines.findLast(([first = '']) => keyword.test(first)) ?? [];
  return words.filter((word) => word !== '.');
};

const fitting = (domains: readonly string[]): readonly string[] =>
  [...new Set(domains)]
    .slice(0, SEARCH_DOMAINS)
    .filter((_, at, all) => all.slice(0, at + 1).join(' ').length <= SEARCH_CHARS);
