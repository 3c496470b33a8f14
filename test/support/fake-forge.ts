// A forge in memory for tests of its loop: keeps what it is told, hands out what a test puts in.
// In: nothing. Out: a ForgePort, and what was written to it in order. It refuses what the real one
// refuses: a second check of the same kind and commit cannot exist. Not here: GitHub's protocol
// (test/support/github).

import { NOBODY, type Behind } from '../../schema/behind.ts';
import type {
  Account,
  CheckReport,
  DeploymentReport,
  ForgeRequest,
  MergeGroup,
  PullAsk,
  PullClose,
  PullRequest,
} from '../../schema/forge.ts';
import type { EdgeFailure, ForgePort } from '../../reconciler/ports.ts';

export interface FakeForge {
  readonly port: ForgePort;
  /** Every write in order, as `check plan/h1`, `comment #3`, `answer r1`. */
  readonly writes: string[];
  readonly checks: Map<string, CheckReport>;
  readonly comments: Map<number, { readonly body: string; readonly folded: boolean }>;
  readonly deployments: DeploymentReport[];
  readonly opened: PullAsk[];
  readonly closed: PullClose[];
  readonly answers: { readonly id: string; readonly words: string; readonly done: boolean }[];
  pulls: readonly PullRequest[];
  /** Of the repository itself. */
  branches: readonly string[];
  groups: readonly MergeGroup[];
  requests: readonly ForgeRequest[];
  authors: readonly Account[];
  /** By `#3`, a commit, or `@login`; of others nobody is known. */
  readonly behind: Map<string, Behind>;
  /** By address. */
  readonly accounts: Map<string, Account>;
  hasChecks: boolean;
  /** How often it was another repository. */
  renewals: number;
  /** A look has told of open pull requests, and waits for this with the rest. */
  rest: Promise<void>;
  /** Every call fails with it; null: none. */
  failure: EdgeFailure | null;
  /** Fails these writes, each as it stands in `writes`. */
  readonly refused: Map<string, EdgeFailure>;
  /** When there is room to tell plans, by how urgent they are. */
  readonly room: { push: number; plan: number };
  /** How urgent each written check was, as `plan/h1 push`. */
  readonly urgent: string[];
  readonly wake: () => void;
}

export const createFakeForge = (): FakeForge => {
  const wakes = new Set<() => void>();
  const guard = () => {
    if (fake.failure !== null) throw fake.failure;
  };
  const write = (what: string) => {
    guard();
    const refusal = fake.refused.get(what);
    if (refusal !== undefined) throw refusal;
    fake.writes.push(what);
  };
  const port: ForgePort = {
    look: async (ahead) => {
      guard();
      const { pulls, groups } = fake;
      ahead?.(pulls.filter(({ state }) => state === 'open'));
      await fake.rest;
      guard();
      const answered = new Set(fake.answers.map(({ id }) => id));
      return { pulls, groups, requests: fake.requests.filter(({ id }) => !answered.has(id)) };
    },
    check: async (kind, commit) => {
      guard();
      return fake.checks.get(`${kind}/${commit}`) ?? null;
    },
    roomAt: (of) => fake.room[of],
    writeCheck: async (report, of) => {
      write(`check ${report.kind}/${report.commit}`);
      if (of !== undefined) fake.urgent.push(`${report.kind}/${report.commit} ${of}`);
      fake.checks.set(`${report.kind}/${report.commit}`, report);
    },
    writeComment: async ({ pull, body, folded }) => {
      write(`comment #${pull}${folded ? ' folded' : ''}`);
      fake.comments.set(pull, { body, folded });
    },
    answer: async ({ id }, words, done) => {
      write(`answer ${id}`);
      fake.answers.push({ id, words, done });
    },
    writeDeployment: async (report) => {
      write(`deployment ${report.commit} ${report.state}`);
      fake.deployments.push(report);
    },
    openPull: async (ask) => {
      write(`open ${ask.branch}`);
      fake.opened.push(ask);
      return 100 + fake.opened.length;
    },
    branches: async (prefix) => {
      guard();
      return fake.branches.filter((branch) => branch.startsWith(prefix));
    },
    closePull: async (ask) => {
      write(ask.pull === null ? `remove ${ask.branch}` : `close #${ask.pull}`);
      fake.closed.push(ask);
      fake.pulls = fake.pulls.filter(({ number }) => number !== ask.pull);
    },
    authors: async () => {
      guard();
      return fake.authors;
    },
    behind: async (ask) => {
      guard();
      const key =
        ask.kind === 'pull'
          ? `#${ask.pull}`
          : ask.kind === 'commit'
            ? ask.commit
            : `@${ask.account.login}`;
      return fake.behind.get(key) ?? NOBODY;
    },
    addressOf: ({ login, id }) => `${id}+${login}@forge.example`,
    accounts: async (emails) => {
      guard();
      return emails.map((email) => fake.accounts.get(email) ?? null);
    },
    renewals: () => fake.renewals,
    get hasChecks() {
      return fake.hasChecks;
    },
    watch: (wake) => {
      wakes.add(wake);
      return () => wakes.delete(wake);
    },
  };
  const fake: FakeForge = {
    port,
    writes: [],
    checks: new Map(),
    comments: new Map(),
    deployments: [],
    opened: [],
    closed: [],
    answers: [],
    pulls: [],
    branches: [],
    groups: [],
    requests: [],
    authors: [],
    behind: new Map(),
    accounts: new Map(),
    hasChecks: true,
    renewals: 0,
    rest: Promise.resolve(),
    failure: null,
    refused: new Map(),
    room: { push: 0, plan: 0 },
    urgent: [],
    wake: () => {
      for (const wake of wakes) wake();
    },
  };
  return fake;
};
