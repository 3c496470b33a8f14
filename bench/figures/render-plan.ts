// How long a plan of 1,000 changed jobs takes to become a check: title, summary, details, remarks.
// In: a number of rounds. Out: one row; beside it the same plan written as JSON, which is the least
// that any program does with all of it. Not here: the plan itself (reconciler/preview).

import { planCheck } from '../../reconciler/render/plan-check.ts';
import { MARKDOWN_LIMIT } from '../../schema/forge.ts';
import { sha256 } from '../../schema/hash.ts';
import type { PullPlan } from '../../schema/pull-plan.ts';
import type { JobChange, Summary } from '../../schema/summary.ts';
import { type Figure, median, ms, spread } from '../support/figure.ts';

const JOBS = 1_000;
const ROUNDS = 50;
/** The first rounds compile the code. */
const WARM_UP = 5;
const GOAL_MS = 100;

const image = (job: number, tag: string): string =>
  `registry.example/team/service-${job}:${tag}@sha256:${sha256(`${job} ${tag}`)}`;

const idOf = (index: number): string =>
  `team-${index % 20}/service-${String(index).padStart(4, '0')}`;

const jobOf = (index: number): JobChange => ({
  job: idOf(index),
  file: `jobs/${idOf(index)}.yaml`,
  kind: 'changed',
  from: sha256(`from ${index}`),
  to: sha256(`to ${index}`),
  images: [{ task: 'main', from: image(index, '1'), to: image(index, '2') }],
  copies: { from: 3, to: 3 },
  nodes: [0, 1, 2].map((node) => ({ node: `node-${(index + node) % 50}`, copies: 1 })),
  waves: 3,
  downAtMost: 1,
  starts: 3,
  stops: 3,
  updates: 0,
});

/** Every job in the same three waves, with one problem and one blocked copy in ten. */
const planOf = (): PullPlan => {
  const jobs = Array.from({ length: JOBS }, (_, index) => jobOf(index));
  const steps: Summary['waves'][number]['steps'] = jobs.flatMap(({ job, nodes }) =>
    (['stop', 'start'] as const).map((kind) => ({
      kind,
      job,
      group: 'main',
      reason: 'rollout',
      indexes: [0, 1, 2],
      nodes: nodes.map(({ node }) => node),
      changes: [],
    })),
  );
  const tenth = jobs.filter((_, index) => index % 10 === 0);
  const resources = { cpuMilli: 300_000, memoryBytes: 2 ** 40 };
  return {
    kind: 'planned',
    base: sha256('base').slice(0, 40),
    head: sha256('head').slice(0, 40),
    snapshot: sha256('snapshot').slice(0, 12),
    effects: { slots: [] },
    rehearsal: { losses: [], left: 0, waves: [], rollbacks: [] },
    fields: jobs.flatMap(({ job, images }) => [
      { job, field: 'image', from: images[0]?.from ?? null, to: images[0]?.to ?? null },
      { job, field: 'environment.LEVEL', from: 'info', to: 'debug' },
      { job, field: 'environment.URL', from: 'https://a.example', to: 'https://b.example/@x' },
    ]),
    summary: {
      jobs,
      waves: [{ first: 1, last: 3, steps }],
      blocked: tenth.map(({ job }) => ({
        kind: 'no-node',
        job,
        slot: `${job}/main[2]`,
        nodes: [{ reason: 'memory', count: 50, detail: '1.5GiB of memory short' }],
      })),
      problems: tenth.map(({ file }) => ({
        file,
        line: 3,
        column: 1,
        code: 'image-tag',
        severity: 'warning',
        message: 'The image is named by the tag `2` alone, which may move.',
        advice: 'Write `tag@sha256:…`, as `purser deploy` does.',
      })),
      guarded: [],
      pending: { steps: 0, blocked: [], problems: [] },
      capacity: { before: resources, after: resources, total: resources },
      assumed: [],
      places: tenth.map(({ job, file }) => ({ job, group: 'main', file, line: 1, wanted: 3 })),
      stopped: null,
    },
  };
};

const CONTEXT = { cluster: 'bench', directory: 'clusters/bench', approved: new Set<string>() };

const timed = (work: () => void): number => {
  const start = performance.now();
  work();
  return performance.now() - start;
};

export const renderPlan: Figure = {
  name: 'render-plan',
  what: 'a plan of 1,000 changed jobs becomes the text of a check',
  run: ({ count, say }) => {
    const plan = planOf();
    const rounds = count ?? ROUNDS;
    const [ours, floor]: [number[], number[]] = [[], []];
    let characters = 0;
    for (let round = 0; round < rounds + WARM_UP; round += 1) {
      const took = timed(() => {
        const check = planCheck(plan, CONTEXT);
        characters = check.summary.length + check.text.length;
      });
      const least = timed(() => JSON.stringify(plan));
      if (round < WARM_UP) continue;
      ours.push(took);
      floor.push(least);
    }
    if (characters < MARKDOWN_LIMIT) throw new Error('the plan was not shown: nothing is measured');
    say(`${characters} characters, ${rounds} rounds`);
    const result = median(ours);
    return Promise.resolve([
      {
        what: `plan of ${JOBS} changed jobs → text of a check`,
        ours: spread(ours),
        floor: `${ms(median(floor))} (the plan as JSON)`,
        result: ms(result),
        goal: `${GOAL_MS} ms`,
        met: result <= GOAL_MS,
      },
    ]);
  },
};
