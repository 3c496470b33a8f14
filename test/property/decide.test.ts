// Laws of decide: the order in which things are known does not matter, and an action under way is
// not begun twice.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { LANE_PLACES } from '../../node-runner/config.ts';
import { laneOf, workKey } from '../../node-runner/decide/action.ts';
import type { Action, Work } from '../../node-runner/decide/action.ts';
import { decide } from '../../node-runner/decide/decide.ts';
import type { ContainerFacts, Inventory } from '../../node-runner/decide/inventory.ts';
import { newMark } from '../../node-runner/decide/marks.ts';
import { encodeLabels } from '../../schema/labels.ts';
import { runItem, stopItem, testBody, testNode, testOrders } from '../support/runner-specs.ts';

const IDS = Array.from({ length: 12 }, (_, index) => `a-${index}-1`);
const taskState = fc.constantFrom('none', 'created', 'running', 'stopped' as const);
const facts = fc.record({
  ordered: fc.constantFrom('run', 'stop', 'absent' as const),
  marked: fc.boolean(),
  container: fc.option(taskState, { nil: null }),
  network: fc.boolean(),
  busy: fc.boolean(),
});
type Facts = typeof facts extends fc.Arbitrary<infer F> ? F : never;

const container = (allocation: string, task: ContainerFacts['task']): ContainerFacts => {
  const body = testBody(allocation);
  const labels = encodeLabels({
    ...body,
    task: 'server',
    groupHash: body.spec.hash,
    everHealthy: false,
    restarts: 0,
  });
  const id = `${allocation}.server`;
  return { id, labels, image: 'i', task, pid: 1, exit: null, outOfMemory: false };
};

const bodies = new Map(IDS.map((id) => [id, testBody(id)]));
const bodyOf = (id: string) => bodies.get(id) ?? testBody(id);

const world = (drawn: readonly Facts[], order: readonly string[]) => {
  const of = (id: string): Facts | undefined => drawn[IDS.indexOf(id)];
  const some = (holds: (found: Facts) => boolean): readonly string[] =>
    order.filter((id) => {
      const found = of(id);
      return found !== undefined && holds(found);
    });
  const inventory: Inventory = {
    node: testNode,
    containers: new Map(
      some(({ container: state }) => state !== null).map((id) => [
        `${id}.server`,
        container(id, of(id)?.container ?? 'none'),
      ]),
    ),
    images: new Map(),
    users: new Map(),
    networks: new Map(
      some(({ network }) => network).map((id) => [
        id,
        { allocation: id, path: '/n', address: '10.0.0.2' },
      ]),
    ),
    prepared: new Map(),
    marks: new Map(some(({ marked }) => marked).map((id) => [id, newMark(bodyOf(id), 0)])),
    inFlight: new Set(some(({ busy }) => busy).map((id) => `container ${id}.server`)),
    retries: new Map(),
    room: LANE_PLACES,
    portsTaken: new Set(),
    portHolders: new Map(),
    disk: null,
    contactAt: 0,
    unheardMs: 0,
    imagesUsed: new Map(),
    volumes: null,
  };
  const items = IDS.flatMap((id) => {
    const kind = of(id)?.ordered;
    return kind === 'run' ? [runItem(bodyOf(id))] : kind === 'stop' ? [stopItem(id)] : [];
  });
  return { inventory, orders: testOrders(1, items) };
};

const isWork = (action: Action): action is Work =>
  action.kind !== 'remember' && action.kind !== 'forget' && action.kind !== 'wait';

it('known in any order, the same is done', () => {
  const shuffled = fc.shuffledSubarray(IDS, { minLength: IDS.length });
  fc.assert(
    fc.property(fc.array(facts, { minLength: 12, maxLength: 12 }), shuffled, (drawn, order) => {
      const a = world(drawn, IDS);
      const b = world(drawn, order);
      expect(decide(b.orders, b.inventory, 1000)).toEqual(decide(a.orders, a.inventory, 1000));
    }),
  );
});

it('nothing is begun twice, no lane is overfull, and what should run and runs is left alone', () => {
  fc.assert(
    fc.property(fc.array(facts, { minLength: 12, maxLength: 12 }), (drawn) => {
      const { inventory, orders } = world(drawn, IDS);
      const works = decide(orders, inventory, 1000).filter(isWork);
      const keys = works.map(workKey);
      expect(new Set(keys).size).toBe(keys.length);
      for (const key of keys) expect(inventory.inFlight.has(key)).toBe(false);
      for (const [lane, places] of Object.entries(LANE_PLACES)) {
        const used = works.filter(({ kind }) => laneOf(kind) === lane).length;
        expect(used).toBeLessThanOrEqual(places);
      }
      const running = new Set(
        orders.items
          .filter(({ kind, allocation }) => {
            const known = inventory.containers.get(`${allocation}.server`);
            return kind === 'run' && known?.task === 'running';
          })
          .map(({ allocation }) => `${allocation}.server`),
      );
      for (const work of works) {
        if (work.kind === 'remove') expect(running.has(work.container)).toBe(false);
        if (work.kind === 'kill') expect(running.has(work.place.container)).toBe(false);
      }
    }),
  );
});
