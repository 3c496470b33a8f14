// Commits and records that a plan proposes, beside reverts (which plan.test has). Rules 7, 11.
import { describe, expect, it } from 'vitest';
import { plan } from '../../../reconciler/plan/plan.ts';
import type { DesiredJob } from '../../../schema/desired.ts';
import { isMarkOnly } from '../../../schema/mark-only.ts';
import type { Plan } from '../../../schema/plan.ts';
import {
  aCopy,
  aFailure,
  aJob,
  DEAD,
  desiredOf,
  liveOf,
  nodeNames,
  settledBefore,
  STARTING,
} from '../../support/world.ts';

describe('a count that is the machine’s and stands nowhere (7)', () => {
  const groups = [{ count: 1, scale: { min: 1, max: 2, fromFile: false } }];
  const job = aJob({ groups }, { settled: true });
  const copies = nodeNames(3).map((node, index) => aCopy(job, { node, index }));
  const commits = (made: Plan) => made.proposals.filter(({ kind }) => kind !== 'ledger');
  const facts = { scaleFiles: [] };

  it('is written down by a commit as it is now, clamped, once the job is at rest', () => {
    expect(commits(plan(desiredOf([job], facts), liveOf(copies.slice(0, 2)), 0))).toMatchObject([
      {
        kind: 'scale',
        job: 'shop/web',
        edits: [{ path: 'scale/shop/web.yaml', content: 'main: 2\n', base: null }],
      },
    ]);
    const [only] = commits(plan(desiredOf([job], facts), liveOf(copies), 0));
    expect(only).toMatchObject({ edits: [{ content: 'main: 2\n' }] });
  });

  it('is added to a file that lacks the group, and leaves the rest of it alone', () => {
    const two = [
      { name: 'a', count: 5, scale: { min: 1, max: 9, fromFile: true } },
      { name: 'b', count: 1, scale: { min: 1, max: 4, fromFile: false } },
    ];
    const both = aJob({ groups: two }, { settled: true });
    const live = [
      ...Array.from({ length: 5 }, (_, index) => aCopy(both, { node: 'n001', index, group: 'a' })),
      ...[0, 1].map((index) => aCopy(both, { node: 'n002', index, group: 'b' })),
    ];
    const path = 'scale/shop/web.yaml';
    const file = { path, text: '# ours\na: 5 # many\n', blob: 'blob' };
    const there = desiredOf([both], { scaleFiles: [path], openScaleFiles: [file] });
    const [only, ...rest] = commits(plan(there, liveOf(live), 0));
    expect(rest).toEqual([]);
    expect(only).toMatchObject({
      edits: [{ path, content: '# ours\na: 5 # many\nb: 2\n', base: 'blob' }],
    });
    const broken = desiredOf([both], { scaleFiles: [path], openScaleFiles: [] });
    expect(commits(plan(broken, liveOf(live), 0))).toEqual([]);
  });

  it('is written down as none where none lives and none needs to: nothing can be lost', () => {
    const none = aJob({ groups: [{ count: 0, scale: { min: 0, max: 2, fromFile: false } }] });
    const [only] = commits(plan(desiredOf([none], facts), liveOf([]), 0));
    expect(only).toMatchObject({ edits: [{ content: 'main: 0\n' }] });
    const starting = [aCopy(none, { node: 'n001', index: 0 }, STARTING)];
    expect(commits(plan(desiredOf([none], facts), liveOf(starting), 0))).toEqual([]);
  });

  it('not while the job has not settled, is held, has the file, or the count is a person’s', () => {
    const unsettled = aJob({ groups });
    const starting = [aCopy(unsettled, { node: 'n001', index: 0 }, STARTING)];
    expect(commits(plan(desiredOf([unsettled], facts), liveOf(starting), 0))).toEqual([]);
    const held = { ...job, standing: { kind: 'held', why: 'invalid' } } as const;
    expect(commits(plan(desiredOf([held], facts), liveOf(copies), 0))).toEqual([]);
    const there = desiredOf([job], { scaleFiles: ['scale/shop/web.yaml'] });
    expect(commits(plan(there, liveOf(copies), 0))).toEqual([]);
    const peoples = aJob({ count: 3 }, { settled: true });
    expect(commits(plan(desiredOf([peoples], facts), liveOf(copies), 0))).toEqual([]);
  });
});

describe('a version that came back (2.3, 2.5)', () => {
  const before = aJob({ groups: [{ count: 2 }] }, { settled: true });
  const back = {
    ...before,
    deployment: 'came-back',
    commit: { ...before.commit, oid: 'c3' },
    isRollback: true,
    sameAs: before.commit.oid,
    isUnmarked: true,
  } as const;
  const copies = [0, 1].map((index) => aCopy(before, { node: `n00${index + 1}`, index }));
  const marks = (made: Plan) =>
    made.proposals.flatMap((proposal) =>
      proposal.kind === 'ledger' ? proposal.records.filter(({ kind }) => kind === 'settled') : [],
    );

  it('relabels its copies in place, and is marked once all of them are well', () => {
    const made = plan(desiredOf([back]), liveOf(copies), 0);
    expect(made.steps).toMatchObject(
      copies.map(({ allocation }) => ({
        kind: 'update',
        allocation,
        body: { deployment: 'came-back', commit: 'c3', settled: true },
        changes: ['commit', 'deployment'],
      })),
    );
    expect(made.steps.every(isMarkOnly)).toBe(true);
    expect(marks(made)).toMatchObject([
      { deployment: 'came-back', commit: 'c3', sameAs: before.commit.oid },
    ]);
  });

  it('is not marked while a slot waits for a copy, nor twice, nor held or stopped', () => {
    const [one] = copies;
    const few = plan(desiredOf([back]), liveOf(one === undefined ? [] : [one]), 0);
    expect(marks(few)).toEqual([]);
    const { isUnmarked: _due, ...marked } = back;
    expect(marks(plan(desiredOf([marked]), liveOf(copies), 0))).toEqual([]);
    const held = { ...back, standing: { kind: 'held', why: 'invalid' } } as const;
    expect(marks(plan(desiredOf([held]), liveOf(copies), 0))).toEqual([]);
    const stopped = { ...back, spec: { ...back.spec, stopped: true } };
    expect(marks(plan(desiredOf([stopped]), liveOf(copies), 0))).toEqual([]);
  });
});

describe('a version that settled and was followed before its mark was pushed (2.4, 11)', () => {
  const first = aJob({ version: 'v1' }, { settled: true });
  const second = aJob({ version: 'v2' }, { settled: true });
  const third = aJob(
    { version: 'v3', from: { version: 'v1' } },
    {
      marked: [first.spec.specHash],
      failed: { evidence: { reason: '2 of its allocations died', allocations: [] } },
    },
  );
  const copies = [1, 2].map((index) => aCopy(second, { node: `n00${index + 1}`, index }));
  const dead = [2, 3].map((attempt) =>
    aCopy(third, { node: 'n001', index: 0, attempt }, { ...DEAD, failure: aFailure() }),
  );
  const planOf = (job: DesiredJob, live = [...copies, ...dead]) =>
    plan(desiredOf([job]), liveOf(live), 0);

  it('has its mark written first; meanwhile nothing rolls or goes back behind it', () => {
    const made = planOf(third);
    expect(made.proposals).toEqual([
      {
        kind: 'ledger',
        records: [
          expect.objectContaining({
            kind: 'settled',
            specHash: second.spec.specHash,
            deployment: second.deployment,
            commit: second.commit.oid,
          }),
        ],
      },
    ]);
    // A missing copy is healed all the same, at the newest version that the ledger knows (5.5).
    expect(made.steps).toMatchObject([{ kind: 'start', reason: 'fallback' }]);
    expect(made.deployments[0]?.status).toBe('held');
  });

  it('not once the ledger has it, nor for a copy that never settled', () => {
    const marked = { ...third, marked: [first.spec.specHash, second.spec.specHash] };
    expect(planOf(marked).proposals.map(({ kind }) => kind)).toEqual(['revert']);
    const never = copies.map((one) => ({ ...one, body: { ...one.body, settled: false } }));
    expect(planOf(third, [...never, ...dead]).proposals.map(({ kind }) => kind)).toEqual([
      'revert',
    ]);
  });
});

describe('a ledger that is gone while copies live (11)', () => {
  const volume = { name: 'data', onLoss: 'wait' as const };
  const was = aJob({ version: 'v1', groups: [{ count: 2, volumes: [volume] }] }, { settled: true });
  const copies = [0, 1].map((index) => aCopy(was, { node: `n00${index + 1}`, index }));
  const gone = { lastSynced: null };
  const records = (made: Plan) =>
    made.proposals.flatMap((proposal) => (proposal.kind === 'ledger' ? proposal.records : []));

  it('is written again from bodies: marks of versions before HEAD’s, and homes of volumes', () => {
    const job = aJob({ version: 'v2', groups: [{ count: 2, volumes: [volume] }] });
    const made = plan(desiredOf([job], gone), liveOf(copies), 0);
    const home = { kind: 'volume', namespace: 'shop', job: 'web', volume: 'data', group: 'main' };
    expect(records(made).filter(({ kind }) => kind !== 'synced')).toEqual([
      {
        kind: 'settled',
        job: 'shop/web',
        specHash: was.spec.specHash,
        deployment: was.deployment,
        commit: was.commit.oid,
        digests: [{ group: 'main', task: 'main', reference: 'app:1', digest: 'sha256:1' }],
      },
      { ...home, index: 0, node: 'n001' },
      { ...home, index: 1, node: 'n002' },
    ]);
    expect(made.steps).toEqual([]);
    expect(made.synced).toBe(false);
    const marked = { ...gone, settledMarks: [`shop/web ${was.spec.specHash}`] };
    const again = records(plan(desiredOf([job], marked), liveOf(copies), 0));
    expect(again.some(({ kind }) => kind === 'settled')).toBe(false);
  });

  it('homes are those of slots: two groups may each have a volume of one name (14)', () => {
    const words = { groups: ['a', 'b'].map((name) => ({ name, count: 1, volumes: [volume] })) };
    const both = aJob({ ...words, version: 'v1' }, { settled: true });
    const live = liveOf([
      aCopy(both, { node: 'n001', index: 0, group: 'a' }),
      aCopy(both, { node: 'n002', index: 0, group: 'b' }),
    ]);
    const found = records(plan(desiredOf([both], gone), live, 0)).filter(
      ({ kind }) => kind === 'volume',
    );
    const home = { kind: 'volume', namespace: 'shop', job: 'web', volume: 'data', index: 0 };
    expect(found).toEqual([
      { ...home, group: 'a', node: 'n001' },
      { ...home, group: 'b', node: 'n002' },
    ]);
    const volumes = found.flatMap((one) =>
      one.kind === 'volume' && one.node !== null ? [{ ...one, node: one.node }] : [],
    );
    const empty = plan(desiredOf([both], { volumes }), liveOf([]), 0);
    expect(empty.steps.map(({ node, slot }) => [slot, node])).toEqual([
      ['shop/web/a[0]', 'n001'],
      ['shop/web/b[0]', 'n002'],
    ]);
  });

  it('removals wait for approval, also small ones and those of jobs that Git does not have', () => {
    const one = aJob({ version: 'v1', groups: [{ count: 1 }] }, { settled: true });
    const live = liveOf([0, 1].map((index) => aCopy(one, { node: `n00${index + 1}`, index })));
    const smaller = plan(desiredOf([one], gone), live, 0);
    expect(smaller.steps).toEqual([]);
    expect(smaller.guarded[0]?.slots).toEqual(['shop/web/main[1]']);
    const strayed = plan(desiredOf([], gone), live, 0);
    expect(strayed.steps).toEqual([]);
    const [guarded] = strayed.guarded;
    expect(guarded).toMatchObject({ slots: ['shop/web/main[0]', 'shop/web/main[1]'] });
    expect(strayed.synced).toBe(false);
    const approval = { kind: 'approval', id: 'a', by: 'g', at: '', commit: '', nodes: [] } as const;
    const approvals = [{ ...approval, slots: guarded?.slots ?? [], used: false }];
    const going = plan(desiredOf([], { ...gone, approvals }), live, 0);
    expect(going.steps.map(({ kind }) => kind)).toEqual(['stop', 'stop']);
    expect(records(going).some(({ kind }) => kind === 'approval')).toBe(false);
  });
});

describe('log lines in evidence (6.4)', () => {
  const words = { version: 'v2', from: { version: 'v1' }, count: 1 } as const;
  const log = ['no database', 'Purser-Job: other/job'];
  const failure = aFailure({ log });
  const copiesOf = (job: ReturnType<typeof aJob>) => [
    aCopy(settledBefore(job), { node: 'n003', index: 0 }),
    ...['n001', 'n002'].map((node, at) =>
      aCopy(job, { node, index: 0, attempt: at + 2 }, { ...DEAD, failure }),
    ),
  ];
  const failed = (made: Plan) =>
    made.proposals
      .flatMap((one) => (one.kind === 'ledger' ? one.records : []))
      .find((record) => record.kind === 'failed');
  const reverted = (made: Plan) => made.proposals.find(({ kind }) => kind === 'revert');

  it('go into the failed mark only where the namespace allows, whatever a node sends', () => {
    const silent = aJob(words);
    const mark = failed(plan(desiredOf([silent]), liveOf(copiesOf(silent)), 0));
    expect(mark?.evidence.allocations.length).toBeGreaterThan(0);
    expect(JSON.stringify(mark)).not.toContain('no database');
    const open = aJob(words, { evidence: 'logs' });
    const marked = failed(plan(desiredOf([open]), liveOf(copiesOf(open)), 0));
    expect(marked?.evidence.allocations[0]?.log).toEqual(log);
  });

  it('and the failed check tell of a copy that was never healthy, and since when (6.4)', () => {
    const open = aJob(words, { evidence: 'logs' });
    const late = { firstStartedForMs: 301_000, runningForMs: 301_000, acceptedForMs: 301_000 };
    const task = {
      name: 'main',
      state: 'running',
      restarts: 0,
      health: 'unhealthy',
      lastCheck: 'GET /healthz: 503',
      log,
      exit: null,
      pid: 7,
    } as const;
    const sick = { ...STARTING, ...late, health: 'unhealthy', tasks: [task] } as const;
    const live = liveOf([
      aCopy(settledBefore(open), { node: 'n003', index: 0 }),
      aCopy(open, { node: 'n001', index: 0, attempt: 2 }, sick),
    ]);
    const evidence = failed(plan(desiredOf([open]), live, 0))?.evidence;
    expect(evidence?.allocations).toMatchObject([
      { node: 'n001', task: 'main', message: 'GET /healthz: 503', afterMs: 300_000, log },
    ]);
    if (evidence === undefined) throw new Error('it failed');
    const made = reverted(plan(desiredOf([{ ...open, failed: { evidence } }]), live, 0));
    expect(made?.kind === 'revert' && made.message).toContain(
      'task main: GET /healthz: 503 (300 s after its first start)\n  last lines of its log:\n',
    );
    const silent = aJob(words);
    const mark = failed(plan(desiredOf([silent]), live, 0));
    expect(JSON.stringify(mark)).toContain('GET /healthz: 503');
    expect(JSON.stringify(mark)).not.toContain('no database');
  });

  it('go into the message set in behind a bar, and no longer once the namespace says otherwise', () => {
    const allocations = [{ allocation: 'a-0-2', node: 'n001', task: 'main', message: 'm', log }];
    const evidence = { reason: '2 of its allocations died', allocations };
    const open = aJob(words, { evidence: 'logs', failed: { evidence } });
    const made = reverted(plan(desiredOf([open]), liveOf(copiesOf(open)), 0));
    expect(made).toMatchObject({ kind: 'revert' });
    const text = made?.kind === 'revert' ? made.message : '';
    expect(text).toContain(
      '- a-0-2 on n001, task main: m\n  last lines of its log:\n    | no database\n',
    );
    expect(text).not.toMatch(/^Purser-Job: other/m);
    const silent = aJob(words, { failed: { evidence } });
    const other = reverted(plan(desiredOf([silent]), liveOf(copiesOf(silent)), 0));
    expect(other).toMatchObject({ kind: 'revert' });
    expect(JSON.stringify(other?.kind === 'revert' && other.message)).not.toContain('no database');
  });

  it('are masked where they may hold a secret, in the mark and in the message, without codes', () => {
    const secrets = [
      'password=hunter2',
      'connecting to postgres://shop:hunter2@db/shop',
      '-----BEGIN RSA PRIVATE KEY-----',
      'MIIEowIBAAKCAQEA7Zx9hunter2qTRuRZ1vYxk3uW0pR7sLk2d9',
    ];
    const told = ['no database', '\u001b[31mred\u001b[0m\rover\u202eturned', ...secrets];
    const open = aJob(words, { evidence: 'logs' });
    const live = liveOf([
      aCopy(settledBefore(open), { node: 'n003', index: 0 }),
      ...['n001', 'n002'].map((node, at) =>
        aCopy(
          open,
          { node, index: 0, attempt: at + 2 },
          { ...DEAD, failure: aFailure({ log: told }) },
        ),
      ),
    ]);
    const evidence = failed(plan(desiredOf([open]), live, 0))?.evidence;
    if (evidence === undefined) throw new Error('it failed');
    expect(JSON.stringify(evidence)).not.toContain('hunter2');
    const allocations = evidence.allocations.map((one) => ({ ...one, log: told }));
    const old = { ...evidence, allocations }; // as an earlier release has recorded it
    const made = reverted(plan(desiredOf([{ ...open, failed: { evidence: old } }]), live, 0));
    const text = made?.kind === 'revert' ? made.message : '';
    expect(text).toContain('    | no database\n    | red overturned\n    | *** (this line may');
    expect(text).not.toContain('hunter2');
    // eslint-disable-next-line no-control-regex
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e]/);
  });

  it.each([
    { reason: '2 of its allocations died', said: 'failed: 2 of its allocations died.\n' },
    { reason: 'nobody has it. Was it pushed?', said: 'failed: nobody has it. Was it pushed?\n' },
  ])('a reason ends with one mark: $said', ({ reason, said }) => {
    const job = aJob(words, { failed: { evidence: { reason, allocations: [] } } });
    const made = reverted(plan(desiredOf([job]), liveOf(copiesOf(job)), 0));
    expect(made?.kind === 'revert' && made.message).toContain(said);
  });

  it('the body says so in place: no copy is replaced', () => {
    const silent = aJob({ count: 1 }, { settled: true });
    const live = liveOf([aCopy(silent, { node: 'n001', index: 0 })]);
    const open = { ...silent, evidence: 'logs' } as const;
    const [step, ...rest] = plan(desiredOf([open]), live, 0).steps;
    expect(rest).toEqual([]);
    expect(step).toMatchObject({
      kind: 'update',
      changes: ['evidence'],
      body: { evidence: 'logs' },
    });
    if (step?.kind !== 'update') throw new Error('an update was expected');
    const then = liveOf([{ ...aCopy(silent, { node: 'n001', index: 0 }), body: step.body }]);
    const [back] = plan(desiredOf([silent]), then, 0).steps;
    expect(back).toMatchObject({ kind: 'update', changes: ['evidence'] });
    expect(back?.kind === 'update' && 'evidence' in back.body).toBe(false);
  });
});

describe('a failed version (6.3)', () => {
  const evidence = { reason: '2 of its allocations died', allocations: [] };
  const remedies = (facts: Partial<DesiredJob>): readonly (string | null)[] => {
    const job = aJob(
      { version: 'v2', from: { version: 'v1' } },
      { failed: { evidence }, ...facts },
    );
    const was = aCopy(settledBefore(job), { node: 'n001', index: 0 });
    return plan(desiredOf([job]), liveOf([was]), 0).blocked.flatMap((one) =>
      one.kind === 'waiting' && one.slot === null ? [one.remedy] : [],
    );
  };

  it('names the command that takes it back', () => {
    expect(remedies({})).toEqual(['purser rollback shop/web']);
  });

  it('names no command that would refuse', () => {
    const revert = { kind: 'impossible', why: 'configs/a has changed since' } as const;
    const byHand = 'purser logs shop/web, then commit a correction';
    expect(remedies({ revert })).toEqual([byHand, byHand]);
  });
});
