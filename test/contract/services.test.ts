// Services on their real ways: a catalogue over the link to real runner ends, and over HTTP to
// programs, at a Unix socket and over TLS with a token. In: catalogues. Out: what each side has.

import fs from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fetchAuthority } from '../../cli/trust.ts';
import { createLink } from '../../node-runner/edge/link.ts';
import { openDoors, type Doors } from '../../reconciler/doors.ts';
import { type Api, createApi } from '../../reconciler/edge/api.ts';
import { listenApi } from '../../reconciler/edge/api-server.ts';
import { LINK_SERVICE } from '../../reconciler/edge/link-service.ts';
import { createNodes, type Nodes } from '../../reconciler/edge/nodes.ts';
import { listen, type Listening } from '../../reconciler/edge/server.ts';
import type { TokenAnswer } from '../../schema/control.ts';
import { parseToken, RECONCILER_HOST, type TokenKind } from '../../schema/identity.ts';
import type { NodeReport } from '../../schema/orders.ts';
import type { Catalogue, CatalogueService, ServicesAnswer } from '../../schema/services.ts';
import { until } from './runtime-suite.ts';
import { reportWith } from '../support/reports.ts';

const CLUSTER = 'test';
const quiet = { info: () => {}, warn: () => {}, error: () => {} };
const clock = { now: () => performance.now(), sleepUntil: async () => {} };

let folder: string;
let undo: (() => Promise<unknown> | void)[];
beforeEach(async () => {
  folder = await fs.mkdtemp(path.join(tmpdir(), 'psv-'));
  undo = [];
});
afterEach(async () => {
  for (const step of undo.toReversed()) await step();
  await fs.rm(folder, { recursive: true, force: true, maxRetries: 5 });
});

const instanceOn = (node: string, index = 0, port = 20_000) => ({
  allocation: `${node}-${index}`,
  node,
  job: 'web',
  group: 'web',
  address: '10.0.0.1',
  port,
  tags: [],
});
const service = (name: string, ...instances: CatalogueService['instances']): CatalogueService => ({
  namespace: 'shop',
  name,
  instances,
});
const everybody = () => true;

describe('over the link', () => {
  let nodes: Nodes;
  let listening: Listening;
  const start = async (): Promise<void> => {
    nodes = createNodes({ cluster: CLUSTER, clock, log: quiet });
    const address = `unix:${path.join(folder, 'l.sock')}`;
    listening = await listen(address, LINK_SERVICE, nodes.service);
  };
  beforeEach(start);
  afterEach(() => listening.stop());

  const reportOf = (node: string): NodeReport => reportWith({ node, cluster: CLUSTER });

  /** What a real runner's end was given, newest last. */
  const runner = (node: string): readonly Catalogue[] => {
    const given: Catalogue[] = [];
    const link = createLink({
      address: listening.address,
      cluster: CLUSTER,
      node,
      clock: { ...clock, bootId: 'b' },
      log: quiet,
      serve: async () => {
        throw new Error('no streams here');
      },
      catalogue: (catalogue) => void given.push(catalogue),
    });
    const abort = new AbortController();
    const running = link.run(abort.signal);
    link.port.report(reportOf(node), performance.now());
    undo.push(async () => {
      abort.abort();
      await running;
    });
    return given;
  };

  const connected = (node: string) =>
    until(async () => nodes.port.heard().nodes.find((one) => one.node === node)?.connected);
  /** As the loop does: after every pass, changed or not. */
  const published = async (
    catalogue: Catalogue,
    given: readonly Catalogue[],
    isThere: (newest: Catalogue | undefined) => boolean,
  ): Promise<void> => {
    await until(async () => {
      nodes.port.publish(catalogue, everybody);
      return isThere(given.at(-1));
    });
  };
  const names = (catalogue: Catalogue | undefined) =>
    catalogue?.services.map(({ name, instances }) => `${name} ${instances.length}`);

  test('each runner has the newest, whole first and then by what changed', async () => {
    const [one, two] = [runner('n1'), runner('n2')];
    await Promise.all(['n1', 'n2'].map(connected));
    const calm = service('calm', instanceOn('n1'));
    const first = { services: [calm, service('web', instanceOn('n1'), instanceOn('n2'))] };
    nodes.port.publish(first, everybody);
    for (const given of [one, two]) {
      await until(async () => given.length > 0);
      expect(given.at(-1)).toEqual(first);
    }
    const next = { services: [calm, service('web', instanceOn('n2', 0, 20_001))] };
    nodes.port.publish(next, everybody);
    for (const given of [one, two]) {
      await until(async () => given.length > 1);
      expect(given.at(-1)).toEqual(next);
      // What did not change did not travel.
      expect(given.at(-1)?.services[0]).toBe(given.at(-2)?.services[0]);
    }
  });

  test('one that may not be told gets none, until it may', async () => {
    const given = runner('n1');
    await connected('n1');
    const catalogue = { services: [service('web', instanceOn('n1'))] };
    nodes.port.publish(catalogue, () => false);
    // Orders go the same way, and are there after it.
    const orders = { node: 'n1', cluster: CLUSTER, generation: 1, commit: '', items: [] };
    await until(async () => nodes.port.send(orders));
    await published(catalogue, given, (newest) => newest !== undefined);
    expect(given).toEqual([catalogue]);
  });

  test('a large one comes in parts', async () => {
    const given = runner('n1');
    await connected('n1');
    const instances = Array.from({ length: 20_000 }, (_, at) => instanceOn('n1', at));
    await published(
      { services: [service('web', ...instances)] },
      given,
      (newest) => newest?.services[0]?.instances.length === 20_000,
    );
  });

  test('while the link is cut, and before a new reconciler knows, the last one counts', async () => {
    const given = runner('n1');
    await connected('n1');
    const both = { services: [service('web', instanceOn('n1'), instanceOn('n2'))] };
    await published(both, given, (newest) => newest !== undefined);
    await listening.stop();
    await start();
    await connected('n1');
    expect(names(given.at(-1))).toEqual(['web 2']);
    const known = [service('new', instanceOn('n1')), service('web', instanceOn('n1', 1))];
    await published(
      { services: known, unheard: ['n2'] },
      given,
      (newest) => names(newest)?.includes('new 1') === true,
    );
    // The copy on n1 is as the new one says, the one on n2 as it was.
    expect(given.at(-1)?.services[1]?.instances).toEqual([instanceOn('n1', 1), instanceOn('n2')]);
    await published(
      { services: known },
      given,
      (newest) => names(newest)?.includes('web 1') === true,
    );
  });
});

describe('over HTTP', () => {
  let answer: ServicesAnswer | null;
  let elsewhere: string | null;
  let wake: () => void;
  let api: Api;
  beforeEach(() => {
    answer = { cluster: CLUSTER, services: [], leftOut: 0 };
    elsewhere = null;
    api = createApi({
      services: () => answer,
      elsewhere: () => elsewhere,
      changes: (listener) => {
        wake = listener;
        return () => {};
      },
      log: quiet,
      now: () => performance.now(),
    });
    undo.push(() => api.close());
  });
  const shown = (name: string): ServicesAnswer => ({
    cluster: CLUSTER,
    services: [{ ...service(name, instanceOn('n1')), waiting: [] }],
    leftOut: 0,
  });

  interface Asked {
    readonly status: number;
    readonly text: string;
    readonly headers: http.IncomingHttpHeaders;
  }
  const finished = (request: http.ClientRequest): Promise<Asked> =>
    new Promise((resolve, reject) => {
      request.on('error', reject);
      request.on('response', (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (text += chunk));
        const { statusCode: status = 0, headers } = response;
        response.on('end', () => resolve({ status, text, headers }));
        response.on('error', reject);
      });
      request.end();
    });
  const EVENTS = { accept: 'text/event-stream' };

  /** Answers as they come, until it is over. */
  const following = (request: http.ClientRequest) => {
    const got: ServicesAnswer[] = [];
    let isOver = false;
    let rest = '';
    request.on('error', () => (isOver = true));
    request.on('response', (response) => {
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        const events = (rest + chunk).split('\n\n');
        rest = events.pop() ?? '';
        for (const event of events) {
          const data = /^data: (.*)$/m.exec(event)?.[1];
          if (data !== undefined) got.push(JSON.parse(data) as ServicesAnswer);
        }
      });
      response.on('close', () => (isOver = true));
      response.on('error', () => (isOver = true));
    });
    request.end();
    undo.push(() => void request.destroy());
    return { got, isOver: () => isOver };
  };

  describe('at the Unix socket', () => {
    let socketPath: string;
    beforeEach(async () => {
      socketPath = path.join(folder, 'api.sock');
      const listening = await listenApi(api, socketPath);
      undo.push(listening.stop);
    });
    const ask = (more: http.RequestOptions = {}) =>
      finished(http.request({ socketPath, path: '/v1/services', agent: false, ...more }));

    test('only its owner can open it, and no second one takes it', async () => {
      expect((await fs.stat(socketPath)).mode & 0o777).toBe(0o600);
      await expect(listenApi(api, socketPath)).rejects.toThrow('somebody answers');
    });

    test('services are told as JSON; what else is asked is refused in words', async () => {
      answer = shown('web');
      const { status, text, headers } = await ask();
      expect([status, headers['content-type']]).toEqual([200, 'application/json']);
      expect(JSON.parse(text)).toEqual(answer);
      expect(await ask({ path: '/v1/jobs' })).toMatchObject({ status: 404 });
      expect(await ask({ method: 'POST' })).toMatchObject({
        status: 405,
        headers: { allow: 'GET' },
      });
      answer = null;
      expect(await ask()).toMatchObject({ status: 503, text: expect.stringContaining('not read') });
    });

    test('a standby says whom to ask, and lets go who followed it while it led', async () => {
      const headers = EVENTS;
      const before = following(
        http.request({ socketPath, path: '/v1/services', headers, agent: false }),
      );
      await until(async () => before.got.length === 1);
      elsewhere = 'ask r2';
      const refused = { status: 503, text: '{"error":"ask r2"}\n' };
      expect(await ask()).toMatchObject(refused);
      expect(await ask({ headers })).toMatchObject(refused);
      expect(before.isOver()).toBe(false);
      wake();
      await until(async () => before.isOver());
      expect(before.got).toHaveLength(1);
    });

    test('who follows is told now, after each change, and nothing twice', async () => {
      const { got } = following(
        http.request({ socketPath, path: '/v1/services', headers: EVENTS, agent: false }),
      );
      await until(async () => got.length === 1);
      wake();
      answer = shown('a');
      wake();
      await until(async () => got.length === 2);
      answer = shown('b');
      wake();
      await until(async () => got.length === 3);
      expect(got.map(({ services }) => services.map(({ name }) => name))).toEqual([
        [],
        ['a'],
        ['b'],
      ]);
    });
  });

  describe('over TLS', () => {
    let doors: Doors;
    let address: string;
    /** To learn whom to trust, as a command does. */
    let door: string;
    beforeEach(async () => {
      const listening = { address: '127.0.0.1:0', apiAddress: '127.0.0.1:0' };
      const at = { ...listening, folder: path.join(folder, 'authority') };
      const options = { cluster: CLUSTER, log: quiet, epochMs: Date.now };
      doors = await openDoors({ ...options, listen: at });
      const nodes = createNodes({ cluster: CLUSTER, clock, log: quiet });
      const control = {} as Parameters<Doors['open']>[0]['control'];
      const opened = await doors.open({ control, nodes, list: async () => null });
      const served = await doors.openApi(api);
      if (served === null) throw new Error('it has no address');
      [door, address] = [opened.address, served.address];
      undo.push(opened.stop, served.stop);
    });

    const tokenOf = async (kind: TokenKind): Promise<string> => {
      const asked = { kind, node: null, uses: 1, lastsMs: 3_600_000 };
      const given = (await doors.handlers['token']?.(asked)) as TokenAnswer;
      return given.token;
    };
    const request = async (token: string | null, headers: http.OutgoingHttpHeaders = {}) => {
      const ca = await fetchAuthority(door, parseToken(await tokenOf('view'))?.authority ?? '');
      const shownAs = token === null ? {} : { authorization: `Bearer ${token}` };
      const [host, port] = address.split(':');
      return https.request({
        host,
        port,
        path: '/v1/services',
        ca,
        servername: RECONCILER_HOST,
        headers: { ...headers, ...shownAs },
        agent: false,
      });
    };

    test('only who shows a token of a role is answered', async () => {
      answer = shown('web');
      const got = await finished(await request(await tokenOf('view')));
      expect([got.status, JSON.parse(got.text)]).toEqual([200, answer]);
      expect(await finished(await request(await tokenOf('admin')))).toMatchObject({ status: 200 });
      const none = await finished(await request(null));
      expect(none).toMatchObject({ status: 401, headers: { 'www-authenticate': 'Bearer' } });
      expect(none.text).not.toContain('web');
      const good = await tokenOf('view');
      const made = good.replace(/.{4}$/, (end) => (end === '0000' ? '1111' : '0000'));
      expect(await finished(await request(made))).toMatchObject({ status: 401 });
      expect(await finished(await request(await tokenOf('join')))).toMatchObject({ status: 403 });
    });

    test('who follows is cut off once its token has ended', async () => {
      const token = await tokenOf('view');
      const { got, isOver } = following(await request(token, EVENTS));
      await until(async () => got.length === 1);
      await doors.handlers['endToken']?.({ id: parseToken(token)?.id });
      answer = shown('secret');
      wake();
      await until(async () => isOver());
      expect(got).toHaveLength(1);
    });

    test('without TLS nothing is answered', async () => {
      const [host, port] = address.split(':');
      const plain = http.request({ host, port, path: '/v1/services', agent: false });
      await expect(finished(plain)).rejects.toThrow();
    });
  });
});
