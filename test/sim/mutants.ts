// `npm run sim:mutants` breaks the product in one place at a time and runs seeds until one fails: a
// break that no seed shows is a rule that the simulator does not hold. `npm run sim:mutants -- NAME`
// runs one; `--seeds 300` as many seeds as that.
// In: the list below. Out: for each the first seed that failed, and by which rule; exit code 1 when
// one was not caught. Not here: laws of the planner (test/property has broken planners of its own).
// Where the fakes stand in for an edge, the break is in the fake, at the line that does as the edge.

import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import type { Plugin } from 'esbuild';

import { bundle } from '../support/bundle.ts';
import type { FaultKind } from './faults.ts';

export interface Mutant {
  readonly name: string;
  /** Of the repository. */
  readonly file: string;
  /** Stands there once. */
  readonly from: string;
  readonly to: string;
  /** Of the seeds of partitions only those with this kind of fault are run; absent: all. */
  readonly fault?: FaultKind;
  /** One that shows it, and is tried alone; absent: the first ones are. */
  readonly seed?: number;
  /** Why no seed shows it; absent: one must. */
  readonly behind?: string;
}

const RUNNER = 'node-runner';
const LINK = 'test/sim/fake/link.ts';
const LEADING = 'reconciler/leading.ts';

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'a copy is started although its time is over',
    file: `${RUNNER}/stop-after.ts`,
    from: 'if (options.clock.now() >= own.stopAt) {',
    to: 'if (own.stopAt === 0) {',
    fault: 'start-suspended',
  },
  {
    name: 'a copy is started before the watchdog knows it',
    file: `${RUNNER}/stop-after.ts`,
    from: '      await options.watchdog.set(deadlines);\n',
    to: '',
    fault: 'runner-suspended-at-call',
  },
  {
    name: 'the watchdog waits ten seconds longer',
    file: `${RUNNER}/stop-after.ts`,
    from: 'const MARGIN_MS = 1000;',
    to: 'const MARGIN_MS = 10_000;',
    fault: 'runner-suspended',
  },
  {
    name: 'stop_after is ten times as long while nobody answers',
    file: `${RUNNER}/decide/stop-after.ts`,
    from: 'contactAt + stopAfterMs;',
    to: 'contactAt + 10 * stopAfterMs;',
  },
  {
    name: 'a silence as long as stop_after is followed by a start without orders',
    file: `${RUNNER}/decide/stop-after.ts`,
    from: 'stopAfterMs > 0 && unheardMs >= stopAfterMs;',
    to: 'stopAfterMs < 0 && unheardMs >= stopAfterMs;',
  },
  {
    name: 'a second copy of a slot begins beside the first on its node',
    file: `${RUNNER}/decide/stop-after.ts`,
    from: 'if (!singleton && volumes.length === 0) return false;',
    to: 'if (body.spec.tasks.length > 0) return false;',
    seed: 3499,
  },
  {
    name: 'no contact since the reboot is no reason to stop',
    file: `${RUNNER}/decide/stop-after.ts`,
    from: 'contactAt === null ? Number.NEGATIVE_INFINITY',
    to: 'contactAt === null ? Number.POSITIVE_INFINITY',
    behind: 'after a boot nothing runs, and nothing is started before a report was answered',
    fault: 'node-lost',
  },
  {
    name: 'a contact of the boot before looks fresh, since the clock began anew',
    file: `${RUNNER}/decide/marks.ts`,
    from: 'contactAt: sameBoot ? saved.contactAt : null,',
    to: 'contactAt: saved.contactAt,',
    fault: 'node-lost',
  },
  {
    name: 'the poststop tasks of a singleton run although its replacement may',
    file: `${RUNNER}/decide/order.ts`,
    from: '  if (silentMs >= goneMs || (heardOnce && unheardMs >= goneMs)) {\n',
    to: '  if (silentMs < 0) {\n',
    seed: 918,
  },
  {
    name: 'a stream that outlived a silence is kept',
    file: `${RUNNER}/contact.ts`,
    from: '  ports.link.renew(before);\n',
    to: '',
  },
  {
    name: 'orders are obeyed before they are written down',
    file: `${RUNNER}/tick.ts`,
    from: '      await ports.store.writeOrders(offered);\n',
    to: '      state.orders = offered;\n      await ports.store.writeOrders(offered);\n',
    behind: 'what was begun and is in no orders is removed at the runner’s next start',
    fault: 'disk-late',
  },
  {
    name: 'older orders are accepted',
    file: `${RUNNER}/accept.ts`,
    from: 'current !== null && offered.generation < current.generation',
    to: 'current !== null && offered.generation < 0',
    fault: 'orders-replayed',
  },
  {
    name: 'other orders are accepted under the same number',
    file: `${RUNNER}/accept.ts`,
    from: ': refuse(`generation ${offered.generation} arrived twice with different content`);',
    to: ": { kind: 'accepted', changed: true };",
    behind: 'who sends has heard of all that was accepted, and gives the next number',
    fault: 'orders-replayed',
  },
  {
    name: 'the first report of a session is one from before it',
    file: LINK,
    from: '  if (runner.tookOrders) runner.staleAt = runner.openedAt;\n',
    to: '',
    seed: 3156,
  },
  {
    name: 'contact counts from the answer, not from the report',
    file: LINK,
    from: 'runner.acknowledged = Math.max(at, runner.acknowledged ?? at);',
    to: 'runner.acknowledged = runner.now();',
    fault: 'late-then-cut',
  },
  {
    name: 'a runner follows a leader of the past',
    file: LINK,
    from: '      return term >= followed;\n',
    to: '      return true;\n',
    behind: 'one that has lost its lease answers no dial',
  },
  {
    name: 'one that leads no more acknowledges',
    file: LINK,
    from: '  if (!leads(endpoint)) {\n    drop(session);',
    to: '  if (!leads(endpoint) && session.open === null) {\n    drop(session);',
    seed: 2017,
  },
  {
    name: 'one that leads no more sends orders',
    file: LINK,
    from: '!endpoint.process.alive() || !leads(endpoint)) return false;',
    to: '!endpoint.process.alive()) return false;',
    behind: 'who leads no more lets its runners go as soon as it runs',
    fault: 'leader-suspended-at-call',
  },
  {
    name: 'a new leader counts silence from before it led',
    file: LINK,
    from: '        endpoint.startedAt = now();\n',
    to: '',
  },
  {
    name: 'what was sent in the session before counts as sent in this one',
    file: LINK,
    from: 'sent: before === null ? null : (heard.node?.sent ?? null),',
    to: 'sent: heard.node?.sent ?? null,',
  },
  {
    name: 'a leader counts on twice the life of its lease',
    file: LEADING,
    from: 'const CERTAIN = 0.8;',
    to: 'const CERTAIN = 2;',
    fault: 'leader-cut-from-etcd',
  },
  {
    name: 'a lease counts from the answer, not from the question',
    file: LEADING,
    from: 'else state.held.until = asked + leaseMs * CERTAIN;',
    to: 'else state.held.until = options.clock.now() + leaseMs * CERTAIN;',
    fault: 'etcd-slow',
  },
  {
    name: 'a lease that was found counts as if it were new',
    file: LEADING,
    from: 'else if (before === null || (await lease.keep())) gain(',
    to: 'else gain(',
    fault: 'etcd-slow',
  },
  {
    name: 'a lease that has ended is led by until its time is over',
    file: LEADING,
    from: "if (!(await lease.keep())) lose(options, state, 'it has ended');",
    to: 'if (!(await lease.keep())) state.held.until = asked + leaseMs;',
  },
  {
    name: 'lost_after is halved',
    file: 'reconciler/plan/nodes.ts',
    from: 'deadlines.reached(silentForMs, desired.cluster.lostAfterMs)',
    to: 'deadlines.reached(silentForMs, desired.cluster.lostAfterMs / 2)',
  },
  {
    name: 'nodes that were not heard from hold nothing',
    file: 'reconciler/plan/nodes.ts',
    from: 'unheard: unheard.map(({ name }) => name),',
    to: 'unheard: [],',
  },
  {
    name: 'the next copy of a singleton is ordered behind the stop of the one before',
    file: 'reconciler/plan/group.ts',
    from: '(group.frame.target ?? group.frame.fallback)?.singleton === true;',
    to: '(group.frame.target ?? group.frame.fallback)?.singleton === null;',
  },
  {
    name: 'a copy that came back begins although another may run',
    file: 'reconciler/plan/group.ts',
    from: 'if (blind === null && slot.going.length === 0 && copies.length < 2) return [];',
    to: 'if (blind === null || copies.length < 9) return [];',
  },
  {
    name: 'what was ordered and taken back is forgotten at once',
    file: 'reconciler/live/observe.ts',
    from: '[...orderedBy(sent), ...leftOutOf(heard)]',
    to: '[...orderedBy(sent)]',
    fault: 'disk-late',
  },
  {
    name: 'copies on a lost node that is connected are counted',
    file: 'reconciler/plan/check.ts',
    from: 'node.connected && silenceOf(node, live) < lostAfterMs',
    to: 'node.connected',
    fault: 'late-by-minutes',
  },
  {
    name: 'a copy leaves the catalogue when its stop is reported',
    file: 'reconciler/cycle.ts',
    from: 'publish(context, desired, told());',
    to: 'publish(context, desired, live);',
  },
  {
    name: 'copies are listed before they are ready',
    file: 'reconciler/live/instances.ts',
    from: '  if (!isServing(copy)) return waits(notReadyWords(copy));\n',
    to: '',
  },
  {
    name: 'a copy that is gone stays in the catalogue of who knew it',
    file: 'schema/services.ts',
    from: '    for (const key of dropped) known.delete(key);\n',
    to: '',
  },
];

const ROOT = join(import.meta.dirname, '../..');

/** The text of the file with the break in it. */
export const broken = async ({ file, from, to }: Mutant): Promise<string> => {
  const text = await readFile(join(ROOT, file), 'utf8');
  const parts = text.split(from);
  if (parts.length !== 2) throw new Error(`${file} holds ${parts.length - 1} times: ${from}`);
  return parts.join(to);
};

const breaking = (mutant: Mutant): Plugin => ({
  name: 'break',
  setup: (builder) => {
    const path = join(ROOT, mutant.file);
    builder.onLoad({ filter: /\.ts$/ }, async (asked) =>
      asked.path === path ? { contents: await broken(mutant), loader: 'ts' } : null,
    );
  },
});

/** What the run said. */
const runOf = (args: readonly string[]): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString('utf8')));
    child.on('error', reject);
    child.on('close', () => resolve(said));
  });

const seedsOf = ({ seed, fault }: Mutant, most: string): readonly string[] => {
  if (seed !== undefined) return ['--seeds', '1', '--from', String(seed)];
  const those = fault === undefined ? [] : ['--fault', fault];
  return ['--seeds', most, '--parted', ...those];
};

const tryOut = async (mutant: Mutant, folder: string, most: string): Promise<boolean> => {
  const outfile = join(folder, 'sim.mjs');
  await bundle('test/sim/main.ts', outfile, [breaking(mutant)]);
  const which = seedsOf(mutant, most);
  const said = await runOf([outfile, ...which, '--processes', '1', '--until-failed']);
  const seed = /^seed (\d+)/m.exec(said)?.[1];
  const rule = /^ {2}at \d+ ms (\w+)/m.exec(said)?.[1];
  const tried = /^(\d+) seeds/m.exec(said)?.[1];
  const how = seed === undefined ? `not caught by ${tried} seeds` : `seed ${seed}, by ${rule}`;
  const why = mutant.behind === undefined ? '' : ` (${mutant.behind})`;
  console.log(`${mutant.name}: ${how}${why}`);
  return seed !== undefined || mutant.behind !== undefined;
};

const main = async (): Promise<void> => {
  const { values, positionals } = parseArgs({
    options: { seeds: { type: 'string', default: '1000' } },
    allowPositionals: true,
  });
  const folder = await mkdtemp(join(tmpdir(), 'purser-mutants-'));
  const named = MUTANTS.filter(
    ({ name }) => positionals.length === 0 || positionals.some((part) => name.includes(part)),
  );
  let missed = 0;
  try {
    for (const mutant of named) missed += (await tryOut(mutant, folder, values.seeds)) ? 0 : 1;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  console.log(`${named.length - missed} of ${named.length} caught`);
  process.exitCode = missed === 0 ? 0 : 1;
};

if (process.argv[1] === import.meta.filename) await main();
