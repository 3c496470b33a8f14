// The simulator's commits, whose signatures are names, are judged as commits with real keys are: the
// same lines of commits, told to both.
// In: lines drawn from a seed: signers who are listed or not, policies that come, change and go. Out:
// which commit is acted on and what stands in the way, at each commit and after a restart. Not here:
// merges by a host (acceptance.test.ts), the judging (test/property/acceptance.test.ts).

import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createGitSource, type GitSource } from '../../reconciler/edge/git/source.ts';
import type { SourceTree } from '../../schema/source.ts';
import { byPerson, createRepo } from '../sim/fake/git.ts';
import { NO_POLICY, policyFiles, type Policy, type Signer } from '../sim/policies.ts';
import { createProcess } from '../sim/process.ts';
import { createRandom, type Random } from '../sim/time.ts';
import { commitFiles, initRepository, tempFolder } from '../support/git-repo.ts';
import { signedCommit, sshKey, type SshKey } from '../support/signing.ts';
import { startTime } from '../support/sim-time.ts';

let folder: string;
let keys: ReadonlyMap<Signer, SshKey>;

beforeEach(() => {
  folder = tempFolder('acceptance-fake');
  const people = ['ada', 'bob', 'eve'] as const;
  keys = new Map(people.map((one) => [one, sshKey(folder, one)]));
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));

interface Drawn {
  readonly by: Signer | null;
  readonly policy: Policy;
}

const COMMITS = 9;

const drawLine = (random: Random): readonly Drawn[] => {
  let policy: Policy = { ...NO_POLICY, verify: 'strict', listed: ['ada', 'bob'] };
  return Array.from({ length: COMMITS }, (_, at) => {
    if (at > 0 && random.chance(0.4)) {
      const verify = random.pick(['none', 'head', 'strict'] as const);
      const listed = random.pick<readonly Signer[]>([['ada'], ['ada', 'bob'], ['bob', 'eve']]);
      policy = { ...policy, verify, listed };
    }
    return { by: random.pick<Signer | null>(['ada', 'ada', 'bob', 'eve', null]), policy };
  });
};

const filesOf = ({ policy }: Drawn, at: number): Record<string, string> => ({
  'signers/allowed_signers': '',
  ...Object.fromEntries(policyFiles(policy)),
  'jobs/shop/web.yaml': `# ${at}\n`,
});

/** Which commit of the line is acted on, which stands in the way, and why. */
const told = ({ head, refused }: SourceTree, line: readonly string[]) => [
  line.indexOf(head.oid),
  refused === undefined ? null : line.indexOf(refused.cause.oid),
  refused?.reason.kind ?? null,
];

const inGit = async (drawn: readonly Drawn[], name: string) => {
  const work = initRepository(path.join(folder, name));
  const opened: GitSource[] = [];
  const open = (): GitSource => {
    const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
    const cacheDir = path.join(folder, 'cache');
    const options = { repository: work, branch: 'main', directory: '', cluster: 'sim', log };
    const source = createGitSource({ ...options, cacheDir });
    opened.push(source);
    return source;
  };
  const line = [commitFiles(work, Object.fromEntries(policyFiles(NO_POLICY)), 'First')];
  const source = open();
  const seen = [told(await source.read(), line)];
  // Something was in sync before anybody asked for signatures, so that a start knows where to begin.
  await source.record([{ kind: 'synced', commit: line[0] ?? '' }]);
  for (const [at, one] of drawn.entries()) {
    const real = Object.entries(filesOf(one, at)).map(([file, text]) => [file, withKeys(text)]);
    const made = { files: Object.fromEntries(real), message: `Change ${at}` };
    const key = one.by === null ? null : keys.get(one.by);
    line.push(key ? signedCommit(work, key, made) : commitFiles(work, made.files, made.message));
    seen.push(told(await source.read(), line));
  }
  seen.push(told(await open().read(), line));
  for (const each of opened) each.close();
  return seen;
};

/** The names' stand-ins replaced by their keys. */
const withKeys = (text: string): string =>
  text.replaceAll(/^(\w+) (.*)ssh-ed25519 \S+$/gm, (all, name: Signer, options: string) => {
    const key = keys.get(name);
    return key === undefined ? all : `${name} ${options}${key.line}`;
  });

const inMemory = async (drawn: readonly Drawn[]) => {
  const { time, close } = startTime();
  const repo = createRepo({ time, first: new Map(policyFiles(NO_POLICY)), local: true });
  const source = repo.port(createProcess(time, 'reconciler'));
  const line = [repo.head().info.oid];
  const seen = [told(await source.read(), line)];
  repo.record([{ kind: 'synced', commit: line[0] ?? '' }]);
  for (const [at, one] of drawn.entries()) {
    const edits = new Map(Object.entries(filesOf(one, at)));
    const { info } = repo.push(byPerson(edits, `Change ${at}`, { by: one.by, merge: null }));
    line.push(info.oid);
    seen.push(told(await source.read(), line));
  }
  seen.push(told(await repo.port(createProcess(time, 'another')).read(), line));
  await close();
  return seen;
};

test('lines of commits are judged the same with names as with keys', async () => {
  let refused = 0;
  for (let seed = 1; seed <= 4; seed += 1) {
    const drawn = drawLine(createRandom(seed));
    const real = await inGit(drawn, `line-${seed}`);
    expect(await inMemory(drawn)).toEqual(real);
    refused += real.filter(([, cause]) => cause !== null).length;
  }
  // Lines on which nothing is ever refused would prove nothing.
  expect(refused).toBeGreaterThan(5);
});
