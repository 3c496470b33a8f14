// `npm run sim -- --seeds 500 [--from 1]` runs many seeds on all cores; `--seed 7 --trace` runs one
// and tells it.
// In: the command line. Out: failing seeds with what they violated; exit code 1 when there are any.
// Not here: what a seed does (run.ts).

import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';

import { isParted } from './parted.ts';
import { faultsOf, runSeed, type SeedResult } from './run.ts';

/** One seed's outcome, small enough to pass between processes. */
type Outcome = Omit<SeedResult, 'lines'>;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    trace: { type: 'boolean', default: false },
    /** Set for child processes: `<its number>,<of how many>`. */
    shard: { type: 'string' },
    processes: { type: 'string' },
    /** Of the seeds only those of partitions: about one in four. */
    parted: { type: 'boolean', default: false },
    /** Of the seeds only those that draw this kind of fault. */
    fault: { type: 'string' },
    /** Ends with the first seed that fails. */
    'until-failed': { type: 'boolean', default: false },
  },
});

const describe = ({ seed, violations, faults }: Outcome): string =>
  [
    `seed ${seed} (${faults.join(' ') || 'no faults'})`,
    ...violations.map(({ at, rule, detail }) => `  at ${at.toFixed(0)} ms ${rule}: ${detail}`),
  ].join('\n');

const one = async (seed: number): Promise<void> => {
  const result = await runSeed({ seed, trace: values.trace });
  if (values.trace) console.log(result.lines.join('\n'));
  const ok = result.violations.length === 0;
  console.log(ok ? `seed ${seed} passed, trace ${result.digest}` : describe(result));
  process.exitCode = ok ? 0 : 1;
};

const seedsAsked = (): readonly number[] =>
  Array.from(
    { length: Number(values.seeds ?? 100) },
    (_, place) => Number(values.from) + place,
  ).filter(isWanted);

const isWanted = (seed: number): boolean =>
  (!values.parted || isParted(seed)) &&
  (values.fault === undefined || faultsOf(seed).some((kind) => kind === values.fault));

const shard = async (index: number, of: number): Promise<void> => {
  for (const seed of seedsAsked().filter((_, place) => place % of === index)) {
    const { lines: _, ...outcome } = await runSeed({ seed, trace: false });
    process.send?.(outcome);
    if (values['until-failed'] && outcome.violations.length > 0) return;
  }
};

const HOUR_MS = 3_600_000;

/** What was done to how many, in one line each. */
const summary = (outcomes: readonly Outcome[], seconds: string): string => {
  const sum = (of: (outcome: Outcome) => number): number =>
    outcomes.reduce((total, outcome) => total + of(outcome), 0);
  const failed = outcomes.filter(({ violations }) => violations.length > 0).length;
  const kinds = [...new Set(outcomes.flatMap(({ struck }) => Object.keys(struck)))].toSorted();
  const struck = kinds.map((kind) => `${kind} ${sum((outcome) => outcome.struck[kind] ?? 0)}`);
  const violations = sum((outcome) => outcome.violations.length);
  const hours = (sum(({ virtualMs }) => virtualMs) / HOUR_MS).toFixed(1);
  const events = sum((outcome) => outcome.events);
  const parted = outcomes.filter(({ seed }) => isParted(seed)).length;
  return [
    `${outcomes.length} seeds, ${failed} failed, ${violations} violations, ${parted} of partitions, ${hours} h of virtual time, ${events} events, ${seconds} s`,
    `faults: ${struck.join(', ') || 'none'}`,
  ].join('\n');
};

const many = async (): Promise<void> => {
  const began = performance.now();
  const count = seedsAsked().length;
  const processes = Math.min(count, Number(values.processes ?? availableParallelism()));
  const outcomes: Outcome[] = [];
  const children = Array.from({ length: processes }, (_, index) => {
    const args = [...process.argv.slice(2), '--shard', `${index},${processes}`];
    const child = fork(import.meta.filename, args);
    child.on('message', (outcome: Outcome) => {
      outcomes.push(outcome);
      if (outcome.violations.length > 0) console.log(describe(outcome));
    });
    return new Promise<number>((resolve) => child.on('exit', (code) => resolve(code ?? 1)));
  });
  const codes = await Promise.all(children);
  const failed = outcomes.some(({ violations }) => violations.length > 0);
  console.log(summary(outcomes, ((performance.now() - began) / 1000).toFixed(1)));
  const complete = outcomes.length === count && codes.every((code) => code === 0);
  process.exitCode = complete && !failed ? 0 : 1;
};

if (values.shard !== undefined) {
  const [index = 0, of = 1] = values.shard.split(',').map(Number);
  await shard(index, of);
} else if (values.seed === undefined) {
  await many();
} else {
  await one(Number(values.seed));
}
