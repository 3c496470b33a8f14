// Laws of the catalogue, on random clusters that change: memory changes nothing, whoever follows by
// differences has the whole, and nobody is found who is told to stop.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createCatalogueReader } from '../../node-runner/edge/link-catalogue.ts';
import { createCatalogues } from '../../reconciler/edge/catalogues.ts';
import { createCatalogueMemo } from '../../reconciler/live/catalogue-memo.ts';
import { servicesOf } from '../../reconciler/live/catalogue.ts';
import type { DesiredState } from '../../schema/desired.ts';
import type { LiveAllocation, LiveState } from '../../schema/live.ts';
import { completed, EMPTY_CATALOGUE } from '../../schema/services.ts';
import { aCopy, aJob, desiredOf, liveOf, nodeNames, STARTING } from '../support/world.ts';

const NODES = 4;
const names = nodeNames(NODES);

/** Two jobs share a name in their namespace; the third has two of its own. */
const servicesOfJob = [['site'], ['site'], ['a', 'b']];
const PORTS = [{ name: 'http', port: 80, host: null }];
const jobs = servicesOfJob.map((services, at) =>
  aJob({
    name: `job${at}`,
    groups: [
      {
        ports: PORTS,
        services: services.map((name) => ({ name, port: 'http', tags: [`t${at}`] })),
      },
    ],
  }),
);

const STATES: readonly Partial<LiveAllocation>[] = [
  {},
  {},
  STARTING,
  { health: 'unhealthy' },
  { stopping: true },
  { phase: 'stopping', stopping: true },
  { stopping: true, stopWaits: [] },
  { phase: 'dead', health: 'unhealthy' },
];

const copyArbitrary = fc.record({
  job: fc.nat({ max: jobs.length - 1 }),
  node: fc.nat({ max: NODES - 1 }),
  index: fc.nat({ max: 3 }),
  state: fc.nat({ max: STATES.length - 1 }),
  host: fc.integer({ min: 20_000, max: 20_003 }),
});

const worldArbitrary = fc.record({
  copies: fc.uniqueArray(copyArbitrary, {
    maxLength: 12,
    selector: ({ job, node, index }) => `${job} ${node} ${index}`,
  }),
  wanted: fc.subarray(jobs),
  heard: fc.subarray([...names]),
  lost: fc.nat({ max: NODES }),
  upForMs: fc.constantFrom(1_000, 60_000),
  external: fc.boolean(),
});

type WorldChoice = typeof worldArbitrary extends fc.Arbitrary<infer T> ? T : never;

const worldOf = (choice: WorldChoice): readonly [DesiredState, LiveState] => {
  const copies = choice.copies.map(({ job, node, index, state, host }) =>
    aCopy(
      jobs[job] ?? aJob(),
      { node: names[node] ?? '', index },
      { ports: [{ name: 'http', port: 80, host }], address: `10.0.0.${node}`, ...STATES[state] },
    ),
  );
  const silent = { [names[choice.lost] ?? '']: { connected: false, silentForMs: 60_000 } };
  const external = [{ name: 'a', addresses: ['192.0.2.7'], port: 1, tags: [] }];
  const shop = { name: 'shop', protected: false, quota: null, evidence: 'codes' as const };
  const namespaces = [choice.external ? { ...shop, external } : shop];
  const nodes = names.map((name) => ({ name, labels: [], pool: null, drain: 'no' as const }));
  const desired = desiredOf(choice.wanted, { namespaces, nodes });
  return [desired, { ...liveOf(copies, silent, choice.heard), upForMs: choice.upForMs }];
};

const history = fc.array(worldArbitrary, { minLength: 1, maxLength: 8 });

test('what is remembered changes nothing', () => {
  fc.assert(
    fc.property(history, (choices) => {
      const memo = createCatalogueMemo();
      for (const choice of choices) {
        const [desired, live] = worldOf(choice);
        const kept = servicesOf(desired, live, memo);
        expect(kept).toEqual(servicesOf(desired, live, createCatalogueMemo()));
      }
    }),
    { seed: 21 },
  );
});

test('nobody is found who stops, whose stop begins at once, or who is not ready', () => {
  fc.assert(
    fc.property(worldArbitrary, (choice) => {
      const [desired, live] = worldOf(choice);
      const { catalogue } = servicesOf(desired, live, createCatalogueMemo());
      const listed = new Set(
        catalogue.services.flatMap(({ instances }) => instances.map((one) => one.allocation)),
      );
      for (const copy of live.nodes.flatMap(({ allocations }) => allocations)) {
        const stops = copy.stopping && copy.stopWaits === undefined;
        if (stops || copy.phase !== 'running' || copy.health !== 'healthy') {
          expect(listed).not.toContain(copy.allocation);
        }
      }
      for (const { instances } of catalogue.services) {
        const copies = instances.filter(({ allocation }) => allocation !== null);
        expect(new Set(copies.map((one) => one.allocation)).size).toBe(copies.length);
      }
    }),
    { seed: 22 },
  );
});

test('every copy that serves is found, or waits for a reason', () => {
  fc.assert(
    fc.property(worldArbitrary, (choice) => {
      const [desired, live] = worldOf(choice);
      const { catalogue } = servicesOf(desired, live, createCatalogueMemo());
      const listed = new Set(
        catalogue.services.flatMap(({ instances }) => instances.map((one) => one.allocation)),
      );
      const known = new Set(desired.jobs.map(({ id }) => id));
      for (const node of live.nodes) {
        for (const copy of node.allocations) {
          const { phase, health, stopping, body } = copy;
          const serves = phase === 'running' && health === 'healthy' && !stopping;
          const isKnown = known.has(`${body.namespace}/${body.job}`);
          const isHere = Math.min(node.silentForMs, live.upForMs) < 30_000;
          if (serves && isKnown && isHere) expect(listed).toContain(copy.allocation);
        }
      }
    }),
    { seed: 23 },
  );
});

test('who takes differences, now and then and after a new session, has the newest catalogue', () => {
  const taken = fc.array(fc.constantFrom('take', 'leave', 'redial'), { maxLength: 8 });
  fc.assert(
    fc.property(history, taken, (choices, turns) => {
      const catalogues = createCatalogues();
      const memo = createCatalogueMemo();
      const known = { catalogue: EMPTY_CATALOGUE };
      let taker = catalogues.taker();
      let reader = createCatalogueReader(known);
      let wanted = EMPTY_CATALOGUE;
      const take = (): void => {
        const frames = taker.take();
        for (const { frame } of frames) {
          if (frame?.$case !== 'catalogue') throw new Error('another frame');
          expect(reader.take(frame.value).kind).not.toBe('wrong');
        }
        if (frames.length > 0) wanted = completed(wanted, memo.last?.catalogue ?? EMPTY_CATALOGUE);
        expect(taker.isBehind()).toBe(false);
        expect(known.catalogue).toEqual(wanted);
      };
      for (const [at, choice] of choices.entries()) {
        const [desired, live] = worldOf(choice);
        catalogues.publish(servicesOf(desired, live, memo).catalogue);
        if (turns[at] === 'redial') {
          taker = catalogues.taker();
          reader = createCatalogueReader(known);
        }
        if (turns[at] !== 'leave') take();
      }
      take();
    }),
    { seed: 24 },
  );
});
