// How long compile takes: 10,000 job files, nothing remembered, then one of them changed.
// In: nothing (the files are made from their number). Out: a table on standard output.
// Run: npx tsx bench/compile.ts

import { asks, compile } from '../reconciler/desired/compile.ts';
import { createMemo } from '../reconciler/desired/memo.ts';
import { sha256 } from '../schema/hash.ts';
import type { LedgerRecord } from '../schema/ledger.ts';
import type { SourceFile, SourceTree } from '../schema/source.ts';

const JOBS = 10_000;
const ROUNDS = 20;

const fileOf = (text: string): SourceFile => ({ kind: 'text', blob: sha256(text), text });
const digest = `sha256:${sha256('image')}`;
const jobText = (index: number, count: number): string =>
  `# job ${index}
count: ${count}
image: r.example/web:${index}@${digest}
ports: {http: 8080}
environment: {LEVEL: info, NUMBER: "${index}"}
resources: {cpu: 250m, memory: 128MiB}
healthcheck: {http: /healthz, port: http}
`;
const pathOf = (index: number): string =>
  `jobs/team-${index % 50}/job-${String(index).padStart(5, '0')}.yaml`;

/** As an edge reads them that remembers by blob: files that did not change are the same objects. */
const filesOf = (changed: number): Map<string, SourceFile> => {
  if (changed >= 0) {
    return new Map(UNCHANGED).set(pathOf(changed), fileOf(jobText(changed, 4)));
  }
  const files = new Map([
    ['cluster.yaml', fileOf('name: bench\npolicies: {registries: [r.example]}\n')],
  ]);
  for (let index = 0; index < JOBS; index += 1) {
    files.set(pathOf(index), fileOf(jobText(index, 3)));
  }
  return files;
};

const UNCHANGED = filesOf(-1);

const treeOf = (changed: number, ledger: readonly LedgerRecord[]): SourceTree => ({
  branch: 'main',
  directory: '',
  head: {
    oid: sha256(`head ${changed}`).slice(0, 40),
    parent: null,
    author: { name: 'Ada', email: 'ada@example.org' },
    authoredAt: 0,
    message: 'bench',
    trailers: [],
  },
  local: true,
  files: filesOf(changed),
  ledger,
  histories: new Map(),
  lastSynced: null,
  lookups: new Map(),
});

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

const timed = (work: () => void): number => {
  const start = performance.now();
  work();
  return performance.now() - start;
};

const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

const first = compile(treeOf(-1, []));
const settled = first.jobs.map((job): LedgerRecord => ({
  kind: 'settled',
  job: job.id,
  specHash: job.spec.specHash,
  deployment: job.deployment,
  commit: job.commit.oid,
  digests: [],
}));
const memo = createMemo();
const whole = treeOf(-1, settled);
print(`${JOBS} jobs, nothing remembered: ${timed(() => compile(whole, memo)).toFixed(0)} ms`);
const times: number[] = [];
for (let round = 0; round < ROUNDS; round += 1) {
  const tree = treeOf(round, settled);
  times.push(
    timed(() => {
      asks(tree, memo);
      compile(tree, memo);
    }),
  );
}
print(`two of them changed: median ${median(times).toFixed(1)} ms, ${ROUNDS} rounds`);
const other: number[] = [];
for (let round = 0; round < ROUNDS; round += 1) {
  const tree = treeOf(round, [...settled]);
  other.push(timed(() => compile(tree, memo)));
}
print(`and a new ledger: median ${median(other).toFixed(1)} ms`);
