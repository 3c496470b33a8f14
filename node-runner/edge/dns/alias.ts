// A service that is a host name outside the cluster: the name, and what it stands for now.
// In: the question and the host name. Out: a CNAME with the addresses behind it: the resolvers of
// programs do not ask again. Not here: asking (forward.ts).

import { randomInt } from 'node:crypto';
import dnsPacket from 'dns-packet';
import type { Answer, RecordType } from 'dns-packet';
import type { DnsQuestion } from '../../ports.ts';
import type { Forward } from './forward.ts';
import { ANSWER_TTL_SECONDS, decodePacket, RCODE, type Reply } from './packet.ts';

/** Records of one answer from outside; more is cut. */
const OUTSIDE_RECORDS = 64;

export const resolveAlias = async (
  { name, type }: DnsQuestion,
  {
    target,
    forward,
    source,
  }: { readonly target: string; readonly forward: Forward; readonly source: string },
): Promise<Omit<Reply, 'most'>> => {
  const alias: Answer = { type: 'CNAME', name, ttl: ANSWER_TTL_SECONDS, data: target };
  const own = { rcode: RCODE.ok, authoritative: true, answers: [alias] } as const;
  if (type !== 'A' && type !== 'AAAA') return own;
  const answer = await forward(questionFor(target, type), { transport: 'udp', asker: source });
  const decoded = answer === null ? null : decodePacket(answer);
  if (decoded === null || decoded === undefined) return { rcode: RCODE.failed };
  const found = (decoded.answers ?? []).filter((one) => one.type === type || one.type === 'CNAME');
  return { ...own, answers: [alias, ...found.slice(0, OUTSIDE_RECORDS)] };
};

const questionFor = (name: string, type: RecordType): Buffer =>
  dnsPacket.encode({
    type: 'query',
    id: randomInt(65_536),
    flags: dnsPacket.RECURSION_DESIRED,
    questions: [{ type, name }],
  });
