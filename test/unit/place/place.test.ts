// Placement: one row a filter, then what is best.
import { describe, expect, it } from 'vitest';
import {
  createTable,
  place,
  roomOf,
  type PlaceNode,
  type Want,
} from '../../../reconciler/place/place.ts';
import type { GroupSpec, Resources } from '../../../schema/spec.ts';
import { aGroup } from '../../support/world.ts';

const small: Resources = { cpuMilli: 100, memoryBytes: 100 };

const NO_ASK: Resources = { cpuMilli: 0, memoryBytes: 0 };

const node = (name: string, facts: Partial<PlaceNode> = {}): PlaceNode => ({
  name,
  refusal: null,
  capacity: { cpuMilli: 1_000, memoryBytes: 1_000 },
  attributes: new Map([['node.name', name]]),
  held: roomOf([]),
  portsTaken: [],
  ...facts,
});

const want = (group: Partial<GroupSpec> = {}, facts: Partial<Want> = {}): Want => ({
  namespace: 'shop',
  group: aGroup({ ask: small, ...group }),
  groupKey: 'shop/web/main',
  only: null,
  victim: null,
  draws: [],
  countsForQuota: true,
  ...facts,
});

const table = (nodes: readonly PlaceNode[], limits: Readonly<Record<string, number>> = {}) =>
  createTable({ nodes, allowances: new Map(Object.entries(limits)), quotas: new Map() });

const port80 = [{ name: 'http', port: 80, host: 80 }];
const only = (operator: '=' | '!=', value: string): Partial<GroupSpec> => ({
  constraints: [
    { attribute: 'node.name', operator, value, text: `node.name ${operator} ${value}` },
  ],
});

describe('why a node is refused', () => {
  it.each([
    ['it is lost', want(), node('a', { refusal: { reason: 'lost', detail: 'lost' } }), 'lost'],
    ['its volume is elsewhere', want({}, { only: 'b' }), node('a'), 'volume-elsewhere'],
    ['a constraint with =', want(only('=', 'b')), node('a'), 'constraint'],
    ['a constraint with !=', want(only('!=', 'a')), node('a'), 'constraint'],
    [
      'a port that something else holds',
      want({ ports: port80 }),
      node('a', { portsTaken: [80] }),
      'port',
    ],
    [
      'a port of another copy',
      want({ ports: port80 }),
      node('a', { held: roomOf([{ group: 'x', ask: small, hostPorts: [80] }]) }),
      'port',
    ],
    ['CPU', want({ ask: { cpuMilli: 1_001, memoryBytes: 1 } }), node('a'), 'cpu'],
    ['memory', want({ ask: { cpuMilli: 1, memoryBytes: 1_001 } }), node('a'), 'memory'],
  ] as const)('%s', (_name, asked, on, reason) => {
    expect(place([asked], table([on]))).toMatchObject([
      { kind: 'no-node', reasons: [{ reason, count: 1 }] },
    ]);
  });

  it('names who holds a port, where that is known', () => {
    const details = (on: PlaceNode) =>
      place([want({ ports: port80 })], table([on])).flatMap((one) =>
        one.kind === 'no-node' ? one.reasons.map(({ detail }) => detail) : [],
      );
    const portHolders = new Map([[80, 'nginx, process 812']]);
    expect(details(node('a', { portsTaken: [80] }))).toEqual(['host port 80']);
    expect(details(node('a', { portsTaken: [80], portHolders }))).toEqual([
      'host port 80, held by nginx, process 812',
    ]);
    const held = roomOf([{ group: 'shop/api/main', ask: small, hostPorts: [80] }]);
    expect(details(node('a', { held }))).toEqual(['host port 80, held by shop/api/main']);
  });

  it('of copies that are alike is found once, and anew when room was taken', () => {
    const [large, tiny] = [want({ ask: { cpuMilli: 900, memoryBytes: 1 } }), want({})];
    const nodes = [node('a'), node('b')];
    let looks = 0;
    const counted = nodes.map((one) => ({
      ...one,
      get attributes() {
        looks += 1;
        return one.attributes;
      },
    }));
    const never = want({
      constraints: [{ attribute: 'node.zone', operator: '=', value: 'x', text: 'z' }],
    });
    const others = Array.from({ length: 100 }, () => ({ ...never, group: { ...never.group } }));
    const placed = place(others, table(counted));
    expect(new Set(placed.map(({ kind }) => kind))).toEqual(new Set(['no-node']));
    expect(looks).toBeLessThan(10);
    const reasons = place([large, large, large, tiny, large], table(nodes)).map((one) =>
      one.kind === 'no-node' ? one.reasons.map(({ detail }) => detail) : one.kind,
    );
    const [before, after] = [['800m of CPU short'], ['900m of CPU short']];
    expect(reasons).toEqual(['placed', 'placed', before, 'placed', after]);
  });

  it('an attribute that is missing equals nothing', () => {
    const missing = { attribute: 'node.zone', value: 'x', text: '' } as const;
    const placed = place(
      [
        want({ constraints: [{ ...missing, operator: '!=' }] }),
        want({ constraints: [{ ...missing, operator: '=' }] }),
      ],
      table([node('a')]),
    );
    expect(placed.map(({ kind }) => kind)).toEqual(['placed', 'no-node']);
  });
});

describe('which node', () => {
  const nodesOf = (wants: readonly Want[], nodes: readonly PlaceNode[]): readonly string[] =>
    place(wants, table(nodes)).map((placed) => (placed.kind === 'placed' ? placed.node : '-'));

  it('spreads copies of a group first', () => {
    expect(nodesOf([want(), want(), want()], [node('a'), node('b')])).toEqual(['a', 'b', 'a']);
  });

  it('then takes the emptiest', () => {
    const full = node('a', { held: roomOf([{ group: 'x', ask: small, hostPorts: [] }]) });
    expect(nodesOf([want()], [full, node('b')])).toEqual(['b']);
  });

  it('spreads by attribute before anything else', () => {
    const zoned = (name: string, zone: string): PlaceNode =>
      node(name, { attributes: new Map([['node.zone', zone]]) });
    const spread = [{ attribute: 'node.zone', weight: 100 }];
    const nodes = [zoned('a', 'east'), zoned('b', 'east'), zoned('c', 'west')];
    expect(nodesOf([want({ spread }), want({ spread }), want({ spread })], nodes)).toEqual([
      'a',
      'c',
      'b',
    ]);
  });

  it('counts what was placed before in the same pass', () => {
    const large = want({ ask: { cpuMilli: 600, memoryBytes: 1 } });
    expect(nodesOf([large, large], [node('a')])).toEqual(['a', '-']);
  });
});

describe('a replacement', () => {
  const held = { group: 'shop/web/main', ask: { cpuMilli: 900, memoryBytes: 1 }, hostPorts: [80] };
  const spec = aGroup({ ask: held.ask });
  const victim = { node: 'a', allocation: 'old', spec, hostPorts: [80] };
  const group = { ask: { cpuMilli: 950, memoryBytes: 1 }, ports: port80 };

  it('uses the room and the port that it frees, on the same node only', () => {
    const nodes = [node('a', { held: roomOf([held]) }), node('b', { portsTaken: [80] })];
    expect(place([want(group, { victim })], table(nodes))).toEqual([
      { kind: 'placed', node: 'a', behind: true },
    ]);
    expect(place([want(group)], table(nodes))[0]?.kind).toBe('no-node');
  });

  it('leaves no freed room to others', () => {
    const nodes = [node('a', { held: roomOf([held]) })];
    const tiny = want({ ask: { cpuMilli: 10, memoryBytes: 1 }, ports: port80 }, { victim });
    const other = want({ ask: { cpuMilli: 200, memoryBytes: 1 } });
    expect(place([tiny, other], table(nodes)).map(({ kind }) => kind)).toEqual([
      'placed',
      'no-node',
    ]);
  });
});

describe('what a node can be told', () => {
  const letters = (count: number): GroupSpec =>
    aGroup({ ask: NO_ASK, labels: [['a', 'x'.repeat(count)]] });
  const told = (count: number, spec: GroupSpec, leaves = false) =>
    Array.from({ length: count }, () => ({ spec, leaves }));
  const next = (held: PlaceNode['held'], spec: GroupSpec, facts: Partial<Want> = {}) =>
    place([want(spec, facts)], table([node('a', { held })]));
  const refused = (detail: RegExp) => [
    {
      kind: 'no-node',
      reasons: [{ reason: 'copies', count: 1, detail: expect.stringMatching(detail) }],
    },
  ];
  const small = letters(1);
  const large = letters(250_000);

  it.each([
    ['2,000 copies', told(2_000, small), small, /^2000 copies/],
    ['64 MiB of bodies', told(266, large), large, /have 64MiB of files/],
    [
      '4,000 copies with those that leave',
      [...told(1_000, small), ...told(3_000, small, true)],
      small,
      /^4000 copies with those that leave/,
    ],
    [
      '128 MiB with those that leave',
      [...told(10, large), ...told(522, large, true)],
      large,
      /have 128MiB of files/,
    ],
  ] as const)('%s and not one more', (_name, held, spec, detail) => {
    expect(next(roomOf([], held), spec)).toMatchObject(refused(detail));
    expect(next(roomOf([], held.slice(1)), spec)[0]?.kind).toBe('placed');
  });

  it('a copy that takes the place of another on a full node is placed', () => {
    const held = roomOf([], told(2_000, small));
    const victim = { node: 'a', allocation: 'old', spec: small, hostPorts: [] };
    expect(next(held, small, { victim })).toEqual([{ kind: 'placed', node: 'a', behind: true }]);
  });

  it('what was placed before in the same pass counts', () => {
    const held = roomOf([], told(1_999, small));
    const placed = place([want(small), want(small)], table([node('a', { held })]));
    expect(placed.map(({ kind }) => kind)).toEqual(['placed', 'no-node']);
  });
});

it('an allowance is drawn once a placement, and never below nothing', () => {
  const drawing = want({}, { draws: ['stop'] });
  const placed = place([drawing, drawing], table([node('a')], { stop: 1 }));
  expect(placed.map(({ kind }) => kind)).toEqual(['placed', 'no-allowance']);
});

it('a quota blocks new wants only (13)', () => {
  const quotas = new Map([['shop', { cpuMilli: 50, memoryBytes: 50 }]]);
  const limited = createTable({ nodes: [node('a')], allowances: new Map(), quotas });
  const placed = place([want(), want({}, { countsForQuota: false })], limited);
  expect(placed.map(({ kind }) => kind)).toEqual(['over-quota', 'placed']);
});
