// Pulling from a real registry into a real containerd: logins, resume, damage, platforms, garbage.

import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import type http from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type BuiltImage, buildImage } from '../../cli/image-build.ts';
import type { PullProgress } from '../../node-runner/ports.ts';
import { OCI_INDEX, OCI_MANIFEST } from '../../schema/image-reference.ts';
import { releases, type TestContainerd, testContainerd } from '../support/containerd.ts';
import { busyboxLayer, testImage } from '../support/images.ts';
import { testSpec } from '../support/specs.ts';
import { find, until } from './runtime-suite.ts';
import { type TestProxy, testProxy, type TestRegistry, testRegistry } from '../support/registry.ts';

const LOGIN = `Basic ${Buffer.from('ann:sécret').toString('base64')}`;
const present = releases().filter(({ binary }) => binary !== null);

describe.each(present)('pull with containerd $name', ({ binary }) => {
  let server: TestContainerd;
  let registry: TestRegistry;
  let proxy: TestProxy;
  let serial = 0;

  beforeAll(async () => {
    server = await testContainerd({ binary: binary ?? '' });
    registry = await testRegistry();
    proxy = await testProxy(registry.host);
  });
  afterAll(async () => {
    await server?.close();
    await proxy?.close();
    await registry?.close();
  });
  beforeEach(async () => {
    proxy.meet(() => 'pass');
    proxy.cutAfter(null);
    proxy.damage(false);
    proxy.seen.length = 0;
    await logins({});
  });

  const logins = (auths: object): Promise<void> =>
    writeFile(join(server.folder, 'logins.json'), JSON.stringify({ auths }));
  /** An image that nobody has yet: its second layer holds bytes that do not compress. */
  const fresh = async (bytes = 3_000_000): Promise<BuiltImage> => {
    const noise = randomBytes(bytes);
    serial += 1;
    return buildImage({
      layers: [busyboxLayer(), [{ kind: 'file', path: `noise-${serial}`, content: noise }]],
      config: { command: ['true'] },
      gzip: true,
    });
  };
  const pushed = async (path: string, image?: BuiltImage): Promise<BuiltImage> => {
    const built = image ?? (await fresh());
    await registry.push(path, built);
    return built;
  };
  const through = (path: string, digest: string): { repository: string; digest: string } => ({
    repository: `${proxy.host}/${path}`,
    digest,
  });
  const blobRequests = (): typeof proxy.seen =>
    proxy.seen.filter(({ path }) => path.includes('/blobs/'));

  test('progress rises to the total, and the image is complete for other tools too', async () => {
    const { digest } = await pushed('a/progress');
    const told: PullProgress[] = [];
    const onProgress = (progress: PullProgress): number => told.push(progress);
    const facts = await server.runtime.pull(through('a/progress', digest), { onProgress });
    expect(told.at(-1)?.doneBytes).toBe(told.at(-1)?.totalBytes);
    expect(told.map(({ doneBytes }) => doneBytes)).toEqual(
      told.map(({ doneBytes }) => doneBytes).toSorted((a, b) => a - b),
    );
    const ctr = (binary ?? '').replace(/containerd$/, 'ctr');
    const where = ['-a', server.daemon().socket, '-n', server.namespace];
    const checked = execFileSync(ctr, [...where, 'images', 'check'], { encoding: 'utf8' });
    const line = checked.split('\n').find((each) => each.startsWith(facts.name)) ?? '';
    expect(line).toMatch(/complete \(\d+\/\d+\)/);
    expect(line).toMatch(/true\s*$/);
  });

  test.each([
    ['manifests of docker', ['--format', 'v2s2'], 'application/vnd.docker.distribution', 'gzip'],
    ['layers of zstd', ['--dest-compress-format', 'zstd'], 'application/vnd.oci.image', 'zstd'],
  ] as const)('%s are pulled and unpacked', async (name, flags, type, compression) => {
    const path = `b/${name.replaceAll(' ', '-')}`;
    // Layers as they are: what copies them compresses them.
    const { digest } = await pushed('b/plain', await testImage({ config: { command: ['true'] } }));
    // A registry that has none of it yet: a layer that is there is taken as it is.
    const other = await testRegistry();
    const [from, to] = [`${registry.host}/b/plain`, `${other.host}/${path}`];
    const http = ['--src-tls-verify=false', '--dest-tls-verify=false'];
    const words = [
      'copy',
      '--quiet',
      ...http,
      ...flags,
      `docker://${from}@${digest}`,
      `docker://${to}:1`,
    ];
    execFileSync('skopeo', words, { stdio: ['ignore', 'ignore', 'inherit'] });
    const { manifest, digest: made } = await other.get(path, '1');
    expect(manifest).toContain(type);
    expect(manifest).toContain(compression === 'zstd' ? 'tar+zstd' : 'tar.gzip');
    const facts = await server.runtime.pull({ repository: to, digest: made }, {});
    await other.close();
    expect(facts).toMatchObject({ command: ['true'], digest: made });
    const id = `c-${name.replaceAll(' ', '-')}`;
    const spec = testSpec({ args: ['true'], cgroup: `/${server.namespace}/${id}` });
    await server.runtime.create({ id, labels: {}, image: facts, spec, logPath: null });
    await server.runtime.start(id);
    const exited = await until(async () => (await find(server.runtime, id))?.exit);
    expect(exited).toMatchObject({ code: 0 });
    await server.runtime.remove(id);
  });

  test('a removed image is garbage: its blobs are fetched anew', async () => {
    const { digest } = await pushed('a/garbage');
    const { name } = await server.runtime.pull(through('a/garbage', digest), {});
    await server.runtime.removeImage(name);
    proxy.seen.length = 0;
    await server.runtime.pull(through('a/garbage', digest), {});
    expect(blobRequests().length).toBeGreaterThan(0);
  });

  test('a cut download goes on where it was cut', async () => {
    const { digest } = await pushed('a/cut');
    proxy.cutAfter(1_000_000);
    await server.runtime.pull(through('a/cut', digest), {});
    const resumed = blobRequests().filter(({ headers }) => headers.range !== undefined);
    expect(resumed.length).toBeGreaterThan(0);
    for (const { headers } of resumed) expect(headers.range).not.toBe('bytes=0-');
  });

  test('a registry without Range is read again from the start', async () => {
    const { digest } = await pushed('a/no-range');
    proxy.meet((request) => {
      delete request.headers.range;
      return 'pass';
    });
    proxy.cutAfter(1_000_000);
    const facts = await server.runtime.pull(through('a/no-range', digest), {});
    expect(facts.digest).toBe(digest);
  });

  test('a cancelled pull stops, and the next one goes on with what it has', async () => {
    const { digest } = await pushed('a/cancel', await fresh(12_000_000));
    const abort = new AbortController();
    const onProgress = ({ doneBytes }: PullProgress): void => {
      if (doneBytes > 2_000_000) abort.abort();
    };
    const { signal } = abort;
    const pull = server.runtime.pull(through('a/cancel', digest), { onProgress, signal });
    await expect(pull).rejects.toMatchObject({ name: 'AbortError' });
    expect(await server.runtime.images()).not.toContainEqual(expect.objectContaining({ digest }));
    proxy.seen.length = 0;
    await server.runtime.pull(through('a/cancel', digest), {});
    expect(blobRequests().some(({ headers }) => headers.range !== undefined)).toBe(true);
  });

  test('damaged bytes are refused, and the next attempt is clean', async () => {
    const { digest } = await pushed('a/damaged');
    proxy.damage(true);
    await expect(server.runtime.pull(through('a/damaged', digest), {})).rejects.toMatchObject({
      reason: 'digest-mismatch',
      blame: 'platform',
      consequence: 'retry',
    });
    proxy.damage(false);
    expect(await server.runtime.pull(through('a/damaged', digest), {})).toMatchObject({ digest });
  });

  test('a manifest of another digest is refused', async () => {
    const { digest } = await pushed('a/asked');
    const other = await pushed('a/other');
    proxy.meet((request, response) => {
      if (!request.url?.includes('/manifests/')) return 'pass';
      response.end(other.manifest);
      return 'done';
    });
    await expect(server.runtime.pull(through('a/asked', digest), {})).rejects.toMatchObject({
      reason: 'digest-mismatch',
    });
  });

  test('an index is followed to this platform; without it, the others are named', async () => {
    const own = await pushed('a/index');
    const platform = (architecture: string): object => ({ os: 'linux', architecture });
    const entry = (architecture: string): object => ({
      mediaType: OCI_MANIFEST,
      digest: own.digest,
      size: own.manifest.length,
      platform: platform(architecture),
    });
    const index = async (...architectures: string[]): Promise<string> => {
      const manifests = architectures.map(entry);
      const text = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests });
      const bytes = Buffer.from(text);
      const { digestOf } = await import('../../node-runner/edge/containerd/content.ts');
      const digest = digestOf(bytes);
      await registry.put({ path: 'a/index', digest, bytes, type: OCI_INDEX });
      return digest;
    };
    const here = process.arch === 'x64' ? 'amd64' : process.arch;
    const good = await index('s390x', here, 'unknown');
    expect(await server.runtime.pull(through('a/index', good), {})).toMatchObject({ digest: good });
    const bad = await index('s390x', 'ppc64le');
    await expect(server.runtime.pull(through('a/index', bad), {})).rejects.toMatchObject({
      reason: 'no-platform',
      blame: 'version',
      message: expect.stringContaining('linux/s390x, linux/ppc64le') as string,
    });
  });

  test('an image for another machine is refused before it is unpacked', async () => {
    const foreign = await testImage({ architecture: 's390x' });
    await registry.push('a/foreign', foreign);
    await expect(
      server.runtime.pull(through('a/foreign', foreign.digest), {}),
    ).rejects.toMatchObject({ reason: 'no-platform' });
  });

  const basic = (request: http.IncomingMessage, response: http.ServerResponse): 'pass' | 'done' => {
    if (request.headers.authorization === LOGIN) return 'pass';
    response.writeHead(401, { 'www-authenticate': 'Basic realm="here"' }).end();
    return 'done';
  };

  test('a basic login comes from a file on the node; if it is missing, that is said', async () => {
    const { digest } = await pushed('a/basic');
    proxy.meet(basic);
    const ask = through('a/basic', digest);
    await expect(server.runtime.pull(ask, {})).rejects.toMatchObject({
      reason: 'login',
      blame: 'platform',
      message: expect.stringContaining('logins.json') as string,
    });
    await logins({ [proxy.host]: { username: 'ann', password: 'wrong' } });
    await expect(server.runtime.pull(ask, {})).rejects.toMatchObject({ reason: 'login' });
    await logins({ [proxy.host]: { auth: Buffer.from('ann:sécret').toString('base64') } });
    expect(await server.runtime.pull(ask, {})).toMatchObject({ digest });
  });

  test('a bearer token is fetched with the login, once for all blobs', async () => {
    const { digest } = await pushed('a/bearer');
    proxy.meet((request, response) => {
      if (request.url?.startsWith('/token?') === true) {
        const wanted = 'service=tests&scope=repository%3Aa%2Fbearer%3Apull';
        const good = request.headers.authorization === LOGIN && request.url.endsWith(wanted);
        response.writeHead(good ? 200 : 401).end(JSON.stringify({ token: 'magic' }));
        return 'done';
      }
      if (request.headers.authorization === 'Bearer magic') return 'pass';
      const challenge = `Bearer realm="http://${proxy.host}/token",service="tests"`;
      response.writeHead(401, { 'www-authenticate': challenge }).end();
      return 'done';
    });
    const ask = through('a/bearer', digest);
    await logins({ [proxy.host]: { username: 'ann', password: 'wrong' } });
    await expect(server.runtime.pull(ask, {})).rejects.toMatchObject({ reason: 'login' });
    await logins({ [proxy.host]: { username: 'ann', password: 'sécret' } });
    proxy.seen.length = 0;
    expect(await server.runtime.pull(ask, {})).toMatchObject({ digest });
    expect(proxy.seen.filter(({ path }) => path.startsWith('/token')).length).toBe(1);
  });

  test('a redirect to another host is followed without the login', async () => {
    const { digest } = await pushed('a/redirect');
    const store = await testProxy(registry.host);
    await logins({ [proxy.host]: { username: 'ann', password: 'sécret' } });
    proxy.meet((request, response) => {
      if (basic(request, response) === 'done') return 'done';
      if (!request.url?.includes('/blobs/')) return 'pass';
      response.writeHead(307, { location: `http://${store.host}${request.url}` }).end();
      return 'done';
    });
    expect(await server.runtime.pull(through('a/redirect', digest), {})).toMatchObject({ digest });
    expect(store.seen.length).toBeGreaterThan(0);
    for (const { headers } of store.seen) expect(headers.authorization).toBeUndefined();
    await store.close();
  });

  test('trouble of the registry is the platform’s fault, and says which registry', async () => {
    const { digest } = await pushed('a/trouble');
    proxy.meet((_request, response) => {
      response.writeHead(503).end('over capacity');
      return 'done';
    });
    const message = expect.stringContaining(proxy.host) as string;
    const platform = { reason: 'registry', blame: 'platform', consequence: 'retry', message };
    await expect(server.runtime.pull(through('a/trouble', digest), {})).rejects.toMatchObject(
      platform,
    );
    const nobody = { repository: '127.0.0.1:1/a/trouble', digest };
    await expect(server.runtime.pull(nobody, {})).rejects.toMatchObject({ reason: 'registry' });
  });

  test('images with a common layer are pulled side by side, the layer once', async () => {
    const base = await fresh();
    const twins = await Promise.all(
      ['one', 'two'].map((name) =>
        buildImage({
          layers: [[{ kind: 'file', path: 'shared', content: 'x'.repeat(100_000) + serial }]],
          config: { command: [name] },
          gzip: true,
        }),
      ),
    );
    for (const image of [base, ...twins]) await registry.push('a/twins', image);
    const asks = [...twins, ...twins].map(({ digest }) => through('a/twins', digest));
    const facts = await Promise.all(asks.map((ask) => server.runtime.pull(ask, {})));
    expect(facts.map(({ command }) => command[0])).toEqual(['one', 'two', 'one', 'two']);
    const layers = blobRequests().map(({ path }) => path);
    const configs = 2;
    expect(new Set(layers).size).toBe(configs + 1);
    expect(layers.length).toBe(configs + 1);
  });
});
