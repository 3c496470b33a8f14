// Tags being resolved: what compile asked for and the registry has answered, for this session only.
// In: asks. Out: answers as a value for SourceTree.lookups. A digest that is found goes into the
// ledger through compile's `owed`; failures are asked again with back-off. Not here: the registry
// protocol (edge/registry).

import type { DigestAsk, LookupAnswer } from '../schema/source.ts';
import { lookupKey } from '../schema/source.ts';
import type { Ms } from '../schema/spec.ts';
import type { ReconcilerPorts } from './ports.ts';
import { RETRY_LONGEST_MS } from './config.ts';

interface Lookup {
  readonly answer: LookupAnswer | null;
  readonly asking: boolean;
  readonly failedSince: Ms | null;
  readonly failures: number;
  readonly nextAt: Ms;
}

export interface Lookups {
  /** What is known now, by `lookupKey`; the same map as long as it says the same. */
  readonly answers: () => ReadonlyMap<string, LookupAnswer>;
  /** Begins what is due and forgets what nobody asks for any more. */
  readonly want: (asks: readonly DigestAsk[]) => void;
  /** When the next attempt is due, null when none is. */
  readonly nextAt: () => Ms | null;
}

/** First wait after a failed look-up; doubles up to RETRY_LONGEST_MS. */
const FIRST_WAIT_MS = 1000;

export const createLookups = (ports: ReconcilerPorts, wake: () => void): Lookups => {
  const lookups = new Map<string, Lookup>();
  let said: ReadonlyMap<string, LookupAnswer> = new Map();

  const begin = async (key: string, ask: DigestAsk, before: Lookup | undefined) => {
    const failures = before?.failures ?? 0;
    const failedSince = before?.failedSince ?? null;
    lookups.set(key, {
      answer: before?.answer ?? null,
      asking: true,
      failedSince,
      failures,
      nextAt: 0,
    });
    const answer = await ports.registry.resolve(ask);
    const now = ports.clock.now();
    const ok = answer.kind === 'digest';
    const wait = Math.min(FIRST_WAIT_MS * 2 ** failures, RETRY_LONGEST_MS);
    lookups.set(key, {
      answer,
      asking: false,
      failedSince: ok ? null : (failedSince ?? now),
      failures: ok ? 0 : failures + 1,
      nextAt: ok ? Number.POSITIVE_INFINITY : now + wait,
    });
    wake();
  };

  return {
    answers: () => {
      const now = ports.clock.now();
      const answers = new Map<string, LookupAnswer>();
      for (const [key, { answer, failedSince }] of lookups) {
        if (answer === null) continue;
        const sinceMs = now - (failedSince ?? now);
        answers.set(key, answer.kind === 'digest' ? answer : { ...answer, sinceMs });
      }
      // A failure grows older, so it is never the same answer.
      const isSaid =
        said.size === answers.size &&
        [...answers].every(([key, answer]) => said.get(key) === answer);
      if (!isSaid) said = answers;
      return said;
    },
    want: (asks) => {
      const wanted = new Map(asks.map((ask) => [lookupKey(ask), ask]));
      for (const [key, { asking, answer }] of lookups) {
        const found = answer?.kind === 'digest';
        if (!wanted.has(key) && !asking && !found) lookups.delete(key);
      }
      const now = ports.clock.now();
      for (const [key, ask] of wanted) {
        const known = lookups.get(key);
        if (known?.asking === true || (known !== undefined && known.nextAt > now)) continue;
        void begin(key, ask, known);
      }
    },
    nextAt: () => {
      const times = [...lookups.values()].filter(({ asking }) => !asking).map((l) => l.nextAt);
      const next = Math.min(...times);
      return Number.isFinite(next) ? next : null;
    },
  };
};
