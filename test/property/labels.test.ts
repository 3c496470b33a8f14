// Labels survive a round trip, and what is not ours is not taken for ours.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeLabels, encodeLabels, hasLabels, LABEL_BYTES } from '../../schema/labels.ts';

const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,39}$/);
const hash = fc.stringMatching(/^[0-9a-f]{64}$/);
const count = fc.integer({ min: 0, max: 1_000_000 });
const facts = fc.record({
  cluster: name,
  node: name,
  allocation: name,
  task: name,
  namespace: name,
  job: name,
  group: name,
  index: count,
  attempt: count,
  specHash: hash,
  groupHash: hash,
  deployment: hash,
  commit: hash,
  settled: fc.boolean(),
  everHealthy: fc.boolean(),
  restarts: count,
});

describe('labels', () => {
  it('survive a round trip beside labels of others', () => {
    fc.assert(
      fc.property(facts, (value) => {
        const labels = { ...encodeLabels(value), 'other.label': 'x' };
        expect(decodeLabels(labels)).toEqual(value);
        expect(hasLabels(labels, encodeLabels(value))).toBe(true);
      }),
    );
  });

  it('stay within what containerd takes', () => {
    fc.assert(
      fc.property(facts, (value) => {
        for (const [key, text] of Object.entries(encodeLabels(value))) {
          expect(key.length + text.length).toBeLessThanOrEqual(LABEL_BYTES);
        }
      }),
    );
  });

  it('with one missing or spoiled are foreign', () => {
    fc.assert(
      fc.property(facts, fc.nat(), (value, draw) => {
        const labels = { ...encodeLabels(value) };
        const keys = Object.keys(labels);
        const key = keys[draw % keys.length] ?? '';
        delete labels[key];
        expect(decodeLabels(labels)).toBeNull();
      }),
    );
    const good = encodeLabels(fc.sample(facts, 1)[0] as never);
    for (const spoiled of ['', '-1', '1.5', '01', 'x', '1e3']) {
      expect(decodeLabels({ ...good, 'purser.index': spoiled })).toBeNull();
    }
    expect(decodeLabels({ ...good, 'purser.settled': 'true' })).toBeNull();
  });
});
