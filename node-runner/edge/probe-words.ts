// What a check found, in a sentence for people.
// In: the ask, and a status or an error. Out: ProbeAnswer. Not here: connecting.

import type { ProbeAnswer, ProbeAsk } from '../ports.ts';
import { errnoOf, messageOf } from './failure.ts';

const OK: ProbeAnswer = { ok: true };

/** 2xx and 3xx are fine, a tcp check that connected too (`status` null). */
export const answered = (ask: ProbeAsk, status: number | null): ProbeAnswer =>
  status === null || (status >= 200 && status < 400)
    ? OK
    : { ok: false, message: `GET ${ask.path} answered ${status}` };

/** `no answer within 2s`. */
export const silent = (ask: ProbeAsk): ProbeAnswer => {
  const { timeoutMs } = ask;
  const time = timeoutMs % 1000 === 0 ? `${timeoutMs / 1000}s` : `${timeoutMs}ms`;
  return { ok: false, message: `no answer within ${time}` };
};

export const failed = (ask: ProbeAsk, error: unknown): ProbeAnswer => {
  const code = errnoOf(error) ?? '';
  if (code === 'ETIMEDOUT') return silent(ask);
  return { ok: false, message: describe(ask, code) ?? fallback(ask, error) };
};

const describe = (ask: ProbeAsk, code: string): string | null => {
  if (code.startsWith('HPE_')) return `the answer on port ${ask.port} is not HTTP`;
  switch (code) {
    case 'ECONNREFUSED':
      return `connection refused on port ${ask.port}`;
    case 'ECONNRESET':
    case 'EPIPE':
      return `connection to port ${ask.port} was closed without an answer`;
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return `no route to ${ask.address}`;
    default:
      return null;
  }
};

const fallback = (ask: ProbeAsk, error: unknown): string =>
  `${ask.kind} check of port ${ask.port}: ${messageOf(error)}`;
