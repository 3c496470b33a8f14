// Compile with a memo says what compile without one says, whatever trees follow one another; so
// does one that starts with documents that were kept as JSON.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { asks, compile } from '../../reconciler/desired/compile.ts';
import { createMemo } from '../../reconciler/desired/memo.ts';
import { documentsToKeep, recall } from '../../reconciler/desired/read.ts';
import type { KeptDocument } from '../../schema/kept.ts';
import type { LedgerRecord } from '../../schema/ledger.ts';
import type { Files, History, SourceTree } from '../../schema/source.ts';
import { story, treeOf, type Change } from '../support/tree.ts';

const CLUSTER = 'name: test\npolicies: { registries: [registry.example] }\n';
const DIGEST = `sha256:${'1'.repeat(64)}`;
const TEXTS: readonly (string | null)[] = [
  null,
  'image: [\n',
  `image: registry.example/a:1@${DIGEST}\n`,
  `image: registry.example/a:2@${DIGEST}\ncount: 3\n`,
  'image: registry.example/a:3\n',
  `image: registry.example/a:4@${DIGEST}\nfiles: { /etc/a: configs/shared.txt }\n`,
];
const PATHS = ['jobs/shop/a.yaml', 'jobs/shop/a-b.yaml', 'jobs/shop/c.yaml', 'jobs/tools/d.yaml'];
const edit = fc.oneof(
  fc.record({ path: fc.constantFrom(...PATHS), text: fc.constantFrom(...TEXTS) }),
  fc.record({
    path: fc.constant('configs/shared.txt'),
    text: fc.constantFrom('one\n', 'two\n', null),
  }),
  fc.record({
    path: fc.constant('cluster.yaml'),
    text: fc.constantFrom(CLUSTER, `${CLUSTER}max_deployments: 2\n`, 'name: [\n'),
  }),
  fc.record({
    path: fc.constantFrom('namespaces/shop.yaml', 'nodes/n1.yaml', 'scale/shop/a.yaml'),
    text: fc.constantFrom('{}\n', null, '[\n'),
  }),
);

const commits = fc.array(
  fc.record({
    edits: fc.array(edit, { minLength: 1, maxLength: 2 }),
    /** What the registry and the machine do after it. */
    settles: fc.boolean(),
    syncs: fc.boolean(),
    /** Asked again without anything new. */
    again: fc.boolean(),
    /** The reader says how the files differ from those before and from the synced ones. */
    compares: fc.boolean(),
  }),
  { minLength: 2, maxLength: 10 },
);

const changeOf = (edits: readonly { readonly path: string; readonly text: string | null }[]) =>
  Object.fromEntries(edits.map(({ path, text }) => [path, text])) as Change;

const FIRST: Change = {
  'cluster.yaml': CLUSTER,
  'nodes/n1.yaml': '{}\n',
  'configs/shared.txt': 'one\n',
  ...Object.fromEntries(PATHS.map((path) => [path, TEXTS[2] ?? ''])),
};

it('a memo changes nothing but the time that compile takes', () => {
  fc.assert(
    fc.property(commits, (changes) => {
      const memo = createMemo();
      let kept: readonly KeptDocument[] = [];
      const all = story(FIRST, ...changes.map(({ edits }) => changeOf(edits)));
      let ledger: readonly LedgerRecord[] = [];
      let synced: number | undefined;
      let before: Files | null = null;
      for (const [at] of all.entries()) {
        const commitsSoFar = all.slice(0, at + 1);
        const init = synced === undefined ? { ledger } : { ledger, lastSynced: synced };
        let tree: SourceTree = treeOf(commitsSoFar, init);
        if (changes[at - 1]?.compares === true) tree = compared(tree, before);
        before = tree.files;
        for (let round = 0; round < 3; round += 1) {
          expect(asks(tree, memo)).toEqual(asks(tree));
          expect(compile(tree, memo)).toEqual(compile(tree));
          tree = { ...tree, histories: historiesOf(commitsSoFar, tree) };
        }
        // A program that starts at the last commit, with what one before it has read.
        if (at === all.length - 1) {
          const restarted = createMemo();
          recall(restarted.reads, kept);
          expect(compile(tree, restarted)).toEqual(compile(tree));
        }
        kept = [...kept, ...throughJson([...documentsToKeep(memo.reads, tree.files)])];
        const change = changes[at - 1];
        if (change?.again === true) expect(compile({ ...tree }, memo)).toEqual(compile(tree));
        if (change?.syncs === true) synced = at;
        if (change?.settles === true) ledger = [...ledger, ...settledAt(tree)];
      }
    }),
    { seed: 21, numRuns: 100 },
  );
});

const throughJson = (kept: readonly KeptDocument[]): readonly KeptDocument[] =>
  JSON.parse(JSON.stringify(kept)) as readonly KeptDocument[];

const compared = (tree: SourceTree, before: Files | null): SourceTree => ({
  ...tree,
  differences: [before, tree.lastSynced?.files ?? null].flatMap((from) => {
    if (from === null) return [];
    const all = new Set([...from.keys(), ...tree.files.keys()]);
    const paths = [...all].filter((path) => from.get(path)?.blob !== tree.files.get(path)?.blob);
    return [{ from, to: tree.files, paths: new Set(paths) }];
  }),
});

/** What Git would answer to all that is asked. */
const historiesOf = (
  commitsSoFar: ReturnType<typeof story>,
  tree: SourceTree,
): ReadonlyMap<string, History> => {
  const found = new Map(tree.histories);
  for (const { path, with: others } of asks(tree).histories) {
    const paths = [path, ...others];
    const entries = commitsSoFar.toReversed().map(({ commit, files }) => ({
      commit,
      files: new Map([...files].filter(([one]) => paths.includes(one))),
    }));
    found.set(path, { path, entries, complete: true });
  }
  return found;
};

const settledAt = (tree: SourceTree): readonly LedgerRecord[] =>
  compile(tree).jobs.flatMap((job): readonly LedgerRecord[] =>
    job.settled || job.standing.kind !== 'head'
      ? []
      : [
          {
            kind: 'settled',
            job: job.id,
            specHash: job.spec.specHash,
            deployment: job.deployment,
            commit: job.commit.oid,
            digests: [],
          },
        ],
  );
