// Signatures of commits, checked here and by those who define them: ssh-keygen, git, gpg. Each case
// is asked of both, and both must say the same. Keys of security tokens are built by hand, for no
// token is at hand; ssh-keygen has the last word on them.

import { execFileSync } from 'node:child_process';
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Verdict } from '../../schema/acceptance.ts';
import { verdictOn } from '../../schema/acceptance.ts';
import { parseAllowedSigners, type Signers } from '../../schema/signers.ts';
import { splitCommit, withSignature } from '../../reconciler/edge/git/signed-commit.ts';
import { allowedSignerLine, openSigningKey } from '../../reconciler/edge/git/signing-key.ts';
import { checkSshSignature, sshSign } from '../../reconciler/edge/git/sshsig.ts';
import { wireBytes } from '../../reconciler/edge/git/ssh-wire.ts';
import { checkCommit } from '../../reconciler/edge/git/verify.ts';
import { commitFiles, git, initRepository, tempFolder } from '../support/git-repo.ts';
import {
  commitBytes,
  gitSaysGood,
  gpgCommit,
  gpgKey,
  signedCommit,
  signWith,
  sshKey,
  type SshKey,
} from '../support/signing.ts';

let folder: string;
let repository: string;
let ada: SshKey;

beforeAll(() => {
  folder = tempFolder('signatures');
  repository = initRepository(path.join(folder, 'repository'));
  ada = sshKey(folder, 'ada');
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));

const NO_SIGNERS: Signers = { ssh: [], openpgp: [] };

const verdictOf = async (data: Buffer, signers: Signers): Promise<Verdict> => {
  const checked = await checkCommit(data, { signers, notBefore: 0 });
  const facts = { oid: '', parents: [], ...checked };
  return verdictOn(facts, { policy: { verify: 'head', signers }, committedAt: 0 });
};

/** Our verdict, once git has said the same. */
const bothSay = async (commit: string, allowed: string): Promise<Verdict> => {
  const file = path.join(folder, 'allowed_signers');
  fs.writeFileSync(file, allowed);
  const signers = { ...NO_SIGNERS, ssh: parseAllowedSigners(allowed).signers };
  const verdict = await verdictOf(commitBytes(repository, commit), signers);
  const isGood = gitSaysGood(repository, commit, file);
  expect({ verdict, isGood: verdict.kind === 'accepted' }).toEqual({ verdict, isGood });
  return verdict;
};

const reasonOf = (verdict: Verdict): string =>
  verdict.kind === 'accepted' ? 'accepted' : verdict.reason.kind;

const hello = { files: { 'a.txt': 'a' }, message: 'Hello\n\nWith a body: ünïcode' };

describe('SSH, as git verify-commit says', () => {
  test.each([
    ['ed25519', ['-t', 'ed25519']],
    ['rsa', ['-t', 'rsa', '-b', '2048']],
    ['ecdsa256', ['-t', 'ecdsa', '-b', '256']],
    ['ecdsa384', ['-t', 'ecdsa', '-b', '384']],
    ['ecdsa521', ['-t', 'ecdsa', '-b', '521']],
  ] as const)('%s', async (name, type) => {
    const key = sshKey(folder, `type-${name}`, ...type);
    const commit = signedCommit(repository, key, hello);
    const verdict = await bothSay(commit, `"ada@example.org,a" ${key.line} a comment\n`);
    expect(verdict).toEqual({ kind: 'accepted', signer: 'ada@example.org,a' });
    expect(reasonOf(await bothSay(commit, `ada ${ada.line}`))).toBe('unknown-key');
  });

  test('without a signature, with a changed message, with a changed tree', async () => {
    const plain = commitFiles(repository, { 'b.txt': 'b' }, 'Plain');
    expect(reasonOf(await bothSay(plain, `ada ${ada.line}`))).toBe('unsigned');
    const commit = signedCommit(repository, ada, { ...hello, files: { 'b.txt': 'bb' } });
    const text = commitBytes(repository, commit).toString('utf8');
    const tree = git(repository, 'rev-parse', `${plain}^{tree}`);
    for (const changed of [
      text.replace('Hello', 'Hullo'),
      text.replace(/^tree .*$/m, `tree ${tree}`),
      text.replace(/^author Ada/m, 'author Eve'),
    ]) {
      const bytes = { input: changed, cwd: repository, encoding: 'utf8' } as const;
      const other = execFileSync('git', ['hash-object', '-t', 'commit', '-w', '--stdin'], bytes);
      expect(reasonOf(await bothSay(other.trim(), `ada ${ada.line}`))).toBe('mismatch');
    }
  });

  test('made for another purpose', async () => {
    const commit = commitFiles(repository, { 'c.txt': 'c' }, 'For a file');
    const payload = commitBytes(repository, commit);
    const file = path.join(folder, 'payload');
    fs.writeFileSync(file, payload);
    execFileSync('ssh-keygen', ['-q', '-Y', 'sign', '-n', 'file', '-f', ada.file, file], {
      stdio: 'ignore',
    });
    const signed = withSignature(payload, fs.readFileSync(`${file}.sig`, 'latin1'));
    const bytes = { input: signed, cwd: repository, encoding: 'utf8' } as const;
    const oid = execFileSync('git', ['hash-object', '-t', 'commit', '-w', '--stdin'], bytes).trim();
    expect(reasonOf(await bothSay(oid, `ada ${ada.line}`))).toBe('namespace');
  });

  test('options of allowed_signers', async () => {
    const commit = signedCommit(repository, ada, hello);
    const cases: readonly (readonly [options: string, says: string])[] = [
      ['namespaces="git"', 'accepted'],
      ['namespaces="file,g*"', 'accepted'],
      ['namespaces="file"', 'unknown-key'],
      ['valid-before="20200101"', 'expired'],
      ['valid-before="20990101"', 'accepted'],
      ['valid-after="20990101"', 'expired'],
      ['valid-after="202001010000",valid-before="20990101120000Z"', 'accepted'],
      ['namespaces="git",valid-before="20200101"', 'expired'],
    ];
    for (const [options, says] of cases) {
      expect([options, reasonOf(await bothSay(commit, `ada ${options} ${ada.line}\n`))]).toEqual([
        options,
        says,
      ]);
    }
    const twice = `old valid-before="20200101" ${ada.line}\n\n# now\nnew ${ada.line}\n`;
    expect(await bothSay(commit, twice)).toEqual({ kind: 'accepted', signer: 'new' });
  });

  test('certificates and keys of other types are said not to be read', () => {
    const { signers, problems } = parseAllowedSigners(
      `*@example.org cert-authority ${ada.line}\nada ssh-dss AAAA\nada ${ada.line}\nbroken\n`,
    );
    expect(signers).toHaveLength(1);
    expect(problems.map(({ line, message }) => `${line} ${message}`)).toEqual([
      '1 Certificates are not checked here: list the key of each signer instead.',
      '2 `ssh-dss` is neither an option nor a type of key.',
      '4 A line is `PRINCIPALS [OPTIONS] TYPE KEY`.',
    ]);
  });

  test('a merge of two parents, and a tag that is merged', async () => {
    const base = git(repository, 'rev-parse', 'HEAD');
    git(repository, 'checkout', '--quiet', '-b', 'side');
    commitFiles(repository, { 'side.txt': 's' }, 'Side');
    git(repository, ...signWith(ada), 'tag', '--sign', '--message', 'tag', 'v1');
    git(repository, 'checkout', '--quiet', 'main');
    expect(git(repository, 'rev-parse', 'HEAD')).toBe(base);
    git(repository, ...signWith(ada), 'merge', '--quiet', '--no-ff', '--no-edit', '-S', 'v1');
    const merge = git(repository, 'rev-parse', 'HEAD');
    expect(commitBytes(repository, merge).toString('utf8')).toMatch(/^mergetag object/m);
    expect(reasonOf(await bothSay(merge, `ada ${ada.line}`))).toBe('accepted');
  });

  test('bytes of all kinds are no signature, and never thrown', async () => {
    const commit = signedCommit(repository, ada, hello);
    const data = commitBytes(repository, commit);
    const { signature, payload } = splitCommit(data);
    const whole = Buffer.from((signature ?? '').split('\n').slice(1, -2).join(''), 'base64');
    const armored = (bytes: Buffer) =>
      `-----BEGIN SSH SIGNATURE-----\n${bytes.toString('base64')}\n-----END SSH SIGNATURE-----\n`;
    expect(checkSshSignature(armored(whole), payload).kind).toBe('ssh');
    for (let at = 0; at < whole.length; at += 1) {
      const bent = Buffer.from(whole);
      bent.writeUInt8((bent.readUInt8(at) + 1) % 256, at);
      expect([at, checkSshSignature(armored(bent), payload).kind]).toEqual([at, 'bad']);
      const short = whole.subarray(0, at);
      expect(checkSshSignature(armored(short), payload).kind).toBe('bad');
    }
    const signers = { ...NO_SIGNERS, ssh: parseAllowedSigners(`ada ${ada.line}`).signers };
    const long = withSignature(payload, `-----BEGIN SSH SIGNATURE-----\n${'A'.repeat(40_000)}`);
    expect(await verdictOf(long, signers)).toMatchObject({
      reason: { kind: 'unreadable', detail: 'it is larger than 32 KiB' },
    });
    const twice = withSignature(data, signature ?? '');
    expect(await verdictOf(twice, signers)).toMatchObject({ reason: { kind: 'unreadable' } });
  });
});

describe('keys of security tokens, as ssh-keygen says', () => {
  const application = 'ssh:';
  const sha256 = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest();
  const uint32 = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return bytes;
  };
  const mpint = (number: Buffer) =>
    wireBytes((number[0] ?? 0) > 127 ? Buffer.concat([Buffer.from([0]), number]) : number);

  const made = (type: 'ed25519' | 'ecdsa') => {
    const isEd = type === 'ed25519';
    const name = isEd ? 'sk-ssh-ed25519@openssh.com' : 'sk-ecdsa-sha2-nistp256@openssh.com';
    const { privateKey, publicKey } = isEd
      ? generateKeyPairSync('ed25519')
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
    const point = [x, y].map((one) => Buffer.from(one, 'base64url'));
    const key = Buffer.concat([
      wireBytes(name),
      ...(isEd
        ? [wireBytes(point[0] ?? '')]
        : [wireBytes('nistp256'), wireBytes(Buffer.concat([Buffer.from([4]), ...point]))]),
      wireBytes(application),
    ]);
    const armoredOf = (payload: Buffer, flags: number): string => {
      const inner = Buffer.concat([
        Buffer.from('SSHSIG'),
        ...['git', '', 'sha512'].map(wireBytes),
        wireBytes(createHash('sha512').update(payload).digest()),
      ]);
      const tail = Buffer.concat([Buffer.from([flags]), uint32(7)]);
      const data = Buffer.concat([sha256(application), tail, sha256(inner)]);
      const raw = isEd
        ? sign(null, data, privateKey)
        : sign('sha256', data, { key: privateKey, dsaEncoding: 'ieee-p1363' });
      const blob = isEd
        ? raw
        : Buffer.concat([mpint(raw.subarray(0, 32)), mpint(raw.subarray(32))]);
      const whole = Buffer.concat([
        Buffer.from('SSHSIG'),
        uint32(1),
        ...[key, 'git', '', 'sha512'].map(wireBytes),
        wireBytes(Buffer.concat([wireBytes(name), wireBytes(blob), tail])),
      ]).toString('base64');
      const lines = whole.match(/.{1,70}/g) ?? [];
      return ['-----BEGIN SSH SIGNATURE-----', ...lines, '-----END SSH SIGNATURE-----', ''].join(
        '\n',
      );
    };
    return { line: `${name} ${key.toString('base64')}`, armoredOf };
  };

  test.each(['ed25519', 'ecdsa'] as const)('%s', async (type) => {
    for (let round = 0; round < 4; round += 1) {
      const { line, armoredOf } = made(type);
      const payload = commitBytes(
        repository,
        commitFiles(repository, {}, `Token ${type} ${round}`),
      );
      const data = withSignature(payload, armoredOf(payload, 1));
      const bytes = { input: data, cwd: repository, encoding: 'utf8' } as const;
      const oid = execFileSync('git', ['hash-object', '-t', 'commit', '-w', '--stdin'], bytes);
      expect(reasonOf(await bothSay(oid.trim(), `ada ${line}`))).toBe('accepted');
      const other = armoredOf(Buffer.concat([payload, Buffer.from('x')]), 1);
      expect(checkSshSignature(other, payload)).toMatchObject({ kind: 'bad', why: 'mismatch' });
    }
  });
});

describe('OpenPGP, as gpg says', () => {
  let home: string;
  let armored: string;
  let close: () => void;
  beforeAll(() => {
    home = path.join(folder, 'g');
    ({ armored, close } = gpgKey(home, 'grace'));
  });
  afterAll(() => close());

  const says = async (commit: string, signers: Signers) => {
    const data = commitBytes(repository, commit);
    return verdictOf(data, signers);
  };

  test('good, changed, of a key that is not listed, and one that has expired', async () => {
    const commit = gpgCommit(repository, { home, name: 'grace' }, hello);
    const program = path.join(home, 'gpg.sh');
    git(repository, '-c', `gpg.program=${program}`, 'verify-commit', commit);
    const signers = { ssh: [], openpgp: [{ principals: 'grace@example.org', armored }] };
    expect(await says(commit, signers)).toEqual({ kind: 'accepted', signer: 'grace@example.org' });
    expect(reasonOf(await says(commit, NO_SIGNERS))).toBe('unknown-key');
    const text = commitBytes(repository, commit).toString('utf8').replace('Hello', 'Hullo');
    const bytes = { input: text, cwd: repository, encoding: 'utf8' } as const;
    const other = execFileSync('git', ['hash-object', '-t', 'commit', '-w', '--stdin'], bytes);
    expect(() =>
      git(repository, '-c', `gpg.program=${program}`, 'verify-commit', other.trim()),
    ).toThrow(/BAD signature/);
    expect(reasonOf(await says(other.trim(), signers))).toBe('mismatch');
    const broken = [{ principals: 'x', armored: 'nothing' }, ...signers.openpgp];
    expect((await says(commit, { ssh: [], openpgp: broken })).kind).toBe('accepted');
  });

  test('a key past its time signs for no commit after it', async () => {
    const old = path.join(folder, 'o');
    const lasts = 600;
    const key = gpgKey(old, 'old', `seconds=${lasts}`);
    try {
      const commit = gpgCommit(repository, { home: old, name: 'old' }, hello);
      const signers = { ssh: [], openpgp: [{ principals: 'old', armored: key.armored }] };
      const data = commitBytes(repository, commit);
      const at = splitCommit(data).committedAt;
      const then = await checkCommit(data, { signers, notBefore: at });
      const later = await checkCommit(data, { signers, notBefore: at + 2 * lasts });
      expect([then.signature.kind, later.signature]).toMatchObject([
        'openpgp',
        { kind: 'bad', why: 'expired' },
      ]);
    } finally {
      key.close();
    }
  });
});

describe("Purser's own key", () => {
  test('is made once, is an OpenSSH key, and signs what git calls good', async () => {
    const file = path.join(folder, 'own', 'signing-key');
    const key = openSigningKey(file, true);
    expect(openSigningKey(file, true).publicKey).toEqual(key.publicKey);
    expect(fs.statSync(file).mode & 0o777).toBe(0o600);
    const line = allowedSignerLine(key);
    const shown = execFileSync('ssh-keygen', ['-y', '-f', file], { encoding: 'utf8' });
    expect(line).toBe(`purser namespaces="git" ${shown.split(' ').slice(0, 2).join(' ')}`);
    const payload = commitBytes(repository, commitFiles(repository, {}, 'By a machine'));
    const data = withSignature(payload, sshSign(key, payload));
    const bytes = { input: data, cwd: repository, encoding: 'utf8' } as const;
    const oid = execFileSync('git', ['hash-object', '-t', 'commit', '-w', '--stdin'], bytes).trim();
    expect(await bothSay(oid, `${line}\n`)).toEqual({ kind: 'accepted', signer: 'purser' });
    git(repository, 'fsck', '--strict', oid);
  });

  test('one that ssh-keygen made will do; others are refused in words', () => {
    const own = sshKey(folder, 'given');
    expect(allowedSignerLine(openSigningKey(own.file, false))).toContain(own.line);
    const refusal = (file: string, make = false) => {
      try {
        openSigningKey(file, make);
        return 'taken';
      } catch (error) {
        return String(error);
      }
    };
    const rsa = sshKey(folder, 'given-rsa', '-t', 'rsa', '-b', '2048');
    expect(refusal(rsa.file)).toContain('it is of type ssh-rsa, not ssh-ed25519; make one with');
    fs.chmodSync(own.file, 0o644);
    expect(refusal(own.file)).toContain(`can be read by others: chmod 600 ${own.file}`);
    expect(refusal(path.join(folder, 'nothing'))).toContain('cannot be read: ENOENT');
    const locked = path.join(folder, 'locked');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'secret', '-f', locked]);
    expect(refusal(locked, true)).toContain('it has a passphrase');
  });
});
