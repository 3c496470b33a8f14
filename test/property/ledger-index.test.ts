// The index of a ledger that follows another one is that of the ledger alone, and names the jobs
// whose records are others.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  indexAfter,
  indexLedger,
  recordsOf,
  type Indexed,
} from '../../reconciler/desired/ledger-index.ts';
import type { LedgerRecord } from '../../schema/ledger.ts';

const JOBS = ['shop/a', 'shop/b', 'shop/c', 'tools/d'];
const job = fc.constantFrom(...JOBS);
const record: fc.Arbitrary<LedgerRecord> = fc.oneof(
  fc.record({
    kind: fc.constant('settled' as const),
    job,
    specHash: fc.constantFrom('v1', 'v2'),
    deployment: fc.constant('d'),
    commit: fc.constantFrom('c1', 'c2'),
    digests: fc.constant([]),
  }),
  fc.record({
    kind: fc.constant('reverted' as const),
    job,
    deployment: fc.constantFrom('d1', 'd2'),
    commit: fc.constant('c'),
  }),
  fc.record({ kind: fc.constant('synced' as const), commit: fc.constantFrom('c1', 'c2') }),
  fc.record({
    kind: fc.constant('cluster' as const),
    cluster: fc.constant('test'),
    branch: fc.constantFrom('main', 'other'),
    directory: fc.constant(''),
  }),
  fc.record({
    kind: fc.constant('volume' as const),
    namespace: fc.constant('shop'),
    job: fc.constant('a'),
    volume: fc.constant('data'),
    group: fc.constant('main'),
    index: fc.nat(1),
    node: fc.constantFrom('n1', 'n2', null),
  }),
);

/** Some records go, others come in their place; the rest are the same objects. */
const edit = fc.record({
  at: fc.nat(12),
  remove: fc.nat(3),
  add: fc.array(record, { maxLength: 3 }),
});

it('indexes what differs', () => {
  fc.assert(
    fc.property(
      fc.array(record, { maxLength: 12 }),
      fc.array(fc.array(edit, { minLength: 1, maxLength: 2 }), { maxLength: 5 }),
      (first, steps) => {
        let ledger: readonly LedgerRecord[] = first;
        let before: Indexed = indexAfter(ledger, null);
        expect(before.index).toEqual(indexLedger(ledger, null));
        for (const edits of steps) {
          for (const { at, remove, add } of edits) {
            ledger = [...ledger.slice(0, at), ...add, ...ledger.slice(at + remove)];
          }
          const after = indexAfter(ledger, before);
          const whole = indexLedger(ledger, null);
          expect({ ...after.index, byJob: null }).toEqual({ ...whole, byJob: null });
          for (const id of JOBS) {
            expect(recordsOf(after.index, id)).toEqual(recordsOf(whole, id));
            const isOther = recordsOf(after.index, id) !== recordsOf(before.index, id);
            if (isOther) expect(after.changed).toContain(id);
          }
          before = after;
        }
      },
    ),
  );
});
