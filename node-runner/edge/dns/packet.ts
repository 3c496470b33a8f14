// DNS messages: bytes into a question, an answer into bytes of at most a size.
// In: what came from anybody. Out: a question, or what to say to bytes that hold none; replies that
// fit. Never throws. Not here: what a name means (decide/dns.ts), sockets (server.ts).

import dnsPacket from 'dns-packet';
import type { Answer, OptAnswer } from 'dns-packet';
import type { DnsQuestion, DnsRecord } from '../../ports.ts';

/**
 * How long a client may keep an answer, and that there was none: a copy that left is asked for at
 * most so much longer.
 */
export const ANSWER_TTL_SECONDS = 1;
/** Without EDNS (RFC 1035). */
const PLAIN_UDP_BYTES = 512;
/** The most that crosses every network in one piece (DNS flag day 2020). */
const EDNS_UDP_BYTES = 1232;
/** What the two bytes of a length can say. */
const TCP_BYTES = 65_535;
/** A question with options is far smaller; a name has at most 255 bytes. */
export const QUERY_BYTES = 4096;

export const RCODE = {
  ok: 0,
  malformed: 1,
  failed: 2,
  noName: 3,
  notImplemented: 4,
  refused: 5,
  badVersion: 16,
} as const;

export interface Query {
  readonly id: number;
  readonly flags: number;
  readonly question: DnsQuestion;
  /** As it came: names are echoed in the client's own case. */
  readonly questionBytes: Buffer;
  /** Size of answers that the client takes over UDP; null: it speaks no EDNS. */
  readonly ednsBytes: number | null;
}

export type ReadQuery =
  | { readonly kind: 'query'; readonly query: Query }
  | { readonly kind: 'reply'; readonly bytes: Buffer }
  /** Answers are not answered, nor what is shorter than a header: two servers would never end. */
  | { readonly kind: 'silence' };

const HEADER_BYTES = 12;
const IS_RESPONSE = 0x8000;
const OPCODE = 0x7800;
const TRUNCATED = 0x0200;
/** The client's: recursion desired, checking disabled. */
const ECHOED = OPCODE | 0x0110;
const RECURSION_AVAILABLE = 0x0080;
const AUTHORITATIVE = 0x0400;
/** Records beside the question: one of EDNS, perhaps a signature. */
const EXTRA_RECORDS = 4;
const CLASS_IN = 1;

export const readQuery = (bytes: Buffer): ReadQuery => {
  if (bytes.length < HEADER_BYTES) return { kind: 'silence' };
  const flags = bytes.readUInt16BE(2);
  if ((flags & IS_RESPONSE) !== 0) return { kind: 'silence' };
  const bare = { id: bytes.readUInt16BE(0), flags, questionBytes: null, ednsBytes: null };
  const say = (rcode: number): ReadQuery => ({
    kind: 'reply',
    bytes: replyBytes(bare, { rcode, most: PLAIN_UDP_BYTES }),
  });
  if ((flags & OPCODE) !== 0) return say(RCODE.notImplemented);
  const [questions, answers, authorities, extra] = [4, 6, 8, 10].map((at) =>
    bytes.readUInt16BE(at),
  );
  const counts = questions === 1 && answers === 0 && authorities === 0;
  if (!counts || (extra ?? 0) > EXTRA_RECORDS || bytes.length > QUERY_BYTES) {
    return say(RCODE.malformed);
  }
  const name = readName(bytes);
  const decoded = decodePacket(bytes);
  const [question] = decoded?.questions ?? [];
  if (name === null || decoded === null || question === undefined) return say(RCODE.malformed);
  const opt = decoded.additionals?.find((one): one is OptAnswer => one.type === 'OPT');
  const query: Query = {
    ...bare,
    question: { name: name.text, type: question.type },
    questionBytes: bytes.subarray(HEADER_BYTES, name.end + 4),
    ednsBytes: opt === undefined ? null : opt.udpPayloadSize,
  };
  const refuse = (rcode: number): ReadQuery => ({
    kind: 'reply',
    bytes: reply(query, { rcode, most: mostBytes(query, 'udp') }),
  });
  if (opt !== undefined && opt.ednsVersion !== 0) return refuse(RCODE.badVersion);
  if (bytes.readUInt16BE(name.end + 2) !== CLASS_IN) return refuse(RCODE.refused);
  return { kind: 'query', query };
};

/** What a reply to this query may have. */
export const mostBytes = ({ ednsBytes }: Pick<Query, 'ednsBytes'>, over: 'udp' | 'tcp'): number => {
  if (over === 'tcp') return TCP_BYTES;
  if (ednsBytes === null) return PLAIN_UDP_BYTES;
  return Math.min(EDNS_UDP_BYTES, Math.max(PLAIN_UDP_BYTES, ednsBytes));
};

export interface Reply {
  readonly rcode: number;
  /** Bytes that it may have in all. */
  readonly most: number;
  /** From our own catalogue; absent: nothing is known of it here. */
  readonly authoritative?: true;
  readonly truncated?: true;
  readonly answers?: readonly Answer[];
  readonly authorities?: readonly Answer[];
  /** A courtesy: left out where there is no room. */
  readonly additionals?: readonly Answer[];
}

/** Answers that do not fit are left out, and the reply says so: the client asks again over TCP. */
export const reply = (query: Query, what: Reply): Buffer => replyBytes(query, what);

type Asked = Omit<Query, 'question' | 'questionBytes'> & {
  readonly questionBytes: Buffer | null;
  readonly question?: DnsQuestion;
};

const replyBytes = (asked: Asked, what: Reply): Buffer => {
  const { id, flags, questionBytes, ednsBytes } = asked;
  const opt = ednsBytes === null ? [] : [optRecord(what.rcode)];
  const question = questionBytes ?? Buffer.alloc(0);
  const room = what.most - HEADER_BYTES - question.length - sizeOf(opt);
  const owner = asked.question?.name ?? null;
  const encoded = (list: readonly Answer[] = []) => list.flatMap((one) => encodeRecord(one, owner));
  const allAnswers = encoded(what.answers);
  const answers = fitting(allAnswers, room);
  const authorities = fitting(encoded(what.authorities), room - sizeOf(answers));
  const cut = what.truncated === true || answers.length < allAnswers.length;
  const left = cut ? 0 : room - sizeOf(answers) - sizeOf(authorities);
  const additionals = [...fitting(encoded(what.additionals), left), ...opt];
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(
    IS_RESPONSE |
      (flags & ECHOED) |
      RECURSION_AVAILABLE |
      (what.authoritative === true ? AUTHORITATIVE : 0) |
      (cut ? TRUNCATED : 0) |
      (what.rcode & 0xf),
    2,
  );
  header.writeUInt16BE(question.length === 0 ? 0 : 1, 4);
  header.writeUInt16BE(answers.length, 6);
  header.writeUInt16BE(authorities.length, 8);
  header.writeUInt16BE(additionals.length, 10);
  return Buffer.concat([header, question, ...answers, ...authorities, ...additionals]);
};

const sizeOf = (parts: readonly Buffer[]): number =>
  parts.reduce((sum, { length }) => sum + length, 0);

/** As many from the front as fit. */
const fitting = (parts: readonly Buffer[], room: number): readonly Buffer[] => {
  let used = 0;
  const end = parts.findIndex(({ length }) => (used += length) > room);
  return end < 0 ? parts : parts.slice(0, end);
};

/** Records of the catalogue as the library takes them. */
export const recordsOf = (records: readonly DnsRecord[]): readonly Answer[] =>
  records.map((record): Answer => {
    const { name } = record;
    const ttl = ANSWER_TTL_SECONDS;
    switch (record.type) {
      case 'A':
      case 'AAAA':
        return { type: record.type, name, ttl, data: record.address };
      case 'SRV': {
        const { port, target } = record;
        return { type: 'SRV', name, ttl, data: { priority: 1, weight: 1, port, target } };
      }
      case 'SOA':
        return { type: 'SOA', name, ttl, data: { ...SOA, mname: name, rname: `root.${name}` } };
    }
  });

/** Nobody transfers the zone: only `minimum` is used, by whoever keeps that there was no answer. */
const SOA = { serial: 1, refresh: 3600, retry: 600, expire: 86_400, minimum: ANSWER_TTL_SECONDS };

/** Where the question's own name stands in every reply: a record refers to it in two bytes. */
const OWNER = Buffer.from([0xc0, HEADER_BYTES]);

/** None where a name or an address is not what the format holds. */
const encodeRecord = (record: Answer, owner: string | null): readonly Buffer[] => {
  if (!isSound(record)) return [];
  try {
    const bytes = dnsPacket.encode({ answers: [record] }).subarray(HEADER_BYTES);
    if (record.name !== owner) return [bytes];
    return [Buffer.concat([OWNER, bytes.subarray(Buffer.byteLength(owner) + 2)])];
  } catch {
    return [];
  }
};

const optRecord = (rcode: number): Buffer =>
  dnsPacket
    .encode({
      additionals: [
        {
          type: 'OPT',
          name: '.',
          udpPayloadSize: EDNS_UDP_BYTES,
          extendedRcode: rcode >> 4,
          ednsVersion: 0,
          flags: 0,
          flag_do: false,
          options: [],
        },
      ],
    })
    .subarray(HEADER_BYTES);

/** The library writes the length of a label into one byte, whatever it is. */
const isSound = (record: Answer): boolean => {
  if (!isName(record.name)) return false;
  if (record.type === 'SRV') return isName(record.data.target);
  return record.type !== 'CNAME' || isName(record.data);
};

const isName = (name: string): boolean =>
  name.length <= 253 && /^[\x21-\x7e]+$/.test(name) && name.split('.').every(isLabel);

const isLabel = ({ length }: string): boolean => length > 0 && length <= 63;

/** null for what is no message. */
export const decodePacket = (bytes: Buffer): ReturnType<typeof dnsPacket.decode> | null => {
  try {
    return dnsPacket.decode(bytes);
  } catch {
    return null;
  }
};

/**
 * The question's name in lower case, and where it ends. A dot inside a label is no end of one, so
 * it is shown as something that no name has. null: it refers elsewhere, or does not end.
 */
const readName = (bytes: Buffer): { readonly text: string; readonly end: number } | null => {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (;;) {
    const length = bytes[at];
    if (length === undefined || length > 63 || at - HEADER_BYTES > 254) return null;
    at += 1;
    if (length === 0) break;
    labels.push(bytes.toString('latin1', at, at + length).replaceAll('.', '\0'));
    at += length;
  }
  if (at + 4 > bytes.length) return null;
  return { text: labels.join('.').toLowerCase(), end: at };
};
