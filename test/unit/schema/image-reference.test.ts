// References, challenges, logins and manifests: what people write and registries send.

import { describe, expect, test } from 'vitest';
import {
  choosePlatform,
  isDigest,
  isInsecure,
  loginFor,
  parseChallenge,
  parseImageDocument,
  parseImageReference,
  platformsOf,
  readToken,
  registryUrl,
  repositoryOf,
  tokenUrl,
} from '../../../schema/image-reference.ts';

const D = `sha256:${'a'.repeat(64)}`;

describe('references', () => {
  test.each([
    ['nginx', 'docker.io/library/nginx', 'latest', null],
    ['team/app:1.2', 'docker.io/team/app', '1.2', null],
    ['docker.io/nginx', 'docker.io/library/nginx', 'latest', null],
    ['index.docker.io/nginx', 'docker.io/library/nginx', 'latest', null],
    ['localhost/app', 'localhost/app', 'latest', null],
    ['localhost:5000/a/b-c/d__e:v1', 'localhost:5000/a/b-c/d__e', 'v1', null],
    [`r.example/app@${D}`, 'r.example/app', null, D],
    [`r.example:80/app:1@${D}`, 'r.example:80/app', '1', D],
    ['[::1]:5000/app', '[::1]:5000/app', 'latest', null],
  ])('%s', (text, repository, tag, digest) => {
    const reference = parseImageReference(text);
    expect(reference).toMatchObject({ tag, digest });
    expect(reference && repositoryOf(reference)).toBe(repository);
  });

  test.each([
    '',
    'UPPER/case',
    'a//b',
    'a:',
    'a@sha256:short',
    `a@md5:${'a'.repeat(64)}`,
    '-a',
    'a/b:ta g',
    'r.example/',
    'r.example:80/a/../b',
    'bad_host.example:80a/x',
    `r.example/${'a'.repeat(260)}`,
  ])('%s is none', (text) => {
    expect(parseImageReference(text)).toBeNull();
  });

  test('the hub has a second name; plain http is for loopback and listed ones', () => {
    const hub = { registry: 'docker.io', path: 'library/nginx', tag: 'latest', digest: null };
    expect(registryUrl(hub, false)).toBe('https://registry-1.docker.io/v2/library/nginx');
    for (const host of ['localhost', 'localhost:5000', '127.0.0.1:1', '[::1]:5000'])
      expect(isInsecure(host, [])).toBe(true);
    for (const host of ['127.example.com', 'localhost.example', '10.0.0.1:5000', '1.127.0.0.1'])
      expect(isInsecure(host, [])).toBe(false);
    expect(isInsecure('10.0.0.1:5000', ['10.0.0.1:5000'])).toBe(true);
  });

  test('a digest is sha256 in lower case', () => {
    expect(isDigest(D)).toBe(true);
    expect(isDigest(D.toUpperCase())).toBe(false);
  });
});

describe('logins', () => {
  const reference = { registry: 'r.example', path: 'team/app', tag: null, digest: D };

  test('challenges are read whatever their spacing; unknown schemes are not', () => {
    expect(parseChallenge('Basic realm="x"')).toEqual({ kind: 'basic' });
    const challenge = parseChallenge(
      'Bearer realm="https://a.example/token?x=1", service="r.example",' +
        'scope="repository:a/b:pull,push"',
    );
    expect(challenge).toEqual({
      kind: 'bearer',
      realm: 'https://a.example/token?x=1',
      service: 'r.example',
      scope: 'repository:a/b:pull,push',
    });
    expect(parseChallenge('Negotiate abc')).toBeNull();
    expect(parseChallenge('Bearer realm="file:///etc/passwd"')).toBeNull();
    expect(parseChallenge('Bearer service="x"')).toBeNull();
  });

  test('the scope asked for is the challenge’s, else to pull', () => {
    const bearer = {
      kind: 'bearer',
      realm: 'https://a.example/t',
      service: 's t',
      scope: null,
    } as const;
    expect(tokenUrl(bearer, reference)).toBe(
      'https://a.example/t?service=s%20t&scope=repository%3Ateam%2Fapp%3Apull',
    );
    const more = { ...bearer, realm: 'https://a.example/t?a=b', service: null, scope: 'x' };
    expect(tokenUrl(more, reference)).toBe('https://a.example/t?a=b&scope=x');
    expect(readToken({ access_token: 't' })).toBe('t');
    expect(readToken({ token: '' })).toBeNull();
    expect(readToken('text')).toBeNull();
  });

  test('a login is found under each form that docker writes', () => {
    const auth = Buffer.from('ann:pa:ss').toString('base64');
    const login = { username: 'ann', password: 'pa:ss' };
    expect(loginFor({ auths: { 'r.example': { auth } } }, 'r.example')).toEqual(login);
    expect(loginFor({ auths: { 'https://r.example': login } }, 'r.example')).toEqual(login);
    expect(loginFor({ auths: { 'https://index.docker.io/v1/': { auth } } }, 'docker.io')).toEqual(
      login,
    );
    expect(loginFor({ auths: { 'r.example': { auth: '!!' } } }, 'r.example')).toBeNull();
    expect(loginFor({ auths: { 'other.example': { auth } } }, 'r.example')).toBeNull();
    expect(loginFor(null, 'r.example')).toBeNull();
  });
});

describe('documents', () => {
  const entry = (os: string, architecture: string, variant?: string): object => ({
    mediaType: 'm',
    digest: D.replace(/a$/, String(architecture.length % 10)),
    size: 5,
    platform: { os, architecture, variant },
  });

  test('an index gives the manifest of a platform, the closest variant first', () => {
    const manifests = [
      entry('unknown', 'unknown'),
      entry('linux', 'arm', 'v6'),
      entry('linux', 'arm', 'v7'),
      entry('linux', 'amd64'),
    ];
    const index = parseImageDocument({ manifests });
    if (index?.kind !== 'index') throw new Error('not an index');
    const arm = (variant: string | null): unknown =>
      choosePlatform(index, { os: 'linux', architecture: 'arm', variant });
    expect(arm('v7')).toMatchObject({ platform: { variant: 'v7' } });
    expect(arm(null)).toMatchObject({ platform: { variant: 'v6' } });
    const none = { os: 'linux', architecture: 's390x', variant: null };
    expect(choosePlatform(index, none)).toBeNull();
    expect(platformsOf(index)).toBe('linux/arm/v6, linux/arm/v7, linux/amd64');
  });

  test('a manifest gives its configuration and layers; anything doubtful is refused', () => {
    const part = { mediaType: 'm', digest: D, size: 5 };
    const read = { mediaType: 'm', digest: D, sizeBytes: 5 };
    expect(parseImageDocument({ config: part, layers: [part] })).toEqual({
      kind: 'manifest',
      config: read,
      layers: [read],
    });
    for (const bad of [
      null,
      {},
      { config: part },
      { config: part, layers: [{ ...part, digest: 'x' }] },
      { config: { ...part, size: -1 }, layers: [] },
      { config: part, layers: Array.from({ length: 300 }, () => part) },
      { manifests: [{ ...part, digest: '../../x' }] },
    ])
      expect(parseImageDocument(bad)).toBeNull();
  });
});
