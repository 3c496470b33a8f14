// What every SourcePort must do, whatever is behind it: one suite for the real Git edge and the
// simulator's. In: a name and a way to make a world. Out: tests. Not here: what only a real
// repository can have (source.test.ts).

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { EdgeFailure, SourcePort } from '../../reconciler/ports.ts';
import type { FileEdit } from '../../schema/desired.ts';
import type { LedgerRecord } from '../../schema/ledger.ts';
import type { SourceTree } from '../../schema/source.ts';

/**
 * A repository with one commit on its branch, which holds `cluster.yaml`, and a source that looks
 * at it.
 */
export interface SourceWorld {
  readonly source: SourcePort;
  /** A person commits on the branch (and pushes); null removes a file. Returns the commit. */
  readonly commit: (files: PersonFiles, message: string) => Promise<string>;
  /** A person resets the branch to a commit, commits on top of that, and pushes by force. */
  readonly rewrite: (to: string, files: PersonFiles) => Promise<string>;
  /** A second reconciler of the same cluster, with nothing but the repository. */
  readonly another: () => Promise<SourcePort>;
  /** A local repository: rewrites are followed (rules 12.1). */
  readonly local: boolean;
  readonly close: () => Promise<void>;
}

export type PersonFiles = Readonly<Record<string, string | null>>;

export const AUTHOR = { name: 'Purser', email: 'purser@localhost' } as const;

export const sourceSuite = (name: string, make: () => Promise<SourceWorld>): void => {
  describe(`source: ${name}`, () => {
    let world: SourceWorld;
    beforeEach(async () => {
      world = await make();
    });
    afterEach(() => world.close());
    const get = () => world;
    readingTests(get);
    historyTests(get);
    ledgerTests(get);
    commitTests(get);
    branchTests(get);
  });
};

type Get = () => SourceWorld;

const readingTests = (get: Get): void => {
  test('HEAD and the files that matter, in order of their paths', async () => {
    const { source, commit, local } = get();
    const head = await commit(
      { 'jobs/shop/web.yaml': 'image: a\n', 'README.md': 'hello', 'configs/a/b.txt': 'b' },
      'Add web\n\nWhy not.\n\nPurser-Job: shop/web\nSigned-off-by: Ada',
    );
    const tree = await source.read();
    expect([...tree.files.keys()]).toEqual([
      'cluster.yaml',
      'configs/a/b.txt',
      'jobs/shop/web.yaml',
    ]);
    expect(tree.head).toMatchObject({ oid: head, author: { email: 'ada@example.org' } });
    expect(tree.head.trailers).toEqual([
      ['Purser-Job', 'shop/web'],
      ['Signed-off-by', 'Ada'],
    ]);
    expect(tree.files.get('jobs/shop/web.yaml')).toMatchObject({
      kind: 'text',
      text: 'image: a\n',
    });
    expect(tree.local).toBe(local);
  });

  test('nothing changed: the same Map; one file changed: the same other files', async () => {
    const { source, commit } = get();
    await commit({ 'jobs/shop/web.yaml': 'a', 'jobs/shop/db.yaml': 'b', 'nodes/n.yaml': 'n' }, 'x');
    const before = await source.read();
    await commit({ 'README.md': 'of no interest' }, 'readme');
    const same = await source.read();
    expect(same.head.oid).not.toBe(before.head.oid);
    expect(same.files).toBe(before.files);
    await commit({ 'jobs/shop/web.yaml': 'changed' }, 'y');
    const after = await source.read();
    expect(after.files).not.toBe(before.files);
    expect(textOf(after, 'jobs/shop/web.yaml')).toBe('changed');
    for (const path of ['cluster.yaml', 'jobs/shop/db.yaml', 'nodes/n.yaml']) {
      expect(after.files.get(path)).toBe(before.files.get(path));
    }
  });

  test('how files differ from those before is said as it is', async () => {
    const { source, commit } = get();
    await commit({ 'jobs/shop/b.yaml': 'b', 'jobs/shop/d.yaml': 'd', 'configs/x': 'x' }, 'first');
    const changes = [
      { 'jobs/shop/b.yaml': 'changed' },
      { 'jobs/shop/c.yaml': 'added', 'configs/a/b/c': 'added' },
      { 'jobs/shop/d.yaml': null, 'jobs/shop/e.yaml': 'renamed' },
      { 'jobs/shop/b.yaml': null, 'configs/x': 'y' },
    ];
    for (const change of changes) {
      const before = (await source.read()).files;
      await commit(change, 'next');
      const { files, differences } = await source.read();
      const paths = [...files.keys()];
      expect(paths).toEqual(paths.toSorted());
      expect(files.size).toBe(paths.length);
      expect(paths.every((path) => files.has(path))).toBe(true);
      const said = differences?.find(({ from, to }) => from === before && to === files);
      expect([...(said?.paths ?? [])].toSorted()).toEqual(Object.keys(change).toSorted());
    }
  });

  test('a removed file is gone, and a tree without files is a tree', async () => {
    const { source, commit } = get();
    await commit({ 'jobs/a/b.yaml': 'x' }, 'add');
    expect((await source.read()).files.size).toBe(2);
    await commit({ 'jobs/a/b.yaml': null, 'cluster.yaml': null, 'README.md': 'left' }, 'remove');
    expect((await source.read()).files.size).toBe(0);
  });

  test('a commit wakes the watcher, once it has been told to stop none does', async () => {
    const { source, commit } = get();
    await source.read();
    const woken = createWaiter();
    const stop = source.watch(woken.wake);
    await new Promise((resolve) => setTimeout(resolve, WATCH_SETTLES_MS));
    await commit({ 'jobs/a/b.yaml': 'x' }, 'add');
    await woken.wait();
    expect((await source.read()).files.size).toBe(2);
    await stop();
  });
};

/** A watcher may look at what is there already before it says anything. */
const WATCH_SETTLES_MS = 300;

const historyTests = (get: Get): void => {
  test('what one commit changed, and what of it stands at HEAD (rules 6.3)', async () => {
    const { source, commit } = get();
    await commit({ 'jobs/a/web.yaml': '1', 'jobs/a/old.yaml': 'old', 'configs/x': 'x' }, 'one');
    const two = await commit({ 'jobs/a/web.yaml': '2', 'jobs/a/old.yaml': null }, 'two');
    await commit({ 'jobs/a/web.yaml': '3' }, 'three');
    const asks = { digests: [], histories: [], changes: [two, 'f'.repeat(40)] };
    const { changes } = await source.complete(await source.read(), asks);
    const texts = changes
      ?.get(two)
      ?.files?.map(({ path, before, after, head }) => [
        path,
        ...[before, after, head].map((file) => (file?.kind === 'text' ? file.text : null)),
      ]);
    expect(texts).toEqual([
      ['jobs/a/old.yaml', 'old', null, null],
      ['jobs/a/web.yaml', '1', '2', '3'],
    ]);
    expect(changes?.get('f'.repeat(40))?.files).toBeNull();
  });

  test('says which commits HEAD contains (rules 10.3)', async () => {
    const { source, commit } = get();
    const older = await commit({ 'jobs/a/web.yaml': '1' }, 'one');
    const head = await commit({ 'jobs/a/web.yaml': '2' }, 'two');
    const tree = await source.read();
    const commits = [older, head, 'f'.repeat(40)];
    const whole = await source.complete(tree, { digests: [], histories: [], commits });
    expect(whole.contained).toEqual([older, head]);
    const histories = [{ path: 'jobs/a/web.yaml', with: [] }];
    const later = await source.complete(whole, { digests: [], histories });
    expect(later.contained).toEqual([older, head]);
    expect(whole.files).toBe(tree.files);
  });

  test('one entry for each commit that changes the asked paths, newest first', async () => {
    const { source, commit } = get();
    const first = await commit({ 'jobs/a/web.yaml': '1', 'configs/web.env': 'A=1' }, 'one');
    await commit({ 'jobs/a/other.yaml': '1' }, 'other');
    const second = await commit({ 'configs/web.env': 'A=2' }, 'two');
    await commit({ 'nodes/n.yaml': 'n' }, 'node');
    const third = await commit({ 'jobs/a/web.yaml': '3' }, 'three');
    const ask = { path: 'jobs/a/web.yaml', with: ['configs/web.env'] };
    const tree = await complete(source, ask);
    const history = tree.histories.get('jobs/a/web.yaml');
    expect(history?.entries.map((entry) => entry.commit.oid)).toEqual([third, second, first]);
    expect(history?.complete).toBe(true);
    const texts = history?.entries.map((entry) =>
      [...entry.files].map(([path, file]) => [path, file.kind === 'text' ? file.text : null]),
    );
    expect(texts).toEqual([
      [
        ['configs/web.env', 'A=2'],
        ['jobs/a/web.yaml', '3'],
      ],
      [
        ['configs/web.env', 'A=2'],
        ['jobs/a/web.yaml', '1'],
      ],
      [
        ['configs/web.env', 'A=1'],
        ['jobs/a/web.yaml', '1'],
      ],
    ]);
  });

  test('asked again with more paths beside it, a history has those too', async () => {
    const { source, commit } = get();
    await commit({ 'jobs/a/web.yaml': '1', 'configs/web.env': 'A=1' }, 'one');
    const path = 'jobs/a/web.yaml';
    const alone = await complete(source, { path, with: [] });
    const ask = { digests: [], histories: [{ path, with: ['configs/web.env'] }] };
    const { histories } = await source.complete(alone, ask);
    expect([...(histories.get(path)?.entries[0]?.files.keys() ?? [])]).toEqual([
      'configs/web.env',
      'jobs/a/web.yaml',
    ]);
  });

  test('a removal is an entry without the file; later commits extend what was read', async () => {
    const { source, commit } = get();
    const added = await commit({ 'jobs/a/web.yaml': '1' }, 'one');
    const ask = { path: 'jobs/a/web.yaml', with: [] };
    expect((await complete(source, ask)).histories.get(ask.path)?.entries).toHaveLength(1);
    const removed = await commit({ 'jobs/a/web.yaml': null }, 'gone');
    const again = await commit({ 'jobs/a/web.yaml': '1' }, 'back');
    const history = (await complete(source, ask)).histories.get(ask.path);
    expect(history?.entries.map((entry) => entry.commit.oid)).toEqual([again, removed, added]);
    expect(history?.entries[1]?.files.size).toBe(0);
  });

  test('a long history is cut at 50 entries and says so', async () => {
    const { source, commit } = get();
    for (let at = 0; at < 52; at += 1) await commit({ 'jobs/a/web.yaml': `${at}` }, `c${at}`);
    const history = (await complete(source, { path: 'jobs/a/web.yaml', with: [] })).histories.get(
      'jobs/a/web.yaml',
    );
    expect(history?.entries).toHaveLength(50);
    expect(history?.complete).toBe(false);
  });
};

const ledgerTests = (get: Get): void => {
  test('what was recorded is read, also by somebody who was not there', async () => {
    const { source, another } = get();
    const synced = (await source.read()).head.oid;
    await source.record([settled('shop/web', 'h1'), { kind: 'synced', commit: synced }]);
    await source.record([settled('shop/web', 'h2'), settled('shop/db', 'h3')]);
    const ledger = (await source.read()).ledger;
    expect(
      ledger
        .filter((record) => record.kind === 'settled')
        .map(hashOf)
        .toSorted(),
    ).toEqual(['h1', 'h2', 'h3']);
    const other = await another();
    expect((await other.read()).ledger).toEqual(ledger);
  });

  test('records of one writer and of another are both kept, in the order of each job', async () => {
    const { source, another } = get();
    const other = await another();
    await Promise.all([source.read(), other.read()]);
    await source.record([settled('shop/web', 'h1')]);
    await other.record([settled('shop/web', 'h2')]);
    await source.record([settled('shop/web', 'h3')]);
    const hashes = (await (await another()).read()).ledger
      .filter((record) => record.kind === 'settled')
      .map(hashOf);
    expect(hashes).toEqual(['h1', 'h2', 'h3']);
  });

  test('the last synced commit comes with its files, unless it is HEAD', async () => {
    const { source, commit } = get();
    const first = await commit({ 'jobs/a/web.yaml': '1' }, 'one');
    await source.record([{ kind: 'synced', commit: first }]);
    expect((await source.read()).lastSynced).toBeNull();
    await commit({ 'jobs/a/web.yaml': null }, 'gone');
    const { lastSynced } = await source.read();
    expect(lastSynced?.commit).toBe(first);
    expect(lastSynced?.files.get('jobs/a/web.yaml')).toMatchObject({ text: '1' });
  });

  test('the commits since the synced one come newest first, with their trailers', async () => {
    const { source, commit } = get();
    const first = await commit({ 'jobs/a/web.yaml': '1' }, 'one');
    const second = await commit({ 'jobs/a/web.yaml': '2' }, 'two\n\nPurser-Job: a/web');
    const third = await commit({ 'jobs/a/web.yaml': '3' }, 'three');
    expect((await source.read()).unsynced?.length).toBeGreaterThan(2);
    await source.record([{ kind: 'synced', commit: first }]);
    expect((await source.read()).unsynced).toMatchObject([
      { oid: third },
      { oid: second, trailers: [['Purser-Job', 'a/web']] },
    ]);
    await source.record([{ kind: 'synced', commit: third }]);
    expect((await source.read()).unsynced).toEqual([]);
  });

  test('says which paths commits touched since the synced one, also where nothing is left of it', async () => {
    const { source, commit, rewrite, another, local } = get();
    expect((await source.read()).touched).toBe('unknown');
    const first = await commit({ 'jobs/a/web.yaml': '1', 'jobs/a/db.yaml': '1' }, 'one');
    await source.record([{ kind: 'synced', commit: first }]);
    expect((await source.read()).touched).toEqual({ paths: [], settings: [] });
    const second = await commit({ 'jobs/a/web.yaml': '2' }, 'two');
    await commit({ 'jobs/a/web.yaml': '1', 'configs/x': 'x' }, 'three');
    expect(touchedIn(await source.read())).toEqual(['configs/x', 'jobs/a/web.yaml']);
    const fourth = await commit({ 'jobs/a/db.yaml': '2' }, 'four');
    const all = ['configs/x', 'jobs/a/db.yaml', 'jobs/a/web.yaml'];
    expect(touchedIn(await source.read())).toEqual(all);
    expect(touchedIn(await (await another()).read())).toEqual(all);
    if (local) {
      // Some of it is thrown away, and the synced commit is below that.
      await rewrite(second, { 'configs/y': 'y' });
      expect(touchedIn(await source.read())).toEqual(['configs/y', 'jobs/a/web.yaml']);
      return;
    }
    await source.record([{ kind: 'synced', commit: fourth }]);
    expect((await source.read()).touched).toEqual({ paths: [], settings: [] });
  });

  test('says what cluster.yaml was since then, where a commit touched it', async () => {
    const { source, commit } = get();
    const before = textOf(await source.read(), 'cluster.yaml') ?? '';
    const first = await commit({ 'jobs/a/web.yaml': '1' }, 'one');
    await source.record([{ kind: 'synced', commit: first }]);
    await commit({ 'cluster.yaml': `${before}# more\n` }, 'two');
    await commit({ 'jobs/a/web.yaml': '2' }, 'three');
    await commit({ 'cluster.yaml': before }, 'four');
    const { touched } = await source.read();
    const settings = touched === undefined || touched === 'unknown' ? [] : touched.settings;
    const texts = settings.map((files) => {
      const file = files.get('cluster.yaml');
      return file?.kind === 'text' ? file.text : null;
    });
    // Where the lines meet comes first.
    expect(texts[0]).toBe(before);
    expect(new Set(texts)).toEqual(new Set([before, `${before}# more\n`]));
  });

  test('many records at once are one batch, and none is lost', async () => {
    const { source } = get();
    await source.read();
    const names = Array.from({ length: 40 }, (_, at) => `shop/job-${at}`);
    await Promise.all(names.map((job) => source.record([settled(job, `h-${job}`)])));
    const kept = (await source.read()).ledger.filter((record) => record.kind === 'settled');
    expect(kept).toHaveLength(40);
  });
};

const touchedIn = ({ touched }: SourceTree): readonly string[] | null =>
  touched === undefined || touched === 'unknown' ? null : touched.paths.toSorted();

const commitTests = (get: Get): void => {
  test('a machine commit becomes HEAD, with its author, message and edits', async () => {
    const { source, commit } = get();
    const head = await commit({ 'jobs/a/web.yaml': 'image: v2\n', 'jobs/a/old.yaml': 'x' }, 'one');
    const before = await source.read();
    const edits = [
      edit(before, 'jobs/a/web.yaml', 'image: v1\n'),
      edit(before, 'jobs/a/old.yaml', null),
      edit(before, 'scale/a/web.yaml', 'count: 2\n'),
    ];
    const message = 'Revert web\n\nIt crashed.\n\nPurser-Reverts: x';
    const made = await source.commit({ head, edits, message, author: AUTHOR });
    const after = await source.read();
    expect(after.head).toMatchObject({ oid: made, parent: head, author: AUTHOR });
    expect(after.head.trailers).toEqual([['Purser-Reverts', 'x']]);
    expect([...after.files.keys()]).toEqual([
      'cluster.yaml',
      'jobs/a/web.yaml',
      'scale/a/web.yaml',
    ]);
    expect(textOf(after, 'jobs/a/web.yaml')).toBe('image: v1\n');
    expect(after.files.get('cluster.yaml')).toBe(before.files.get('cluster.yaml'));
  });

  test('somebody pushed something else first: rebuilt on top', async () => {
    const { source, commit } = get();
    const head = await commit({ 'jobs/a/web.yaml': '2' }, 'one');
    const tree = await source.read();
    const theirs = await commit({ 'jobs/a/other.yaml': 'x' }, 'faster');
    const edits = [edit(tree, 'jobs/a/web.yaml', '1')];
    await source.commit({ head, edits, message: 'Revert', author: AUTHOR });
    const after = await source.read();
    expect(after.head.parent).toBe(theirs);
    expect(textOf(after, 'jobs/a/web.yaml')).toBe('1');
    expect(textOf(after, 'jobs/a/other.yaml')).toBe('x');
  });

  test('somebody changed the same file first: stale, and nothing is written', async () => {
    const { source, commit } = get();
    const head = await commit({ 'jobs/a/web.yaml': '2' }, 'one');
    const tree = await source.read();
    const theirs = await commit({ 'jobs/a/web.yaml': '3' }, 'faster');
    const edits = [edit(tree, 'jobs/a/web.yaml', '1')];
    const failure = await failureOf(source.commit({ head, edits, message: 'R', author: AUTHOR }));
    expect(failure.consequence).toBe('stale');
    expect((await source.read()).head.oid).toBe(theirs);
  });

  test('a commit outside the cluster is impossible', async () => {
    const { source } = get();
    const { head } = await source.read();
    for (const path of ['../x', '/x', 'a//b', '.git/config', 'jobs/../../x']) {
      const edits = [{ path, content: 'x', base: null }];
      const ask = { head: head.oid, edits, message: 'x', author: AUTHOR };
      expect((await failureOf(source.commit(ask))).consequence).toBe('broken');
    }
  });
};

const branchTests = (get: Get): void => {
  test('a rewritten branch: followed locally, a remote waits for a record', async () => {
    const { source, commit, rewrite, local, another } = get();
    const kept = await commit({ 'jobs/a/web.yaml': '1' }, 'one');
    const dropped = await commit({ 'jobs/a/web.yaml': '2', 'configs/old': 'x' }, 'two');
    await source.read();
    await source.record([{ kind: 'synced', commit: dropped }]);
    await source.read();
    const late = await another();
    await late.read();
    const head = await rewrite(kept, { 'jobs/a/web.yaml': '3' });
    if (local) {
      expect((await source.read()).head.oid).toBe(head);
      // On both lines, down to where they meet.
      expect(touchedIn(await source.read())).toEqual(['configs/old', 'jobs/a/web.yaml']);
      return;
    }
    const failure = await failureOf(source.read());
    expect(failure.consequence).toBe('broken');
    expect(failure.message).toContain(`purser resume --at ${head}`);
    const other = await another();
    expect((await failureOf(other.read())).consequence).toBe('broken');
    await source.record([
      { kind: 'resume', commit: head, by: 'ada@example.org', at: '2026-11-01' },
    ]);
    expect((await source.read()).head.oid).toBe(head);
    expect(touchedIn(await source.read())).toEqual(['configs/old', 'jobs/a/web.yaml']);
    const next = await commit({ 'jobs/a/web.yaml': '4' }, 'on top');
    expect((await source.read()).head.oid).toBe(next);
    expect((await other.read()).head.oid).toBe(next);
    // The record was for that rewrite: the next one needs a new one.
    await source.record([{ kind: 'synced', commit: next }]);
    await source.read();
    // Who looks no sooner sees that another has followed it since.
    expect((await late.read()).head.oid).toBe(next);
    await rewrite(head, { 'jobs/a/web.yaml': '5' });
    for (const each of [source, late]) {
      expect((await failureOf(each.read())).message).toContain('purser resume --at');
    }
  });
};

const settled = (job: string, specHash: string): LedgerRecord => ({
  kind: 'settled',
  job,
  specHash,
  deployment: `d-${specHash}`,
  commit: 'a'.repeat(40),
  digests: [],
});

const hashOf = (record: LedgerRecord): string => (record.kind === 'settled' ? record.specHash : '');

const textOf = (tree: SourceTree, path: string): string | null => {
  const file = tree.files.get(path);
  return file?.kind === 'text' ? file.text : null;
};

/** An edit computed from that tree. */
export const edit = (tree: SourceTree, path: string, content: string | null): FileEdit => ({
  path,
  content,
  base: tree.files.get(path)?.blob ?? null,
});

const complete = async (
  source: SourcePort,
  ask: { readonly path: string; readonly with: readonly string[] },
): Promise<SourceTree> => source.complete(await source.read(), { digests: [], histories: [ask] });

/** The edge failure that a promise ends with; fails the test when there is none. */
export const failureOf = async (promise: Promise<unknown>): Promise<EdgeFailure> => {
  const end = await promise.then(
    () => null,
    (error: unknown) => error,
  );
  expect(end).toMatchObject({ kind: 'edge-failure' });
  return end as EdgeFailure;
};

export const createWaiter = () => {
  let wake = () => {};
  const woken = new Promise<void>((resolve) => {
    wake = resolve;
  });
  return { wake: () => wake(), wait: () => woken };
};
