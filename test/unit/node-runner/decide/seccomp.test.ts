// The seccomp profile and the defaults: what is open, what is closed, what a capability opens.

import { expect, test } from 'vitest';
import {
  ALL_CAPABILITIES,
  DEFAULT_CAPABILITIES,
} from '../../../../node-runner/decide/oci-defaults.ts';
import { seccompProfile } from '../../../../node-runner/decide/seccomp.ts';

const allowed = (capabilities: readonly string[]): readonly string[] =>
  seccompProfile('amd64', capabilities)
    .syscalls.filter((rule) => rule.action === 'SCMP_ACT_ALLOW')
    .flatMap((rule) => rule.names);

test('what programs need is open, what changes the host is closed', () => {
  const names = allowed(DEFAULT_CAPABILITIES);
  for (const name of ['execve', 'mmap', 'futex', 'clone', 'socket', 'chroot', 'epoll_wait'])
    expect(names).toContain(name);
  for (const name of [
    'mount',
    'bpf',
    'reboot',
    'init_module',
    'keyctl',
    'io_uring_setup',
    'unshare',
  ])
    expect(names).not.toContain(name);
});

test('a capability opens its calls, and SYS_ADMIN lifts the rule on clone', () => {
  expect(allowed(['CAP_SYS_TIME'])).toContain('clock_settime');
  const admin = seccompProfile('amd64', ['CAP_SYS_ADMIN']);
  expect(admin.syscalls.some((rule) => rule.action === 'SCMP_ACT_ERRNO')).toBe(false);
  expect(allowed(['CAP_SYS_ADMIN'])).toContain('mount');
});

test('equal sets of capabilities give equal profiles, on each architecture', () => {
  const mixed = [...DEFAULT_CAPABILITIES, 'CAP_SYSLOG', 'CAP_KILL'].toReversed();
  expect(seccompProfile('arm64', mixed)).toEqual(
    seccompProfile('arm64', [...DEFAULT_CAPABILITIES, 'CAP_SYSLOG']),
  );
  expect(seccompProfile('arm64', []).architectures).not.toEqual(
    seccompProfile('amd64', []).architectures,
  );
});

test('no name stands twice among the calls that are always open, and lists are in order', () => {
  const names = allowed([]);
  const plain = names.filter((name) => name !== 'personality');
  expect(new Set(plain).size).toBe(plain.length);
  for (const list of [DEFAULT_CAPABILITIES, ALL_CAPABILITIES])
    expect(list).toEqual([...list].toSorted());
  for (const name of DEFAULT_CAPABILITIES) expect(ALL_CAPABILITIES).toContain(name);
});
