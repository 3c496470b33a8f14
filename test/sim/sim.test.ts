// Many seeds, in as many processes as there are cores. Not here: those that once failed (kept.test.ts).
// What a failing seed did: npm run sim -- --seed N --trace

import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { bundle } from '../support/bundle.ts';
import { runSeed } from './run.ts';

/** Seeds in one run, a minute and a half on two cores; more: npm run sim -- --seeds 2000. */
const SEEDS = 150;

/** Four times what it takes on two idle cores. */
const SEEDS_TIMEOUT_MS = 720_000;

const run = promisify(execFile);
let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'purser-sim-'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

describe('simulation', () => {
  it('gives the same trace for the same seed', async () => {
    const [first, again, other] = [
      await runSeed({ seed: 11, trace: false }),
      await runSeed({ seed: 11, trace: false }),
      await runSeed({ seed: 12, trace: false }),
    ];
    expect(again.digest).toBe(first.digest);
    expect(again.events).toBe(first.events);
    expect(other.digest).not.toBe(first.digest);
  });

  it(
    `holds every rule over ${SEEDS} seeds`,
    async () => {
      const args = [
        await bundle('test/sim/main.ts', join(folder, 'sim.mjs')),
        '--seeds',
        String(SEEDS),
      ];
      const { stdout } = await run(process.execPath, args).catch(
        (failed: { stdout: string }) => failed,
      );
      // What failed stands before the last line.
      expect(stdout.trim()).toMatch(new RegExp(`^${SEEDS} seeds, 0 failed`));
    },
    SEEDS_TIMEOUT_MS,
  );
});
