// What an answer of containerd becomes: reason, blame, consequence, and words.

import { ClientError, Status } from 'nice-grpc';
import { expect, test } from 'vitest';
import {
  atDoor,
  RuntimeError,
  toRuntimeError,
} from '../../../../node-runner/edge/runtime-error.ts';

const RUNC = 'failed to create shim task: OCI runtime create failed: runc create failed: ';
const START = 'unable to start container process: ';

test.each([
  [
    Status.UNKNOWN,
    `${RUNC}${START}exec: "nope": executable file not found in $PATH: unknown`,
    'command-not-found',
    'version',
  ],
  [
    Status.UNKNOWN,
    `${RUNC}${START}exec: "/x": stat /x: no such file or directory: unknown`,
    'command-not-found',
    'version',
  ],
  [Status.UNKNOWN, `${RUNC}${START}exec: "/x": permission denied`, 'command-not-found', 'version'],
  [
    Status.UNKNOWN,
    `${RUNC}${START}error during container init: exec /x: exec format error`,
    'command-not-found',
    'version',
  ],
  [
    Status.UNKNOWN,
    `${RUNC}${START}unable to set memory limit to 4096 (current usage: 9, peak: 9)`,
    'bad-spec',
    'version',
  ],
  [Status.UNKNOWN, 'write /x: no space left on device', 'disk', 'platform'],
  [Status.NOT_FOUND, 'container x not found: not found', 'not-found', 'platform'],
  [Status.ALREADY_EXISTS, 'task x: already exists', 'already-exists', 'platform'],
  [Status.UNAVAILABLE, 'No connection established', 'unavailable', 'platform'],
  [Status.UNKNOWN, 'ttrpc: closed', 'other', 'platform'],
])('code %i, %s', (code, details, reason, blame) => {
  const error = toRuntimeError('do it', new ClientError('/a/B', code, details));
  expect(error).toMatchObject({ kind: 'runtime-failure', reason, blame });
  expect(error.message).toMatch(/^Could not do it: .*\.$/);
  expect(error.message).not.toMatch(/runc create failed|: unknown/);
});

test('what is nobody’s fault who wrote the job is never blamed on the version', () => {
  for (const reason of ['registry', 'login', 'disk', 'unavailable', 'network', 'other'] as const)
    expect(new RuntimeError(reason, 'x').blame).toBe('platform');
});

test('an abort and our own errors pass as they are, others say what was being done', async () => {
  const abort = new DOMException('stop', 'AbortError');
  await expect(atDoor('x', () => Promise.reject(abort))).rejects.toBe(abort);
  const own = new RuntimeError('disk', 'full');
  await expect(atDoor('x', () => Promise.reject(own))).rejects.toBe(own);
  const full = Object.assign(new Error('ENOSPC: no space'), { code: 'ENOSPC' });
  await expect(atDoor('x', () => Promise.reject(full))).rejects.toMatchObject({ reason: 'disk' });
  const bug = new TypeError('not a function');
  await expect(atDoor('list', () => Promise.reject(bug))).rejects.toMatchObject({
    message: 'Could not list: not a function.',
    cause: bug,
  });
});
