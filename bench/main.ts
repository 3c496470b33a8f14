// `npm run bench [name…]`: measures, and prints each figure beside its goal, with the commit.
// In: names, `--count N`, `--seed N`, `--when FILE`. Out: a Markdown table; exit code 1 when a goal
// is missed.
// Not here: what is measured (figures/).

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cpus } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { commitToContainer } from './figures/commit-to-container.ts';
import { commitToPlan } from './figures/commit-to-plan.ts';
import { containersPerSecond } from './figures/containers-per-second.ts';
import { leaderLost } from './figures/leader-lost.ts';
import { manyRunners } from './figures/many-runners.ts';
import { nodeLost } from './figures/node-lost.ts';
import { publishedPort } from './figures/published-port.ts';
import { pull } from './figures/pull.ts';
import { pullRequestPlan } from './figures/pull-request-plan.ts';
import { pushToCheck } from './figures/push-to-check.ts';
import { reconcilerRestart } from './figures/reconciler-restart.ts';
import { renderPlan } from './figures/render-plan.ts';
import { requestsFailed } from './figures/requests-failed.ts';
import { reportIngest } from './figures/report-ingest.ts';
import { rollingUpdate } from './figures/rolling-update.ts';
import { runnerAtRest } from './figures/runner-at-rest.ts';
import { serviceRequests } from './figures/service-requests.ts';
import { serviceChange } from './figures/service-change.ts';
import { webhookToPlan } from './figures/webhook-to-plan.ts';
import { type Figure, type Row, tableOf } from './support/figure.ts';

const FIGURES: readonly Figure[] = [
  commitToContainer,
  commitToPlan,
  pullRequestPlan,
  containersPerSecond,
  rollingUpdate,
  publishedPort,
  reconcilerRestart,
  runnerAtRest,
  pull,
  requestsFailed,
  serviceRequests,
  renderPlan,
  webhookToPlan,
  pushToCheck,
  manyRunners,
  reportIngest,
  nodeLost,
  serviceChange,
  leaderLost,
];

/** How often it is looked whether the file of `--when` is there. */
const LOOK_MS = 200;

const main = async (): Promise<void> => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      count: { type: 'string' },
      seed: { type: 'string' },
      when: { type: 'string' },
      list: { type: 'boolean' },
    },
  });
  const unknown = positionals.filter((name) => FIGURES.every((figure) => figure.name !== name));
  if (values.list === true || unknown.length > 0) {
    for (const name of unknown) console.error(`no figure is named ${name}; there are:`);
    for (const { name, what } of FIGURES) console.log(`${name.padEnd(20)} ${what}`);
    process.exitCode = unknown.length > 0 ? 2 : 0;
    return;
  }
  const root = path.resolve(import.meta.dirname, '..');
  execFileSync(process.execPath, ['esbuild.mjs'], { cwd: root, stdio: 'inherit' });
  const wanted = FIGURES.filter(
    ({ name }) => positionals.length === 0 || positionals.includes(name),
  );
  const ready = async (): Promise<void> => {
    if (values.when === undefined) return;
    console.error(`  prepared: waits for ${values.when}`);
    while (!existsSync(values.when)) await sleep(LOOK_MS);
  };
  const rows: Row[] = [];
  for (const figure of wanted) {
    console.error(`${figure.name}: ${figure.what}`);
    const say = (line: string): void => console.error(`  ${line}`);
    const count = values.count === undefined ? null : Number(values.count);
    rows.push(...(await figure.run({ count, seed: Number(values.seed ?? 1), say, ready })));
  }
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim();
  const changed =
    git('status', '--porcelain', '--untracked-files=no') === '' ? '' : ' with changes';
  const commit = `${git('rev-parse', '--short=12', 'HEAD')}${changed}`;
  console.log(`\nCommit ${commit}, Node ${process.version}, ${cpus().length} cores.\n`);
  console.log(tableOf(rows));
  process.exitCode = rows.every(({ met }) => met) ? 0 : 1;
};

await main();
