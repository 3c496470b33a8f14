// Only what owners have let through counts: commits judged one after the other, recorded first, and
// what is held compiled as an invalid file is.

import { describe, expect, test } from 'vitest';
import { readWhole } from '../../../reconciler/cycle.ts';
import { compile } from '../../../reconciler/desired/compile.ts';
import { createMemo } from '../../../reconciler/desired/memo.ts';
import { createLookups } from '../../../reconciler/lookups.ts';
import type { CommitAsk, ReconcilerPorts } from '../../../reconciler/ports.ts';
import { byAddress, createScreen, unasked, type People } from '../../../reconciler/screen.ts';
import type { DesiredState } from '../../../schema/desired.ts';
import type { LedgerRecord } from '../../../schema/ledger.ts';
import type { SourceTree } from '../../../schema/source.ts';
import {
  answerHistories,
  digestOf,
  jobOf,
  story,
  treeOf,
  type CommitInit,
  type Story,
} from '../../support/tree.ts';

const ADA = { name: 'Ada', email: 'ada@example.org' };
const BOB = { name: 'Bob', email: 'bob@example.org' };
const PURSER = { name: 'Purser', email: 'purser@localhost' };
const WEB = 'jobs/shop/web.yaml';
const DB = 'jobs/shop/db.yaml';
const image = (word: string, rest = '') =>
  `image: r.example/web:${word}@${digestOf(word)}\n${rest}`;
const cluster = (rules: string, own = true) =>
  `name: home\npolicies: {registries: [r.example]}\nguards: {own_approval: ${own}}\n${rules}`;
const RULES = 'owners: |\n  /cluster.yaml ada@example.org\n  /jobs/shop/web.yaml ada@example.org\n';
const FIRST: CommitInit = {
  files: { 'cluster.yaml': cluster(RULES), [WEB]: image('1'), [DB]: image('d') },
};
const by = (author: CommitInit['author'], files: CommitInit['files']): CommitInit => ({
  files,
  ...(author === undefined ? {} : { author }),
});

const APPROVAL = {
  kind: 'approval',
  id: 'a1',
  by: ADA.email,
  at: '1970-01-01T00:00:00Z',
  commit: 'x',
  slots: [],
  nodes: [],
  as: [ADA.email],
  used: false,
} as const;

/** A repository that grows, its ledger, and a reconciler that writes what it owes. */
const world = (
  people: People = byAddress,
  signedBy: (commit: string) => Promise<readonly string[]> = async () => [],
) => {
  const commits: CommitInit[] = [];
  const ledger: LedgerRecord[] = [];
  const made: CommitAsk[] = [];
  const signed = new Set<string>();
  const gone: Story[] = [];
  const kept: Story[] = [];
  let raw: SourceTree | null = null;
  let line: Story = [];
  const source = {
    read: () => Promise.resolve((raw ??= treeOf(line, { ledger: [...ledger] }))),
    complete: (tree: SourceTree, asked: Parameters<typeof answerHistories>[2]) =>
      Promise.resolve(answerHistories(line, tree, asked)),
    commit: (ask: CommitAsk) => {
      made.push(ask);
      add(
        by(ask.author, Object.fromEntries(ask.edits.map(({ path, content }) => [path, content]))),
      );
      return Promise.resolve(line.at(-1)?.commit.oid ?? '');
    },
    signedBy,
    listCommits: (limit: number) =>
      Promise.resolve(
        line
          .map(({ commit }) => commit)
          .toReversed()
          .slice(0, limit),
      ),
    isOwn: (oid: string) => Promise.resolve(signed.has(oid)),
    at: (oid: string) => {
      const found = [line, ...gone].flat().find(({ commit }) => commit.oid === oid);
      return Promise.resolve(
        found === undefined ? null : { head: found.commit, files: found.files },
      );
    },
  };
  const add = (one: CommitInit) => {
    commits.push(one);
    line = story(...commits);
    raw = null;
  };
  const screen = createScreen(source, { people, epochMs: () => 0 });
  const unused = () => {
    throw new Error('not needed here');
  };
  const ports: ReconcilerPorts = {
    source: { ...screen, record: unused, watch: unused },
    // It never answers: an image without a digest stays unknown.
    registry: { resolve: () => new Promise<never>(() => undefined) },
    clock: { now: () => 0, sleepUntil: unused },
    nodes: { heard: unused, send: unused, publish: unused, watch: unused },
    log: { info: unused, warn: unused, error: unused },
  };
  // As the loop looks: with what it remembers of the pass before.
  const memo = createMemo();
  const context = { ports, lookups: createLookups(ports, unused), memo };
  const look = async (): Promise<DesiredState & { tree: SourceTree }> => {
    const tree = await readWhole(context);
    return { ...compile(tree, memo), tree };
  };
  return {
    ledger,
    line: () => line,
    screen,
    source,
    add,
    /** Another line of first parents, as by a merge with its parents swapped, or by a rewrite. */
    lead: (...others: readonly CommitInit[]) => {
      gone.push(line);
      commits.length = 0;
      for (const one of others) add(one);
    },
    /** Git has cleaned up what is on no line, but for what is kept. */
    cleanUp: () => {
      gone.splice(0, gone.length, ...kept);
    },
    keep: (oid: string) => void kept.push(line.filter(({ commit }) => commit.oid === oid)),
    /** The newest commit bears the machine's signature. */
    sign: () => signed.add(line.at(-1)?.commit.oid ?? ''),
    look,
    record: (...records: readonly LedgerRecord[]) => {
      ledger.push(...records);
      raw = null;
    },
    /** Until nothing of the judging is owed. */
    settle: async () => {
      for (let turn = 0; turn < 5; turn += 1) {
        const owed = (await look()).owed.filter(({ kind }) => kind === 'judged');
        if (owed.length === 0) return look();
        ledger.push(...owed);
        raw = null;
      }
      throw new Error('the same is owed again and again');
    },
  };
};

const imageOf = (desired: DesiredState, job = 'shop/web') =>
  jobOf(desired, job).spec.groups[0]?.tasks[0]?.image.digest;
const standing = (desired: DesiredState, job = 'shop/web') => jobOf(desired, job).standing.kind;

describe('without path rules', () => {
  test('every tree is handed on as it is, and nothing is recorded', async () => {
    const { add, screen, source, look } = world();
    add({ files: { 'cluster.yaml': cluster('owners: |\n  # nobody yet\n'), [WEB]: image('1') } });
    expect(await screen.read()).toBe(await source.read());
    expect((await look()).owed).toEqual([]);
  });
});

describe('authors by address', () => {
  test('what an owner wrote counts once it is recorded, what others wrote is held', async () => {
    const { add, look, settle, ledger } = world();
    add(FIRST);
    await settle();
    add(by(ADA, { [WEB]: image('2') }));
    expect(imageOf(await look())).toBe(digestOf('1'));
    expect(imageOf(await settle())).toBe(digestOf('2'));
    add(by(BOB, { [WEB]: image('3'), [DB]: image('e') }));
    const held = await settle();
    expect(imageOf(held)).toBe(digestOf('2'));
    expect(standing(held)).toBe('held');
    expect(jobOf(held, 'shop/web').standing).toMatchObject({
      why: expect.stringContaining('shop/web waits for an approval of ada@example.org (commit'),
    });
    expect(imageOf(held, 'shop/db')).toBe(digestOf('e'));
    expect(held.problems).toEqual([
      expect.objectContaining({ code: 'owners-wait', file: WEB, line: 1 }),
    ]);
    expect(held.heldFiles).toEqual([expect.objectContaining({ path: WEB, by: BOB.email })]);
    expect(ledger.filter(({ kind }) => kind === 'judged')).toHaveLength(3);
  });

  test('a held file is let through by an approval, by an owner’s commit, or by its revert', async () => {
    const held = async () => {
      const one = world();
      one.add(FIRST);
      await one.settle();
      one.add(by(BOB, { [WEB]: image('2') }));
      expect(standing(await one.settle())).toBe('held');
      return one;
    };
    const approved = await held();
    const blob = (await approved.look()).heldFiles?.[0]?.blob ?? null;
    const approval = { ...APPROVAL, files: [{ path: WEB, blob }] };
    approved.record({ ...approval, as: [BOB.email], by: BOB.email });
    expect(standing(await approved.settle())).toBe('held');
    approved.record(approval);
    const through = await approved.settle();
    expect([standing(through), imageOf(through)]).toEqual(['head', digestOf('2')]);
    expect(jobOf(through, 'shop/web').commit.oid).toBe(approved.line().at(-1)?.commit.oid);
    const owned = await held();
    owned.add(by(ADA, { [WEB]: image('2', 'count: 2\n') }));
    expect(imageOf(await owned.settle())).toBe(digestOf('2'));
    const reverted = await held();
    reverted.add(by(BOB, { [WEB]: image('1') }));
    const back = await reverted.settle();
    expect([standing(back), imageOf(back)]).toEqual(['head', digestOf('1')]);
    expect(back.heldFiles).toBeUndefined();
  });

  test('what a stranger adds to what is held stays held; a job that he removes stays', async () => {
    const { add, settle } = world();
    add(FIRST);
    await settle();
    add(by(BOB, { [WEB]: image('2') }));
    await settle();
    add(by(BOB, { [WEB]: image('3') }));
    const held = await settle();
    expect(imageOf(held)).toBe(digestOf('1'));
    add(by(BOB, { [WEB]: null }));
    const gone = await settle();
    expect([standing(gone), imageOf(gone)]).toEqual(['held', digestOf('1')]);
  });

  test('content that nobody let through never counts, whatever broken content follows it', async () => {
    const broken = 'image: [\n';
    const waited = async (...contents: readonly string[]) => {
      const one = world();
      one.add(FIRST);
      await one.settle();
      for (const content of contents) {
        one.add(by(BOB, { [WEB]: content }));
        expect(imageOf(await one.settle())).toBe(digestOf('1'));
      }
      return one;
    };
    const still = async ({ settle }: ReturnType<typeof world>) => {
      const found = await settle();
      expect(found.heldFiles).toBeUndefined();
      expect([standing(found), imageOf(found)]).toEqual(['held', digestOf('1')]);
    };
    // The approval is of what stands there now, not of what stood there before.
    const approved = await waited(image('2'), broken);
    const blob = (await approved.look()).heldFiles?.[0]?.blob ?? null;
    approved.record({ ...APPROVAL, files: [{ path: WEB, blob }] });
    await still(approved);
    // By the owner's own commit.
    const owned = await waited(image('2'), image('3'));
    owned.add(by(ADA, { [WEB]: broken }));
    await still(owned);
    // Back at what counts, which is broken: that needs nobody.
    const back = await waited();
    back.add(by(ADA, { [WEB]: broken }));
    back.add(by(BOB, { [WEB]: image('2') }));
    back.add(by(BOB, { [WEB]: broken }));
    await still(back);
    // And again and again.
    for (const word of ['4', '5', '6', '7', '8', '9']) {
      back.add(by(BOB, { [WEB]: image(word) }));
      back.add(by(BOB, { [WEB]: broken }));
      await still(back);
    }
    const [judged] = back.ledger.filter(({ kind }) => kind === 'judged').slice(-1);
    expect(judged).toMatchObject({ passed: { length: 4 } });
    // An image that nobody has: the content before it counts, if it was let through.
    const lacking = await waited(image('2'));
    lacking.add(by(ADA, { [WEB]: 'image: r.example/web:none\n' }));
    await still(lacking);
    // Nobody owns it any more: what stands there counts, what stood there does not.
    const free = await waited(image('2'), broken);
    free.add(by(ADA, { 'cluster.yaml': cluster('') }));
    await still(free);
    free.add(by(BOB, { [WEB]: image('5') }));
    expect(imageOf(await free.settle())).toBe(digestOf('5'));
    free.add(by(BOB, { [WEB]: broken }));
    expect(imageOf(await free.settle())).toBe(digestOf('5'));
  });

  test('a change cannot admit itself: the rules are those before it', async () => {
    const { add, settle } = world();
    add(FIRST);
    await settle();
    add(by(BOB, { 'cluster.yaml': cluster(RULES.replaceAll('ada', 'bob')), [WEB]: image('2') }));
    const held = await settle();
    expect(imageOf(held)).toBe(digestOf('1'));
    expect(held.heldFiles?.map(({ path }) => path)).toEqual(['cluster.yaml', WEB]);
    add(by(BOB, { [WEB]: image('3') }));
    expect(imageOf(await settle())).toBe(digestOf('1'));
    add(by(ADA, { 'cluster.yaml': cluster('') }));
    const free = await settle();
    expect([standing(free), imageOf(free)]).toEqual(['head', digestOf('3')]);
    expect(free.heldFiles).toBeUndefined();
  });

  test('the author’s own approval counts only where cluster.yaml says so', async () => {
    const { add, settle } = world();
    add({ files: { ...FIRST.files, 'cluster.yaml': cluster(RULES, false) } });
    await settle();
    add(by(ADA, { [WEB]: image('2') }));
    expect(standing(await settle())).toBe('held');
  });

  test('the machine’s own commits count', async () => {
    const { add, screen, settle } = world();
    add(FIRST);
    await settle();
    const edits = [{ path: WEB, content: image('9'), base: null }];
    await screen.commit({ head: '', edits, message: 'Revert', author: PURSER });
    expect(imageOf(await settle())).toBe(digestOf('9'));
  });

  test('those of an earlier session count by their signature, not by what they call themselves', async () => {
    const { add, line, record, settle, sign } = world();
    add(FIRST);
    await settle();
    add(by(PURSER, { [WEB]: image('2') }));
    const forged = line().at(-1)?.commit.oid ?? '';
    record({ kind: 'reverted', job: 'shop/web', deployment: 'd'.repeat(16), commit: forged });
    expect([standing(await settle()), imageOf(await settle())]).toEqual(['held', digestOf('1')]);
    const pushed = [['Purser-Pushed', 'main']] as const;
    add({ ...by(PURSER, { [WEB]: image('3') }), trailers: pushed });
    sign();
    expect(imageOf(await settle())).toBe(digestOf('3'));
    // What it offered as a pull request, or made for another branch, was pushed by somebody.
    for (const trailers of [[], [['Purser-Pushed', 'other']]] as const) {
      add({ ...by(PURSER, { [WEB]: image(`5${trailers.length}`) }), trailers });
      sign();
      const offered = await settle();
      expect([standing(offered), imageOf(offered)]).toEqual(['held', digestOf('3')]);
    }
    // Who has the key and writes in a person's name does so for that person.
    add(by(BOB, { [WEB]: image('4') }));
    sign();
    expect(standing(await settle())).toBe('held');
  });

  test('several commits of one push are judged each by itself', async () => {
    const { add, settle } = world();
    add(FIRST);
    await settle();
    add(by(BOB, { [WEB]: image('2') }));
    add(by(ADA, { [DB]: image('e') }));
    const one = await settle();
    expect([imageOf(one), imageOf(one, 'shop/db')]).toEqual([digestOf('1'), digestOf('e')]);
  });

  test('rules and what they are about in one push: held before anything is recorded', async () => {
    const { add, look, settle } = world();
    const free = cluster('owners: |\n  /jobs/shop/db.yaml ada@example.org\n');
    add({ files: { ...FIRST.files, 'cluster.yaml': free } });
    await settle();
    add(by(ADA, { 'cluster.yaml': cluster(RULES) }));
    add(by(BOB, { [WEB]: image('2') }));
    expect(standing(await look())).toBe('held');
    expect(imageOf(await settle())).toBe(digestOf('1'));
  });

  test('a long line of commits that nobody owns is recorded in passing', async () => {
    const { add, settle, ledger } = world();
    add(FIRST);
    await settle();
    for (let turn = 0; turn < 40; turn += 1) add(by(BOB, { [DB]: image(`d${turn}`) }));
    add(by(BOB, { [WEB]: image('2') }));
    expect(imageOf(await settle())).toBe(digestOf('1'));
    expect(ledger.filter(({ kind }) => kind === 'judged').length).toBeLessThan(5);
  });
});

describe('a line that was led past what was judged', () => {
  const FREE: CommitInit = { files: { ...FIRST.files, 'cluster.yaml': cluster('') } };

  test('the rules stay: what differs is asked of its owners, whatever the line began with', async () => {
    const { add, lead, settle, look, ledger } = world();
    add(FREE);
    add(by(ADA, { 'cluster.yaml': cluster(RULES) }));
    await settle();
    add(by(ADA, { [WEB]: image('2') }));
    expect(imageOf(await settle())).toBe(digestOf('2'));
    const theirs = by(BOB, { [WEB]: image('3') });
    lead(FREE, theirs, by(BOB, { 'cluster.yaml': cluster(RULES), [DB]: image('e') }));
    expect([standing(await look()), (await look()).heldFiles?.length]).toEqual(['held', 1]);
    const held = await settle();
    expect([standing(held), imageOf(held)]).toEqual(['held', digestOf('2')]);
    expect(held.heldFiles).toMatchObject([{ path: WEB, by: BOB.email }]);
    expect(imageOf(held, 'shop/db')).toBe(digestOf('e'));
    const judged = ledger.length;
    expect((await settle()).owed).toEqual([]);
    expect(ledger).toHaveLength(judged);
    // Without the rules: they are a file with an owner, too.
    lead(FREE, theirs);
    const without = await settle();
    expect(imageOf(without)).toBe(digestOf('2'));
    expect(without.heldFiles?.map(({ path }) => path)).toEqual(['cluster.yaml', WEB]);
    lead(FREE, theirs, by(ADA, { 'cluster.yaml': cluster(RULES), [WEB]: image('4') }));
    const through = await settle();
    expect([imageOf(through), through.heldFiles]).toEqual([digestOf('4'), undefined]);
  });

  test('what counts and stands on it is kept where other content came after it', async () => {
    const { add, lead, settle } = world();
    add(FIRST);
    await settle();
    lead(by(BOB, FIRST.files), by(BOB, { [WEB]: image('3') }), by(BOB, { [DB]: image('e') }));
    const held = await settle();
    expect([standing(held), imageOf(held)]).toEqual(['held', digestOf('1')]);
  });

  test('a commit of the machine on top of it lets nothing through', async () => {
    const { add, lead, screen, settle } = world();
    add(FIRST);
    await settle();
    lead(FREE, by(BOB, { [WEB]: image('3') }));
    const edits = [{ path: 'scale/shop/web.yaml', content: 'counts: {web: 2}\n', base: null }];
    await screen.commit({ head: '', edits, message: 'Count', author: PURSER });
    const held = await settle();
    expect([standing(held), imageOf(held)]).toEqual(['held', digestOf('1')]);
  });

  test('where what was judged is gone nothing counts until a person resumed; its rules go on', async () => {
    const { add, lead, line, cleanUp, record, settle } = world();
    add(FIRST);
    const earlier = line().at(-1)?.commit.oid ?? '';
    record({ kind: 'resume', commit: earlier, by: 'ada', at: '2026-01-01T00:00:00Z' });
    await settle();
    lead(FREE, by(BOB, { [WEB]: image('7') }));
    cleanUp();
    const head = line().at(-1)?.commit.oid ?? '';
    const lost = expect(settle()).rejects;
    await lost.toMatchObject({ kind: 'edge-failure', consequence: 'broken', refused: head });
    await lost.toMatchObject({ message: expect.stringContaining(`purser resume --at ${head}`) });
    record({ kind: 'resume', commit: head, by: 'ada', at: '2026-01-01T00:00:00Z' });
    expect(imageOf(await settle())).toBe(digestOf('7'));
    add(by(BOB, { [WEB]: image('3') }));
    const held = await settle();
    expect([standing(held), imageOf(held)]).toEqual(['held', digestOf('7')]);
  });

  test('… and where what was in sync before is there yet, all is compared with that', async () => {
    const { add, lead, line, cleanUp, record, settle, keep } = world();
    add(FIRST);
    const synced = line().at(-1)?.commit.oid ?? '';
    record({ kind: 'synced', commit: synced });
    await settle();
    add(by(ADA, { [WEB]: image('2') }));
    await settle();
    keep(synced);
    for (const others of [[FREE], [FIRST]]) {
      lead(...others, by(BOB, { [WEB]: image('3') }));
      cleanUp();
      const held = await settle();
      expect([standing(held), imageOf(held)]).toEqual(['held', digestOf('1')]);
    }
  });

  test('a pull request by which its end came does not speak for all of it', async () => {
    const asked: unknown[] = [];
    const people: People = {
      behind: (info) => {
        asked.push(info.merge);
        return byAddress.behind(info, []);
      },
      version: () => 0,
    };
    const { add, lead, settle } = world(people);
    add(FIRST);
    await settle();
    lead(FREE, by(BOB, { [WEB]: image('3') }));
    await settle();
    expect(asked.at(-1)).toEqual({ theirs: '', isExact: false });
  });
});

describe('verified signatures', () => {
  /** Commits are signed by whoever is named, as a signature policy would find. */
  const signing = () => {
    const signers = new Map<string, readonly string[]>();
    const made = world(byAddress, async (oid) => signers.get(oid) ?? []);
    const sign = (name: string) => void signers.set(made.line().at(-1)?.commit.oid ?? '', [name]);
    return { ...made, sign };
  };

  test('the signer is who wrote it, whatever name the commit bears', async () => {
    const { add, settle, sign } = signing();
    add(FIRST);
    await settle();
    add(by(ADA, { [WEB]: image('2') }));
    sign(BOB.email);
    const forged = await settle();
    expect([standing(forged), imageOf(forged)]).toEqual(['held', digestOf('1')]);
    expect(forged.heldFiles?.[0]?.by).toBe(BOB.email);
    add(by(BOB, { [WEB]: image('3') }));
    sign(ADA.email);
    const signed = await settle();
    expect(imageOf(signed)).toBe(digestOf('3'));
    expect(signed.unprovenFiles).toBeUndefined();
  });

  test('an address alone lets through what its owner may, and is said to be no proof', async () => {
    const { add, settle, line, sign } = signing();
    add(FIRST);
    await settle();
    add(by(ADA, { [WEB]: image('2'), [DB]: image('e') }));
    const { oid: commit } = line().at(-1)?.commit ?? { oid: '' };
    const believed = await settle();
    expect(imageOf(believed)).toBe(digestOf('2'));
    expect(believed.unprovenFiles).toEqual([
      { path: WEB, blob: expect.any(String), commit, by: ADA.email },
    ]);
    add(by(BOB, { [DB]: image('f') }));
    expect((await settle()).unprovenFiles).toHaveLength(1);
    add(by(ADA, { [WEB]: image('3') }));
    sign(ADA.email);
    expect((await settle()).unprovenFiles).toBeUndefined();
  });

  test('a commit that the machine made for a person, and signed, proves that person', async () => {
    const { add, settle, sign } = world();
    add(FIRST);
    await settle();
    add(by(ADA, { [WEB]: image('2') }));
    sign();
    const made = await settle();
    expect([imageOf(made), made.unprovenFiles]).toEqual([digestOf('2'), undefined]);
    add(by(BOB, { [WEB]: image('3') }));
    sign();
    expect(imageOf(await settle())).toBe(digestOf('2'));
  });

  test('a list of signers that waits for its owner proves nobody', async () => {
    const { add, settle, sign } = signing();
    const rules = `${RULES}  /signers/ ada@example.org\n`;
    add({ files: { ...FIRST.files, 'cluster.yaml': cluster(rules) } });
    await settle();
    add(by(BOB, { 'signers/allowed_signers': 'ada@example.org ssh-ed25519 AAAA\n' }));
    sign(BOB.email);
    await settle();
    add(by(BOB, { [WEB]: image('2') }));
    sign(ADA.email);
    expect(imageOf(await settle())).toBe(digestOf('1'));
  });
});

describe('a forge', () => {
  const forge = () => {
    const known = new Map<string, 'ada' | 'nobody'>();
    let version = 0;
    const people: People = {
      behind: ({ oid, author }) => {
        const answer = known.get(oid);
        if (answer === undefined) return undefined;
        const approvals = answer === 'ada' ? [{ name: 'ada', as: [ADA.email] }] : [];
        return { authors: [{ name: author.name, as: [] }], approvals };
      },
      version: () => version,
    };
    return {
      people,
      say: (oid: string, answer: 'ada' | 'nobody') => {
        known.set(oid, answer);
        version += 1;
      },
    };
  };

  test('while it is not known who approved, what ran before counts, and it is said', async () => {
    const { people, say } = forge();
    const { add, look, settle, line } = world(people);
    add(FIRST);
    await settle();
    add(by(BOB, { [WEB]: image('2') }));
    const waits = await look();
    expect([standing(waits), imageOf(waits)]).toEqual(['held', digestOf('1')]);
    expect(jobOf(waits, 'shop/web').standing).toMatchObject({
      why: expect.stringContaining('waits until it is known who approved commit'),
    });
    expect(waits.owed).toEqual([]);
    say(line().at(-1)?.commit.oid ?? '', 'ada');
    expect(imageOf(await settle())).toBe(digestOf('2'));
  });

  test('an owner’s team that the forge does not show keeps only what it owns waiting', async () => {
    const why = 'the App lacks «Members: Read-only»';
    const unread = { teams: ['@shop/web'], why };
    let isRead = false;
    const people: People = {
      behind: ({ author }) => {
        const wrote = author.email === ADA.email ? [ADA.email] : ['@carl'];
        const authors = [{ name: author.name, as: isRead ? [...wrote, '@shop/web'] : wrote }];
        return { authors, approvals: [], ...(isRead ? {} : { unread }) };
      },
      why: () => why,
      version: () => Number(isRead),
    };
    const { add, look, settle } = world(people);
    const rules = RULES.replace('web.yaml ada', 'web.yaml @shop/web ada');
    add({ files: { ...FIRST.files, 'cluster.yaml': cluster(rules) } });
    await settle();
    add(by(ADA, { [WEB]: image('2') }));
    expect(imageOf(await settle())).toBe(digestOf('2'));
    add(by(BOB, { [WEB]: image('3') }));
    const waits = await look();
    expect([standing(waits), imageOf(waits), waits.owed]).toEqual(['held', digestOf('2'), []]);
    expect(jobOf(waits, 'shop/web').standing).toMatchObject({
      why: expect.stringMatching(/who approved commit .*Not known, because the App lacks «Memb/),
    });
    isRead = true;
    expect(imageOf(await settle())).toBe(digestOf('3'));
  });

  test('what was judged stays so when nobody can be asked any more', async () => {
    const { people, say } = forge();
    const first = world(people);
    first.add(FIRST);
    await first.settle();
    first.add(by(BOB, { [WEB]: image('2') }));
    say(first.line().at(-1)?.commit.oid ?? '', 'ada');
    await first.settle();
    const away = createScreen(first.source, { people: unasked, epochMs: () => 0 });
    expect((await away.read()).held).toBeUndefined();
  });
});
