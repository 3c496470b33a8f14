import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What is waited for comes in a moment; a second, vitest's default, is too short on a busy machine. */
const POLL_LIMIT_MS = 60_000;

/** Files that take long and are short: where nothing was measured yet, vitest begins with the largest. */
const LONG = /e2e\/github-token|contract\/(source|runtime)\.test/;

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isLong = ({ moduleId }: TestSpecification): boolean => LONG.test(moduleId);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

// fast: pure code, one process, no isolation. contract and e2e: real containerd, Git and
// registries, three files at a time, since they wait more than they work: with two of them two cores
// were idle for more than half of the time. soak: whole hosts with clocks, cuts and load, which take
// the machine for themselves, one file at a time, and are not part of `npm test`.
const project = (name: string, include: string[], extra: object) => ({
  test: {
    name,
    include,
    setupFiles: ['test/support/seed.ts'],
    expect: { poll: { timeout: POLL_LIMIT_MS } },
    ...extra,
  },
});

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      project('fast', ['test/{unit,property,scenario,tidy}/**/*.test.ts'], {
        pool: 'threads',
        isolate: false,
        testTimeout: 60_000,
      }),
      project('sim', ['test/sim/**/*.test.ts'], { pool: 'threads', testTimeout: 240_000 }),
      project('contract', ['test/contract/**/*.test.ts'], {
        pool: 'forks',
        maxWorkers: 3,
        testTimeout: 120_000,
        hookTimeout: 120_000,
      }),
      project('e2e', ['test/e2e/**/*.test.ts'], {
        pool: 'forks',
        maxWorkers: 3,
        testTimeout: 300_000,
        hookTimeout: 300_000,
      }),
      project('soak', ['test/soak/**/*.test.ts'], {
        pool: 'forks',
        maxWorkers: 1,
        testTimeout: 300_000,
        hookTimeout: 300_000,
      }),
    ],
  },
});
