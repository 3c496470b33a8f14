// Memos change how long a pass takes and nothing else: one set of memos is kept through worlds that
// follow one another in any order, at any times, and every answer is compared with the one that is
// made without.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { observe } from '../../reconciler/live/observe.ts';
import { createMemos, type Memos } from '../../reconciler/memos.ts';
import { check } from '../../reconciler/plan/check.ts';
import { orders } from '../../reconciler/plan/orders.ts';
import { plan, planWith } from '../../reconciler/plan/plan.ts';
import type { DesiredState } from '../../schema/desired.ts';
import { compareText } from '../../schema/ids.ts';
import type { Heard } from '../../schema/live.ts';
import { unchangedFacts } from '../../schema/wire.ts';
import { aged } from '../../schema/wire-ages.ts';
import { worlds, type World } from '../support/random-worlds.ts';

const RUNS = 120;

/** How one look differs from the one before. */
const change = fc.record({
  kind: fc.constantFrom(
    'time',
    'time',
    'time',
    'silence',
    'cut',
    'report',
    'drain',
    'forget-copy',
    'job-copied',
    'job-gone',
    'job-held',
    'limit',
    'back',
    'stray',
    'spread',
    'ahead',
    'scale-file',
    'ledger-gone',
    'approved',
    'synced',
    'other-session',
    'news',
    'news',
    'job-new',
    'priority',
  ),
  which: fc.nat({ max: 5 }),
  afterMs: fc.oneof(fc.nat({ max: 3 }), fc.nat({ max: 12_000 }), fc.nat({ max: 700_000 })),
});

type Change = typeof change extends fc.Arbitrary<infer Value> ? Value : never;

interface Look {
  readonly desired: DesiredState;
  readonly heard: Heard;
  readonly now: number;
  /** The live state is made by hand, as tests and previews do. */
  readonly isSpread: boolean;
}

const other = (drain: 'no' | 'yes' | 'volumes'): 'no' | 'yes' => (drain === 'no' ? 'yes' : 'no');

const at = <Item>(items: readonly Item[], which: number): number =>
  items.length === 0 ? -1 : which % items.length;

const withNode = (
  { heard, ...look }: Look,
  which: number,
  edit: (node: Heard['nodes'][number]) => Heard['nodes'][number],
): Look => {
  const place = at(heard.nodes, which);
  const nodes = heard.nodes.map((node, i) => (i === place ? edit(node) : node));
  return { ...look, heard: { ...heard, nodes } };
};

const withJobs = (
  look: Look,
  edit: (jobs: DesiredState['jobs']) => DesiredState['jobs'],
): Look => ({ ...look, desired: { ...look.desired, jobs: edit(look.desired.jobs) } });

/** A report that tells one copy's facts, or none: the others only grew older. */
const told = (node: Heard['nodes'][number], which: number, now: number): Heard['nodes'][number] => {
  const place = which % (node.report.allocations.length + 1);
  const changed = node.report.allocations.slice(place, place + 1);
  const elapsed = now - node.receivedAt;
  const allocations = node.report.allocations.map((one, i) => {
    const older = aged(one, elapsed);
    if (i !== place) return { ...older, usage: { cpuMilli: which, memoryBytes: which } };
    return { ...older, health: one.health === 'healthy' ? 'unhealthy' : 'healthy' } as const;
  });
  const frame = {
    whole: !node.connected,
    head: node.report,
    bodies: [],
    removed: [],
    changed: changed.map((one) => ({ ...one, bodyHash: '' })),
    usage: [],
  };
  const unchanged = unchangedFacts(node, frame);
  const report = { ...node.report, allocations };
  return { ...node, report, receivedAt: now, unchanged, connected: true };
};

/** Job files come and go, and a job may take another's place in the order. */
const newJob = (look: Look, which: number): Look =>
  withJobs(look, (jobs) => {
    const like = jobs[at(jobs, which)];
    if (like === undefined) return jobs;
    const name = `${like.spec.job}-${which}`;
    const id = `${like.spec.namespace}/${name}`;
    if (jobs.some((job) => job.id === id)) return jobs.filter((job) => job.id !== id);
    const job = { ...like, id, spec: { ...like.spec, id, job: name } };
    return [...jobs, job].toSorted((a, b) => compareText(a.id, b.id));
  });

/** A machine owns the count of one job, and its file is there or not. */
const scaled = (look: Look, which: number): Look => {
  const place = at(look.desired.jobs, which);
  const id = look.desired.jobs[place]?.id ?? '';
  const known = look.desired.scaleFiles ?? [];
  const path = `scale/${id}.yaml`;
  const scaleFiles = known.includes(path) ? known.filter((one) => one !== path) : [...known, path];
  const isScaled = look.desired.jobs[place]?.spec.groups.some(({ scale }) => scale !== null);
  const withFiles = { ...look, desired: { ...look.desired, scaleFiles } };
  return isScaled === true
    ? withFiles
    : withJobs(withFiles, (jobs) =>
        jobs.map((job, i) => {
          if (i !== place) return job;
          const scale = { min: 0, max: 5, fromFile: false };
          const groups = job.spec.groups.map((group) => ({ ...group, scale }));
          return { ...job, spec: { ...job.spec, groups } };
        }),
      );
};

const approvalOf = ({ desired }: Look, which: number): DesiredState['approvals'][number] => ({
  kind: 'approval',
  id: `approval-${which}`,
  by: 'Ada <ada@example.org>',
  at: '2024-01-01T00:00:00Z',
  commit: desired.commit.oid,
  slots: desired.jobs.map(({ id }) => `${id}/main[${which}]`),
  nodes: desired.nodes.slice(0, which).map(({ name }) => name),
  used: false,
});

const next = (before: Look, { kind, which, afterMs }: Change, first: World): Look => {
  const look: Look = { ...before, now: before.now + afterMs, isSpread: false };
  const place = at(look.desired.jobs, which);
  switch (kind) {
    case 'time':
      return look;
    case 'spread':
      return { ...look, isSpread: true };
    case 'silence':
      return withNode(look, which, (node) => ({ ...node, connected: false }));
    case 'cut':
      return withNode(look, which, (node) => ({ ...node, connected: !node.connected }));
    case 'report':
      return withNode(look, which, (node) => ({ ...node, receivedAt: look.now }));
    case 'news':
      return withNode(look, which, (node) => told(node, which, look.now));
    case 'job-new':
      return newJob(look, which);
    case 'priority':
      return withJobs(look, (jobs) =>
        jobs.map((job, i) =>
          i === place ? { ...job, spec: { ...job.spec, priority: which * 10 } } : job,
        ),
      );
    case 'forget-copy':
      return withNode(look, which, (node) => ({
        ...node,
        report: { ...node.report, allocations: node.report.allocations.slice(1) },
      }));
    case 'drain': {
      const one = at(look.desired.nodes, which);
      const nodes = look.desired.nodes.map((node, i) =>
        i === one ? { ...node, drain: other(node.drain) } : node,
      );
      return { ...look, desired: { ...look.desired, nodes } };
    }
    case 'job-copied':
      return withJobs(look, (jobs) => jobs.map((job, i) => (i === place ? { ...job } : job)));
    case 'job-gone':
      return withJobs(look, (jobs) =>
        jobs.map((job, i) => (i === place ? { ...job, standing: { kind: 'removed' } } : job)),
      );
    case 'job-held':
      return withJobs(look, (jobs) =>
        jobs.map((job, i) =>
          i === place ? { ...job, standing: { kind: 'held', why: 'invalid' } } : job,
        ),
      );
    case 'stray':
      return withJobs(look, (jobs) => jobs.filter((_, i) => i !== place));
    case 'limit': {
      const cluster = { ...look.desired.cluster, maxDeployments: which };
      return { ...look, desired: { ...look.desired, cluster } };
    }
    case 'ahead': {
      const acceptable = which % 2 === 0 ? [] : null;
      return { ...look, desired: { ...look.desired, acceptable } };
    }
    case 'other-session':
      return withNode(look, which, (node) => ({
        ...node,
        sent: null,
        report: { ...node.report, acceptedCommit: `${which}`.repeat(40) },
      }));
    case 'scale-file':
      return scaled(look, which);
    case 'ledger-gone': {
      const lastSynced = which % 2 === 0 ? null : first.desired.lastSynced;
      return { ...look, desired: { ...look.desired, lastSynced } };
    }
    case 'approved':
      return { ...look, desired: { ...look.desired, approvals: [approvalOf(look, which)] } };
    case 'synced': {
      const id = look.desired.jobs[place]?.id ?? '';
      const groups =
        which === 0 ? null : [{ name: 'main', min: which, max: 2 * which, value: null }];
      return { ...look, desired: { ...look.desired, synced: new Map([[id, groups]]) } };
    }
    case 'back':
      return { desired: first.desired, heard: first.heard, now: first.now, isSpread: false };
  }
};

/** The same world, told by nodes that say everything anew in each report. */
const toldAnew = (heard: Heard): Heard => ({
  ...heard,
  nodes: heard.nodes.map((node) => {
    const { unchanged, ...anew } = node;
    return unchanged === undefined ? node : anew;
  }),
});

/** Everything that a pass decides, as text. */
const answer = ({ desired, heard, now, isSpread }: Look, memos: Memos | null): string => {
  const seen = memos === null ? observe(toldAnew(heard), now) : observe(heard, now, memos.observe);
  const live = isSpread ? { ...seen, nodes: seen.nodes.map((node) => ({ ...node })) } : seen;
  const made = memos === null ? plan(desired, live, now) : planWith(memos.plan)(desired, live, now);
  const context = { cluster: desired.cluster.name, commit: desired.commit.oid };
  return JSON.stringify([made, orders(made, live, context), check(made, live, desired), live]);
};

const differs = (world: World, changes: readonly Change[], memos: () => Memos): boolean => {
  let look: Look = { ...world, isSpread: false };
  return [null, ...changes].some((one) => {
    look = one === null ? look : next(look, one, world);
    return answer(look, memos()) !== answer(look, null);
  });
};

const inputs = [worlds, fc.array(change, { minLength: 1, maxLength: 12 })] as const;

describe('a pass with memos', () => {
  it('says what a pass without them says', () => {
    fc.assert(
      fc.property(...inputs, (world, changes) => {
        const memos = createMemos();
        return !differs(world, changes, () => memos);
      }),
      { seed: 11, numRuns: RUNS },
    );
  });

  it('would be caught when it remembered beyond what was heard', () => {
    const found = fc.check(
      fc.property(...inputs, (world, changes) => {
        const memos = createMemos();
        return !differs(world, changes, () => {
          // As if time never brought an answer to its end.
          for (const { known } of memos.plan.line.order) {
            if (known !== null) Object.assign(known.part, { wakeAt: null });
          }
          return memos;
        });
      }),
      { seed: 12, numRuns: RUNS },
    );
    expect(found.failed).toBe(true);
  });
});
