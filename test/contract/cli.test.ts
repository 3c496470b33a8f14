// Every command of the built `purser` against one live `up`: what it prints, --json, exit codes;
// and that `down` leaves
// nothing. The tests run in order, on one cluster.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { namesFor } from '../../node-runner/edge/network/names.ts';
import { networkIdentity } from '../../node-runner/main.ts';
import { leftForGood, leftovers } from '../support/cluster-leftovers.ts';
import type { Ran, UpCluster } from '../support/command-line.ts';
import { run, startUp } from '../support/command-line.ts';
import { commitFiles, git, initRepository } from '../support/git-repo.ts';

let up: UpCluster;
let scratch: string;
beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'pcs-'));
  up = await startUp();
});
afterAll(async () => {
  await up?.close();
  rmSync(scratch, { recursive: true, force: true });
});

const WEB = 'jobs/shop/web.yaml';
const STORE = 'jobs/shop/store.yaml';
const webFile = () => readFileSync(join(up.repository, WEB), 'utf8');
/** Git removes a file before it writes it anew: in between there is none. */
const isWritten = (path: string, holds: (text: string) => boolean): boolean => {
  const file = join(up.repository, path);
  try {
    const text = readFileSync(file, 'utf8');
    return text !== '' && holds(text);
  } catch {
    return false;
  }
};

/** Parsed --json; the text is shown where it is none. */
const json = ({ out, err, code }: Ran): unknown => {
  try {
    return JSON.parse(out) as unknown;
  } catch {
    throw new Error(`no JSON (code ${code}): ${out}\n${err}`);
  }
};

/** Commands are asked again and again for so long. */
const LIMIT_MS = 100_000;
const STEP_MS = 100;

const until = async (holds: () => Promise<boolean> | boolean): Promise<void> => {
  const limit = performance.now() + LIMIT_MS;
  while (!(await holds())) {
    if (performance.now() > limit) throw new Error(`never so: ${String(holds)}`);
    await new Promise((done) => setTimeout(done, STEP_MS));
  }
};

test('up says where it answers and what to try', () => {
  expect(up.said()).toMatch(/shop\/web +http:\/\/127\.0\.0\.1:\d+/);
  expect(up.said()).toContain(`export PURSER_ROOT=${up.root}`);
});

test('status shows jobs, copies and addresses', async () => {
  await until(async () => {
    const { out } = await up.purser(['status']);
    return (out.match(/ settled /g) ?? []).length === 2;
  });
  const all = await up.purser(['status']);
  expect(all).toMatchObject({ code: 0, err: '' });
  expect(all.out).toMatch(/shop\/web +[0-9a-f]{12} +2\/2 +settled/);
  const one = await up.purser(['status', 'web']);
  expect(one.out).toMatch(/web\[1\] .*healthy.*127\.0\.0\.1:\d+/);
  expect(json(await up.purser(['status', '--json']))).toMatchObject({
    cluster: 'cli',
    jobs: [{ job: 'shop/store' }, { job: 'shop/web', copies: [{ health: 'healthy' }, {}] }],
  });
});

test('a name that does not exist gets the nearest one, a command too', async () => {
  const job = await up.purser(['status', 'wab']);
  expect(job.code).toBe(2);
  expect(job.err).toContain('did you mean web?');
  const bare = await up.purser(['status', '--foo']);
  expect(bare).toMatchObject({ code: 2 });
  expect(bare.err).toMatch(/^purser: unknown option '--foo'[\s\S]*See: purser status --help/);
  const command = await up.purser(['stauts']);
  expect(command.code).toBe(2);
  expect(command.err).toMatch(/Did you mean (status|start)/);
});

test('nobody answers: the error says how to start', async () => {
  const nobody = await up.purser(['status'], { env: { PURSER_ROOT: scratch } });
  expect(nobody.code).toBe(2);
  expect(nobody.err).toContain('purser up');
});

test('explain, events, history and snapshot tell what is known', async () => {
  const explained = await up.purser(['explain', 'web']);
  expect(explained.code).toBe(0);
  expect(explained.out).toMatch(/version +[0-9a-f]{12} \(settled\)/);
  expect(explained.out).toMatch(/by Ada: A shop/);
  expect(json(await up.purser(['explain', 'web', '--json']))).toMatchObject({
    job: { id: 'shop/web' },
    waits: [],
  });
  expect((await up.purser(['events'])).out).toMatch(/health +shop\/web/);
  expect((await up.purser(['history'])).out).toMatch(/settled shop\/.*A shop/);
  expect(json(await up.purser(['history', 'web', '--json']))).toMatchObject([
    { subject: 'A shop', machine: false, marks: [{ job: 'shop/web', kind: 'settled' }] },
  ]);
  const saved = await up.purser(['snapshot', join(scratch, 's.json')]);
  expect(saved.code).toBe(0);
  const nowhere = await up.purser(['snapshot', join(scratch, 'absent/s.json')]);
  expect(nowhere.err).toContain('absent/s.json cannot be written: no such file or directory');
});

test('plan: nothing, changes, errors; the cluster, a folder, a revision, a snapshot', async () => {
  expect(await up.purser(['plan'])).toMatchObject({ code: 0 });
  const text = webFile();
  writeFileSync(join(up.repository, WEB), text.replace('VERSION: "1"', 'VERSION: "x"'));
  const folder = await up.purser(['plan', '.'], { cwd: up.repository });
  expect(folder.code).toBe(1);
  expect(folder.out).toMatch(/1 job: 2 to start, 2 to stop/);
  expect(folder.out).toMatch(/at most 1 of 2 copies down at once/);
  const offline = await up.purser(['plan', up.repository, '--snapshot', join(scratch, 's.json')], {
    env: { PURSER_ROOT: scratch },
  });
  expect(offline.code).toBe(1);
  expect(offline.out.split('\n').slice(1)).toEqual(folder.out.split('\n').slice(1));
  expect(json(await up.purser(['plan', up.repository, '--json']))).toMatchObject({
    jobs: [{ job: 'shop/web', kind: 'changed', starts: 2, stops: 2, downAtMost: 1 }],
    pending: { steps: 0 },
    title: '2 start, 2 stop',
    conclusion: 'success',
    fields: [{ job: 'shop/web', from: '*** (before)', to: '*** (after)' }],
    rehearsal: { waves: [{ job: 'shop/web', wave: 1 }, {}], rollbacks: [{ job: 'shop/web' }] },
    effects: { slots: [] },
    snapshot: expect.stringMatching(/^[0-9a-f]{16}$/),
  });
  // A revision means the cluster's repository, also for a person who is somewhere else.
  for (const cwd of [up.repository, import.meta.dirname, '/']) {
    const head = await up.purser(['plan', 'HEAD'], { cwd });
    expect(head).toMatchObject({ code: 0 });
    expect(head.out).toContain(` of ${up.repository}, against the live cluster`);
  }
  const stray = ['plan', 'HEAD', '--snapshot', join(scratch, 's.json')];
  const other = initRepository(join(scratch, 'other'));
  commitFiles(other, { README: 'nothing of a cluster\n' }, 'another project');
  const elsewhere = await up.purser(stray, { cwd: other });
  expect(elsewhere).toMatchObject({ code: 2 });
  expect(elsewhere.err).toContain('holds no cluster.yaml: go into');
  writeFileSync(join(up.repository, WEB), text.replace('count: 2', 'count: two'));
  const broken = await up.purser(['plan', up.repository]);
  expect(broken.code).toBe(2);
  expect(broken.out).toMatch(/jobs\/shop\/web\.yaml:2:\d+ +value-type/);
  expect(await up.purser(['validate', up.repository])).toMatchObject({ code: 2 });
  writeFileSync(join(up.repository, WEB), text);
  expect(await up.purser(['validate', up.repository])).toMatchObject({ code: 1 }); // plain tags
});

test('init makes a repository that validates, and writes over nothing', async () => {
  const folder = join(scratch, 'fresh');
  expect(await up.purser(['init', folder])).toMatchObject({ code: 0 });
  expect(git(folder, 'status', '--porcelain')).toBe('');
  const valid = await up.purser(['validate', folder]);
  expect(valid.out).toContain('0 errors');
  const again = await up.purser(['init', folder]);
  expect(again.code).toBe(2);
  expect(again.err).toContain('cluster.yaml');
});

test('scale follows until the copies are healthy', async () => {
  const scaled = await up.purser(['scale', 'web=3']);
  expect(scaled).toMatchObject({ code: 0 });
  expect(scaled.out).toMatch(/web 3\/3 healthy/);
  expect(webFile()).toContain('count: 3                  # how many');
});

test('scale to fewer than the guards let go: it says so, and what allows it', async () => {
  const scaled = await up.purser(['scale', 'web=0']);
  expect(scaled).toMatchObject({ code: 1 });
  const says = 'shop/web waits for approval to stop web[0], web[1], web[2]';
  expect(scaled.out).toContain(says);
  expect((await up.purser(['status'])).out).toContain(says);
  expect((await up.purser(['explain', 'web'])).out).toContain('purser approve shop/web, or raise');
  expect(json(await up.purser(['status', '--json']))).toMatchObject({
    write: null,
    guarded: [{ job: 'shop/web' }],
  });
  expect(await up.purser(['scale', 'web=3'])).toMatchObject({ code: 0 });
});

test('deploy pins the digest and follows; a failing version ends with 1', async () => {
  const unknown = await up.purser(['deploy', 'web=:absent']);
  expect(unknown.code).toBe(1);
  expect(unknown.err).toContain('nothing was committed');
  const deployed = await up.purser(['deploy', 'web=:2']);
  expect(deployed).toMatchObject({ code: 0 });
  expect(webFile()).toMatch(/image: \S+\/app:2@sha256:[0-9a-f]{64}/);
  expect((await up.purser(['deploy', `store=${up.image}`])).code).not.toBe(0);
});

test('rollback goes back by a commit, and the count stays', async () => {
  const back = await up.purser(['rollback', 'web']);
  expect(back).toMatchObject({ code: 0 });
  expect(webFile()).toContain('app:1');
  expect(webFile()).toContain('count: 3');
  expect(git(up.repository, 'log', '-1', '--format=%B')).toContain('Purser-Rolls-Back:');
});

test('a version that fails ends the following with 1, reverted by the machine', async () => {
  writeFileSync(
    join(up.repository, WEB),
    webFile().replace('environment:', 'environment:\n  FAIL: crash'),
  );
  git(up.repository, 'commit', '-qam', 'Crash');
  const paused = await up.purser(['restart', 'web']);
  expect(paused.code).toBe(1);
  expect(paused.out).toMatch(/superseded by commit|failed/);
  await until(() => isWritten(WEB, (text) => !text.includes('FAIL: crash')));
  expect((await up.purser(['history'])).out).toMatch(/\(machine\)/);
});

test('logs, of all copies, of one, and goes on', async () => {
  const all = await up.purser(['logs', 'web']);
  expect(all.code).toBe(0);
  expect(all.out).toMatch(/web\[\d\] web serving 1/);
  expect((await up.purser(['logs', 'web[0]', '-n', '1'])).out.trim().split('\n')).toHaveLength(1);
  const once = await up.purser(['logs', '--previous', 'store[0]']);
  expect(once).toMatchObject({ code: 1, err: expect.stringContaining('has no earlier run') });
  const followed = follow('web');
  await until(() => followed.said().includes('serving'));
  followed.interrupt();
  expect(await followed.ended).toMatchObject({ code: 0 });
  // The program ends when it is asked to, and is started anew: what it said before is still there.
  // The exec ends with it or before it, so its own code says nothing.
  await up.purser(['exec', 'web[0]', '--', 'sh', '-c', 'kill 1']);
  await until(async () => {
    const { code, out } = await up.purser(['logs', '--previous', 'web[0]']);
    return code === 0 && out.includes('asked to stop');
  });
});

/** `logs -f` under way, until Ctrl-C; what it says first shows that it follows. */
const follow = (...args: readonly string[]) => {
  const enough = new AbortController();
  let said = '';
  let remarks = '';
  const ended = up.purser(['logs', '-f', '-n', '1', ...args], {
    interrupt: enough.signal,
    onOut: (out) => (said = out),
    onErr: (err) => (remarks = err),
  });
  return { said: () => said, remarks: () => remarks, interrupt: () => enough.abort(), ended };
};

test('following goes along with the copies that replace others, and tells last words', async () => {
  await up.purser(['scale', 'web=2']);
  // The third one still serves for a second, and would be followed too.
  await until(async () => (await copies()).length === 2);
  const before = await copies();
  const [all, slot, id] = [follow('web'), follow('web[1]', '--json'), follow(before[0] ?? '')];
  /** How often somebody said that a program begins to serve. */
  const served = (out: string, name = ''): number => out.split(`${name}serving`).length - 1;
  await until(() => [all, slot, id].map(({ said }) => served(said())).join() === '2,1,1');
  expect(await up.purser(['restart', 'web'])).toMatchObject({ code: 0 });
  await until(async () => (await copies()).every((copy) => !before.includes(copy)));
  const told = expect.stringMatching(/^serving .*\nasked to stop\n$/);
  expect(await id.ended).toMatchObject({ code: 0, out: told });
  await until(() => served(all.said()) === 4 && served(slot.said()) === 2);
  // Whoever is interrupted says no more; a copy's log goes a moment after the copy.
  await until(() => [0, 1].every((index) => all.remarks().includes(`web[${index}] web: ended, `)));
  for (const { interrupt } of [all, slot]) interrupt();
  const { code, out, err } = await all.ended;
  expect(code).toBe(0);
  for (const index of [0, 1]) {
    expect(out).toContain(`web[${index}] web asked to stop`);
    expect(served(out, `web[${index}] web `)).toBe(2);
    expect(err).toMatch(new RegExp(`web\\[${index}\\] web: joins, version [0-9a-f]{8} on n1`));
    expect(err).toMatch(new RegExp(`web\\[${index}\\] web: ended, version [0-9a-f]{8} on n1`));
  }
  const lines = (await slot.ended).out.trim().split('\n');
  expect(lines.map((line) => (JSON.parse(line) as { line: string }).line)).toEqual([
    expect.stringMatching(/^serving/),
    'asked to stop',
    expect.stringMatching(/^serving/),
  ]);
});

/** Ids of the live copies of web. */
const copies = async (): Promise<readonly string[]> => {
  const [web] = (json(await up.purser(['status', 'web', '--json'])) as Status).jobs;
  return (web?.copies ?? []).map(({ allocation }) => allocation);
};

interface Status {
  readonly jobs: readonly {
    readonly copies: readonly {
      readonly allocation: string;
      readonly health: string;
      readonly tasks: readonly { readonly pid: number | null }[];
    }[];
  }[];
}

test('stop-first with an image that does not exist: the old copy runs on, untouched', async () => {
  const file = join(up.repository, STORE);
  const before = readFileSync(file, 'utf8');
  const running = async () => {
    const status = json(await up.purser(['status', 'store', '--json'])) as Status;
    return status.jobs.flatMap(({ copies: all }) =>
      all.map(({ allocation, health, tasks }) => [allocation, health, tasks[0]?.pid]),
    );
  };
  const old = (await running())[0];
  expect(old?.[1]).toBe('healthy');
  const missing = before.replace(/^image: .*$/m, `image: ${up.image}@sha256:${'0'.repeat(64)}`);
  expect(missing).not.toBe(before);
  writeFileSync(file, missing);
  git(up.repository, 'commit', '-qam', 'An image that does not exist');
  await until(() => isWritten(STORE, (text) => text.includes(`image: ${up.image}:1`)));
  // The files change a moment before the branch moves, and Purser reads it a moment after.
  await until(() => git(up.repository, 'log', '-1', '--format=%s').startsWith('Revert'));
  const [back, , first] = git(up.repository, 'log', '--format=%h', '--abbrev=10', '--', STORE)
    .split('\n')
    .map((line) => line.trim());
  const isTold = RegExp(`${back} .*\\(machine\\) +back to ${first} +Revert shop/store`);
  await until(async () => isTold.test((await up.purser(['history', 'store'])).out));
  await until(async () => (await up.purser(['status', 'store'])).out.includes('settled'));
  const status = await up.purser(['status', 'store']);
  expect(status.out).toMatch(/settled .*Revert shop\/store: .* \(same as [0-9a-f]{8}\)/);
  const explained = (await up.purser(['explain', 'store'])).out;
  expect(explained).toMatch(/commit .*Revert shop\/store/);
  expect(explained).toMatch(RegExp(`same as +${first}`));
  expect(json(await up.purser(['status', '--json']))).toMatchObject({
    jobs: [
      {
        job: 'shop/store',
        isRollback: true,
        commit: { author: 'Purser' },
        sameAs: expect.stringMatching(`^${first}`),
      },
      { job: 'shop/web' },
    ],
  });
  await until(async () => (await running()).length === 1);
  expect(await running()).toEqual([old]);
  expect((await up.purser(['events', 'store', '-n', '2000'])).out).toContain('app@sha256:0000');
});

test('logs and exec name the tasks that there are', async () => {
  const logs = await up.purser(['logs', 'web', '-t', 'wob']);
  expect(logs).toMatchObject({ code: 2, out: '' });
  expect(logs.err).toContain('there is no task `wob`; did you mean web?');
  const exec = await up.purser(['exec', 'web[0]', '-t', 'wob', '--', 'sh']);
  expect(exec.err).toBe(logs.err);
});

test('exec: exit codes, input, a terminal and its size', async () => {
  const absent = await up.purser(['exec', 'web[0]', '--', 'absent']);
  expect(absent).toMatchObject({ code: 127, out: '' });
  expect(absent.err).toContain('task web has no program `absent`');
  expect(await up.purser(['exec', 'web[0]', '--', 'cat'], { input: 'ahoy\n' })).toMatchObject({
    code: 0,
    out: 'ahoy\n',
  });
  expect(await up.purser(['exec', 'web[0]', '--', 'sh', '-c', 'exit 7'])).toMatchObject({
    code: 7,
  });
  expect(await terminal()).toMatch(/19 71[\s\S]*33 99/);
});

/** A command on a terminal, and what it shows. */
const onTerminal = (inside: string) => {
  const child = spawn('script', ['-qefc', inside, '/dev/null'], {
    env: { ...process.env, PURSER_ROOT: up.root },
  });
  let seen = '';
  child.stdout.on('data', (data: Buffer) => {
    seen += data.toString('utf8');
  });
  return {
    type: (keys: string) => void child.stdin.write(keys),
    saw: (pattern: RegExp, again = () => {}) =>
      until(() => {
        if (!pattern.test(seen)) again();
        return pattern.test(seen);
      }),
    ended: once(child, 'close').then(([code]) => ({ code: code as number, seen })),
  };
};

/** A shell in a copy, on a terminal whose size changes meanwhile. */
const terminal = async (): Promise<string> => {
  const name = join(scratch, 'tty');
  const { type, saw, ended } = onTerminal(
    `tty > ${name}; stty cols 71 rows 19; exec ./purser exec 'web[0]' -- sh`,
  );
  await saw(/[#$] /);
  type('stty size\n');
  await saw(/19 71/);
  execFileSync('stty', ['-F', readFileSync(name, 'utf8').trim(), 'cols', '99', 'rows', '33']);
  // The size gets there a moment later.
  await saw(/33 99/, () => type('stty size\n'));
  type('exit 3\n');
  const { code, seen } = await ended;
  expect(code).toBe(3);
  return seen;
};

test('status --watch draws in place on a terminal, and leaves it as it was', async () => {
  const { type, saw, ended } = onTerminal('stty cols 60 rows 20; exec ./purser status --watch');
  await saw(/\?2026h[^]*\?2026h/); // drawn, and drawn again
  type('\u0003'); // Ctrl-C
  const { seen } = await ended;
  expect(seen).toContain('\u001B[?1049h');
  expect(seen).toContain('\u001B[?1049l');
  expect(seen).not.toContain('\u001B[2J');
});

test('promote without canaries commits nothing', async () => {
  const before = git(up.repository, 'rev-parse', 'HEAD');
  const answer = await up.purser(['promote', 'web']);
  expect(answer.code).toBe(1);
  expect(answer.err).toContain('nothing to promote');
  expect(git(up.repository, 'rev-parse', 'HEAD')).toBe(before);
});

test('pause, resume, stop and start edit the file', async () => {
  expect(await up.purser(['pause', 'web', '-d'])).toMatchObject({ code: 0 });
  expect(webFile()).toContain('paused: true');
  expect(await up.purser(['resume', 'web', '-d'])).toMatchObject({ code: 0 });
  expect(webFile()).not.toContain('paused');
  expect(await up.purser(['stop', 'store'])).toMatchObject({ code: 0 });
  expect((await up.purser(['status', 'store'])).out).toContain('stopped');
});

test('volume ls and rm', async () => {
  expect(json(await up.purser(['volume', 'ls', '--json']))).toMatchObject([
    { volume: 'shop/store/data[0]', node: 'n1' },
  ]);
  await gone('store');
  const folder = join(up.root, 'nodes/n1/volumes/shop.store.store.0.data');
  expect(existsSync(folder)).toBe(true);
  expect(await up.purser(['volume', 'rm', 'data[0]'])).toMatchObject({ code: 1 }); // nobody to ask
  expect(await up.purser(['volume', 'rm', 'data[0]', '--yes'])).toMatchObject({ code: 0 });
  await until(() => !existsSync(folder));
  expect(await up.purser(['start', 'store'])).toMatchObject({ code: 0 });
  expect(await up.purser(['volume', 'rm', 'data[0]', '--yes'])).toMatchObject({ code: 1 }); // held
});

/** Waits until a job has no live copy. */
const gone = (job: string): Promise<void> =>
  until(async () => {
    const { jobs } = json(await up.purser(['status', job, '--json'])) as {
      readonly jobs: readonly { readonly copies: readonly { readonly phase: string }[] }[];
    };
    return jobs.every(({ copies }) => copies.every(({ phase }) => phase === 'dead'));
  });

test('approve lets a removal go', async () => {
  git(up.repository, 'rm', '-q', 'jobs/shop/store.yaml');
  git(up.repository, 'commit', '-qm', 'No store');
  let removals: unknown = [];
  await until(async () => {
    ({ removals } = json(await up.purser(['approve', '--json'])) as { removals: unknown });
    return JSON.stringify(removals) !== '[]';
  });
  expect(removals).toMatchObject([{ job: 'shop/store', slots: ['shop/store/store[0]'] }]);
  expect((await up.purser(['approve', '--all'])).code).toBe(1); // nobody to ask
  expect(await up.purser(['approve', 'store', '--yes'])).toMatchObject({ code: 0 });
  await until(async () => !(await up.purser(['status'])).out.includes('shop/store'));
});

test('drain says what remains and why; undrain takes it back', async () => {
  const drained = await up.purser(['drain', 'n1']);
  expect(drained.code).toBe(1);
  expect(drained.out).toMatch(/stays: shop\/web\/web\[0, .*drain/);
  expect(await up.purser(['undrain', 'n1'])).toMatchObject({ code: 0 });
  expect((await up.purser(['drain', 'n9'])).err).toContain('n1');
});

test('completion: a script for the shell, names of what is there', async () => {
  const script = (await up.purser(['complete', 'bash'])).out;
  const typed =
    'COMP_WORDS=(purser logs "") COMP_CWORD=2; __purser_complete; echo "${COMPREPLY[@]}"';
  const stub = `purser() { [ "$*" = "complete -- logs " ] && printf 'web\\tjob\\n:4\\n'; }`;
  const bash = `compopt() { :; }\n${stub}\n${script}\n${typed}`;
  // Without the package bash-completion, as on a bare machine.
  expect(execFileSync('bash', ['--norc', '-c', bash], { encoding: 'utf8' }).trim()).toBe('web');
  expect((await up.purser(['complete', '--', 'logs', ''])).out).toMatch(/^web\b/m);
  expect((await up.purser(['complete', '--', 'exec', ''])).out).toMatch(/^web\[0\]/m);
  expect((await up.purser(['complete', '--', 'drain', ''])).out).toMatch(/^n1\b/m);
  expect((await up.purser(['complete', '--', 'hist'])).out).toMatch(/^history\b/m);
});

test('completion in a real bash: commands, names, and what a name begins with', async () => {
  // What bash does on the key: the function that the script registered, then COMPREPLY.
  const shell = (line: string) => `
    set -u
    PATH="${process.cwd()}:$PATH"
    eval "$(purser complete bash)"
    COMP_LINE=${JSON.stringify(line)} COMP_POINT=\${#COMP_LINE} COMP_WORDS=(${line})
    [[ "$COMP_LINE" == *' ' ]] && COMP_WORDS+=('')
    COMP_CWORD=$(( \${#COMP_WORDS[@]} - 1 ))
    completer=$(complete -p purser | sed 's/.*-F \\([^ ]*\\).*/\\1/')
    "$completer" purser "\${COMP_WORDS[COMP_CWORD]}" "\${COMP_WORDS[COMP_CWORD-1]}" 2>/dev/null
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const reply = async (line: string): Promise<readonly string[]> => {
    const { out, err, code } = await run('bash', ['--norc', '-c', shell(line)], {
      env: { PURSER_ROOT: up.root },
    });
    expect({ code, err }).toEqual({ code: 0, err: '' });
    return out.split('\n').map((word) => word.trim());
  };
  expect(await reply('purser hist')).toContain('history');
  expect(await reply('purser logs w')).toContain('web');
  expect(await reply('purser drain ')).toContain('n1');
});

test('every command has help with examples', async () => {
  const { out } = await up.purser(['--help']);
  const commands = [...out.matchAll(/^ {2}([a-z]+) \[options\]/gm)].map(([, name]) => name ?? '');
  expect(commands.length).toBeGreaterThan(20);
  for (const command of commands) {
    const help = await up.purser([command, '--help']);
    expect(help.code).toBe(0);
    expect(help.out, command).toMatch(/--json[\s\S]*Examples:\n {2}\S[\s\S]*\nExit codes: \d/);
  }
});

test('down leaves nothing', async () => {
  const identity = networkIdentity({ root: join(up.root, 'nodes/n1'), node: 'n1' });
  const names = namesFor(identity);
  const tables = () => execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' });
  expect(tables()).toContain(names.table);
  const made = { links: [names.bridge, names.linkPrefix], cgroups: [`purser-${identity}`] };
  expect(leftovers({ root: up.root, ...made }).length).toBeGreaterThan(5);
  const others = join(up.root, 'not-of-purser.txt');
  writeFileSync(others, 'a person keeps it here');
  const down = await up.purser(['down', '--volumes', '--json']);
  expect(down).toMatchObject({ code: 0 });
  expect(json(down)).toEqual({
    removed: [{ node: 'n1', containers: expect.any(Number) as number }],
    stays: { repository: up.repository, volumes: [] },
  });
  // Its volume has no home any more: another cluster of this repository may have other nodes.
  const inLedger = ['grep', '-h', '"kind":"volume"', 'refs/purser/cli/ledger'];
  const homes = execFileSync('git', ['-C', up.repository, ...inLedger], { encoding: 'utf8' });
  expect(homes).toContain('"node":null');
  expect(homes).not.toContain('"node":"n1"');
  expect(readFileSync(others, 'utf8')).toContain('a person');
  rmSync(others);
  rmdirSync(up.root); // nothing else is in it
  expect(await leftForGood({ root: up.root, ...made })).toEqual([]);
  expect(tables()).not.toContain(names.table);
  expect((await up.purser(['down'])).code).toBe(1);
});

test('down --volumes after a plain down removes the volumes that were left', async () => {
  const folder = join(up.root, 'nodes/n1/volumes');
  mkdirSync(join(folder, 'shop.store.store.0.data/x'), { recursive: true });
  mkdirSync(join(folder, 'lost+found'));
  const plain = await up.purser(['down']);
  expect(plain).toMatchObject({ code: 1 });
  expect(plain.err).toContain('purser down --volumes');
  expect(await up.purser(['down', '--volumes'])).toMatchObject({ code: 0 });
  expect(readdirSync(folder)).toEqual(['lost+found']);
  rmSync(up.root, { recursive: true });
});
