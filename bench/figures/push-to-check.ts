// A push changes 20 of 10,000 job files in a pull request; how long after GitHub's delivery has
// GitHub accepted the finished check of that head? The product runs in a process of its own
// (bench/timed-checks.ts) and fetches the head from the local GitHub of the tests, which runs here
// and checks each request against GitHub's description: its answers are part of the time. The nodes
// are modelled. Beside it: the same requests with nothing between them (bare.ts). Not here: the
// network to GitHub.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ReconcilerConfig } from '../../reconciler/config.ts';
import { checkName } from '../../schema/forge.ts';
import { type GitHub, startGitHub } from '../../test/support/github/github.ts';
import { type BareWay, bareWay } from '../support/bare.ts';
import { catchPulls, post } from '../support/deliveries.ts';
import { type Ends, withEnds } from '../support/ends.ts';
import {
  type Figure,
  type FigureOptions,
  median,
  ms,
  quantile,
  spread,
} from '../support/figure.ts';
import type { History } from '../support/history.ts';
import { endProgram, forkProgram } from '../support/program.ts';
import { settleAll } from '../support/settled.ts';
import type { CheckTimed } from '../timed-checks.ts';
import { nodeNames } from './commit-to-plan.ts';
import { CHANGED, changesIn, JOBS, zonedHistory } from './pull-request-plan.ts';

const CLUSTER = 'bench';
const BRANCH = 'refs/heads/topic';
const ROUNDS = 30;
const GOAL_MS = 1000;
/** The first rounds, which are not counted: a thread that has read nothing, code to be compiled. */
const COLD = 5;
/** By then a reconciler has kept what it has read, and has walked its branch. */
const QUIET_MS = 10_000;
/**
 * Between rounds. A round writes a check and the comment, and plans may write 60 times a minute and
 * 350 times an hour: a bench that pushes faster, or more than 130 times, measures the wait for its
 * turn.
 */
const APART_MS = 2500;
const MINUTE_MS = 60_000;
/** With so many before them the warm rounds stay below 60 a minute. */
const WRITES_MAX = 20;
/** 10,000 jobs are placed in some ten seconds, and the first plan reads all of them. */
const LIMIT_MS = 120_000;
/** How late an accepted check is seen at most: a thousandth of the goal. */
const LOOK_MS = 1;

export const pushToCheck: Figure = {
  name: 'push-to-check',
  what: 'delivery of a push → finished check on GitHub, 10,000 jobs, 20 changed',
  run: (options) =>
    withEnds(async (ends) => [await measure(await prepare(ends, options), options)]),
};

interface Prepared {
  readonly hub: GitHub;
  readonly history: History;
  readonly base: string;
  readonly receiver: string;
  readonly bare: BareWay;
  readonly take: Awaited<ReturnType<typeof catchPulls>>['take'];
}

const prepare = async (ends: Ends, options: FigureOptions): Promise<Prepared> => {
  const root = ends.folder();
  const history = zonedHistory(root);
  const base = await settleAll(history.folder, options);
  const hub = await startGitHub({ pullsByPush: true });
  ends.add(() => hub.close());
  // GitHub's copy: branches, and what the ledger says of each job.
  execFileSync('git', ['-C', hub.folder, 'fetch', '--quiet', history.folder, '+refs/*:refs/*']);
  const catcher = await catchPulls();
  ends.add(catcher.close);
  hub.hook(catcher.url);
  const child = forkProgram({
    entry: 'bench/timed-checks.ts',
    folder: path.join(root, 'program'),
    args: [JSON.stringify(configOf(hub, root)), ...nodeNames],
  });
  ends.add(() => endProgram(child));
  const receiver = await new Promise<string>((done, fail) => {
    const timer = setTimeout(() => fail(new Error('the loop did not come to rest')), LIMIT_MS);
    const settle = (act: () => void): void => {
      clearTimeout(timer);
      act();
    };
    child.once('exit', () => settle(() => fail(new Error('the process under test ended'))));
    child.on('message', (message: CheckTimed) => {
      if (message.kind === 'rest') settle(() => done(message.webhook));
      else options.say(message.text);
    });
  });
  await sleep(QUIET_MS);
  const bare = await bareWay(hub, path.join(root, 'bare.git'));
  return { hub, history, base, receiver, bare, take: catcher.take };
};

/** What is told at first of the branch's last commits takes all writes of a minute. */
const whenWritable = async (hub: GitHub): Promise<void> => {
  const recent = (): number =>
    hub.writes().filter(({ atMs }) => atMs > Date.now() - MINUTE_MS).length;
  while (recent() > WRITES_MAX) await sleep(APART_MS);
};

const configOf = (hub: GitHub, root: string): ReconcilerConfig => {
  const [privateKeyFile, secretFile] = [path.join(root, 'key.pem'), path.join(root, 'secret')];
  fs.writeFileSync(privateKeyFile, hub.app.privateKey);
  fs.writeFileSync(secretFile, hub.app.webhookSecret);
  const { id: appId, installationId: installation } = hub.app;
  return {
    cluster: CLUSTER,
    repository: { url: hub.cloneUrl, branch: 'main', directory: '', tokenFile: null },
    cacheDir: path.join(root, 'cache'),
    linkAddress: '',
    listen: null,
    controlSocket: '',
    registryCredentials: null,
    insecureRegistries: [],
    program: null,
    signingKey: null,
    trusted: null,
    forge: {
      kind: 'github',
      apiUrl: hub.api,
      owner: hub.owner,
      repo: hub.name,
      credentials: { kind: 'app', appId, installation, privateKeyFile },
      webhook: { address: '127.0.0.1:0', path: '/webhook', secretFile },
      comments: true,
    },
  };
};

const measure = async (prepared: Prepared, { count, say, ready }: FigureOptions) => {
  const rounds: Round[] = [];
  const wanted = COLD + (count ?? ROUNDS);
  for (let at = 0; rounds.length < wanted; at += 1) {
    const round = await oneRound(prepared, at);
    if (round === null) {
      say(`round ${at + 1} is repeated: GitHub was looked at before it had told of the push`);
    } else {
      rounds.push(round);
      if (rounds.length <= COLD) say(`cold round, not counted: ${ms(round.tookMs)}`);
    }
    await sleep(APART_MS);
    if (rounds.length === COLD) {
      await whenWritable(prepared.hub);
      await ready();
    }
  }
  const warm = rounds.slice(COLD);
  const took = warm.map(({ tookMs }) => tookMs);
  const sorted = warm.toSorted((a, b) => a.tookMs - b.tookMs);
  for (const round of [sorted[Math.floor(sorted.length / 2)], sorted.at(-1)]) {
    say(`the middle and the slowest round, as GitHub was asked: ${ms(round?.tookMs ?? 0)}`);
    for (const line of round?.asked ?? []) say(`  ${line}`);
  }
  const p99 = quantile(took, 0.99);
  const bareMs = warm.map((round) => round.bareMs);
  const fetchMs = ms(median(warm.map((round) => round.fetchMs)));
  const ratio = (median(took) / median(bareMs)).toFixed(1);
  return {
    what: `push received → plan check completed, ${JOBS} jobs, ${CHANGED} changed`,
    ours: spread(took),
    floor: `git fetch ${fetchMs}, with three requests ${spread(bareMs)}`,
    result: `p99 ${ms(p99)}, ${ratio} of the floor`,
    goal: `p99 ≤ ${GOAL_MS / 1000} s`,
    met: p99 <= GOAL_MS,
  };
};

interface Round {
  readonly tookMs: number;
  /** The floor: a `git fetch` of the head and the requests around it. */
  readonly bareMs: number;
  readonly fetchMs: number;
  /** Requests that GitHub got meanwhile, and when. */
  readonly asked: readonly string[];
}

/** null: the product happened to look between the push and its delivery. */
const oneRound = async (prepared: Prepared, at: number): Promise<Round | null> => {
  const { hub, history, base, receiver, bare, take } = prepared;
  const asked = hub.requests();
  const before = asked.length;
  // As one who amends a commit: the pull request changes twenty jobs, others each time.
  const head = history.pull(base, changesIn(at));
  await hub.push(history.folder, 'ada', `+${head}:${BRANCH}`);
  await hub.settled();
  const delivery = take();
  if (asked.slice(before).some((request) => /\/pulls(\?|$)/.test(request))) return null;
  const start = performance.now();
  const from = asked.length;
  // It is answered before anything is looked at.
  await post(receiver, delivery);
  const seen = await whenCompleted(hub, head, { start, from });
  const { tookMs: bareMs, fetchMs } = await bare(head);
  return { ...seen, bareMs, fetchMs };
};

/**
 * From `start` until the plan's check of this head stands on GitHub as completed; the requests
 * after the first `from` are told.
 */
const whenCompleted = async (
  hub: GitHub,
  head: string,
  { start, from }: { readonly start: number; readonly from: number },
): Promise<Pick<Round, 'tookMs' | 'asked'>> => {
  const asked: string[] = [];
  let next = from;
  while (performance.now() - start < LIMIT_MS) {
    const sinceMs = performance.now() - start;
    const requests = hub.requests();
    for (; next < requests.length; next += 1) asked.push(`+${ms(sinceMs)} ${requests[next]}`);
    const check = hub
      .checks(head)
      .find(({ name, status }) => name === checkName('plan', CLUSTER) && status === 'completed');
    if (check !== undefined) {
      const { conclusion, output } = check;
      if (conclusion === 'success') return { tookMs: sinceMs, asked };
      throw new Error(`the check is ${conclusion}: ${output.title}\n${output.summary}`);
    }
    await sleep(LOOK_MS);
  }
  throw new Error(`no finished check of ${head} within ${LIMIT_MS / 1000} s`);
};
