// Networks of allocations as decide sees them: which need something made first, and what follows.
import { describe, expect, it } from 'vitest';
import { LANE_PLACES } from '../../../../node-runner/config.ts';
import type { Work } from '../../../../node-runner/decide/action.ts';
import { decide } from '../../../../node-runner/decide/decide.ts';
import type { AllocationMark, Inventory } from '../../../../node-runner/decide/inventory.ts';
import { newMark } from '../../../../node-runner/decide/marks.ts';
import { networkOf } from '../../../../node-runner/decide/network.ts';
import type { ImageFacts } from '../../../../node-runner/ports.ts';
import { encodeLabels } from '../../../../schema/labels.ts';
import type { AllocationBody } from '../../../../schema/orders.ts';
import { GIB, runItem, tcpCheck, testBody, testGroup } from '../../../support/runner-specs.ts';
import { stopItem, testNode, testOrders, testTask } from '../../../support/runner-specs.ts';

const image: ImageFacts = {
  name: 'r/web@sha256:aa',
  digest: 'sha256:aa',
  chainId: 'c',
  sizeBytes: 1,
  entrypoint: ['/x'],
  command: [],
  environment: [],
  workingDir: '',
  user: '',
  stopSignal: null,
};

const check = tcpCheck({ probe: { kind: 'tcp', port: '8080' } });
const alone = testGroup({
  networkMode: 'none',
  ports: [],
  tasks: [testTask({ checks: { startup: null, ready: check, live: null } })],
});
const two = { ...alone, tasks: [testTask(), testTask({ name: 'side' })] };
const known = { allocation: 'a-0-1', path: '/run/netns/a', address: null };

const inventory = (bodies: readonly AllocationBody[], fields: Partial<Inventory>): Inventory => ({
  node: testNode,
  containers: new Map(),
  images: new Map([[image.name, image]]),
  users: new Map(),
  networks: new Map(),
  prepared: new Map(
    bodies.map(({ allocation }) => [allocation, { files: {}, volumes: {}, logs: {} }]),
  ),
  marks: new Map(bodies.map((body) => [body.allocation, { ...newMark(body, 0), ports: [] }])),
  inFlight: new Set(),
  retries: new Map(),
  room: LANE_PLACES,
  portsTaken: new Set(),
  portHolders: new Map(),
  disk: { freeBytes: 100 * GIB, totalBytes: 200 * GIB },
  contactAt: 0,
  unheardMs: 0,
  imagesUsed: new Map(),
  volumes: new Set(),
  ...fields,
});

const runningOf = (body: AllocationBody, everHealthy: boolean) => {
  const id = `${body.allocation}.server`;
  const facts = { task: 'server', groupHash: body.spec.hash, everHealthy, restarts: 0 };
  const labels = encodeLabels({ ...body, ...facts });
  const task = 'running' as const;
  return { id, labels, image: image.name, task, pid: 77, exit: null, outOfMemory: false };
};

const markRunning = (body: AllocationBody): AllocationMark => {
  const mark = newMark(body, 0);
  const tasks = mark.tasks.map((task) => ({
    ...task,
    run: 'open' as const,
    runSince: 0,
    everStarted: true,
  }));
  return { ...mark, ports: [], tasks };
};

const worksOf = (
  bodies: readonly AllocationBody[],
  fields: Partial<Inventory> = {},
): readonly Work[] => {
  const orders = testOrders(
    1,
    bodies.map((body) => runItem(body)),
  );
  return decide(orders, inventory(bodies, fields), 1000).filter(
    (action): action is Work => !['remember', 'forget', 'wait'].includes(action.kind),
  );
};

describe('mode none', () => {
  const body = testBody('a-0-1', { spec: alone });

  it('asks nothing of the network for a single task, whose name space comes with it', () => {
    expect(networkOf('a-0-1', alone, inventory([], {}))).toEqual({ path: null, address: null });
    const [work] = worksOf([body]);
    if (work?.kind !== 'create') throw new Error(`the first work is ${work?.kind}`);
    const { linux } = work.ask.spec as { readonly linux: { readonly namespaces: unknown } };
    expect(linux.namespaces).toContainEqual({ type: 'network' });
  });

  it('sets up one that tasks share', () => {
    expect(networkOf('a-0-1', two, inventory([], {}))).toBe('missing');
    const works = worksOf([testBody('a-0-1', { spec: two })]);
    expect(works.map(({ kind }) => kind)).toEqual(['set-up-network']);
  });

  it('keeps what an earlier runner has set up, and tears it down in the end', () => {
    const networks = new Map([['a-0-1', known]]);
    expect(networkOf('a-0-1', alone, inventory([], { networks }))).toEqual(known);
    const stop = testOrders(1, [stopItem('a-0-1')]);
    const kinds = (fields: Partial<Inventory>) =>
      decide(stop, inventory([body], fields), 1000).map(({ kind }) => kind);
    expect(kinds({ networks })).toContain('tear-down-network');
    expect(kinds({})).not.toContain('tear-down-network');
  });

  it('checks inside the name space of the process', () => {
    const containers = new Map([['a-0-1.server', runningOf(body, false)]]);
    const marks = new Map([['a-0-1', markRunning(body)]]);
    const netnsOf = (fields: Partial<Inventory>) =>
      worksOf([body], { containers, marks, ...fields }).map((work) =>
        work.kind === 'probe' && work.work.kind === 'network' ? work.work.ask.netns : work.kind,
      );
    expect(netnsOf({})).toEqual(['/proc/77/ns/net']);
    expect(netnsOf({ networks: new Map([['a-0-1', known]]) })).toEqual(['/run/netns/a']);
    const ended = new Map([['a-0-1.server', { ...runningOf(body, false), pid: null }]]);
    expect(netnsOf({ containers: ended })).toEqual([]);
  });
});

it('labels wait while containers wait for a place, and no longer', () => {
  const spec = { ...alone, tasks: [testTask()] };
  const [old, fresh] = ['a-0-1', 'b-0-1'].map((id) => testBody(id, { spec, minHealthyMs: 0 }));
  if (old === undefined || fresh === undefined) throw new Error('two bodies');
  const containers = new Map([['a-0-1.server', runningOf(old, false)]]);
  const marks = new Map([
    ['a-0-1', markRunning(old)],
    ['b-0-1', { ...newMark(fresh, 0), ports: [] }],
  ]);
  const kinds = (create: number) =>
    worksOf([old, fresh], { containers, marks, room: { ...LANE_PLACES, create } }).map(
      ({ kind }) => kind,
    );
  expect(kinds(0)).toEqual([]);
  expect(kinds(1)).toEqual(['create', 'relabel']);
});
