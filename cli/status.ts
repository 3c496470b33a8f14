// `purser status [JOB]`: what runs, what rolls, what waits, and where it answers.

import { pc } from './colours.ts';
import { failureWords } from '../schema/copy-words.ts';
import { type LeaderAnswer, OF_LEADER, type StateAnswer } from '../schema/control.ts';
import { leaderLines } from './leader-lines.ts';
import type { LiveAllocation, LiveNode } from '../schema/live.ts';
import type { DeploymentStatus, DeploymentView } from '../schema/plan.ts';
import { unprovenWords } from '../schema/held-words.ts';
import { formatAge, formatCpu, formatSize } from '../schema/units.ts';
import { byImportance, many, STATUS_WORDS, waitingLines } from '../reconciler/render/words.ts';
import { problemLine } from '../reconciler/render/plan-text.ts';
import { toJson } from '../schema/snapshot.ts';
import { connect } from './client.ts';
import type { CommandSpec, Io } from './command.ts';
import type { ReadyState } from './state.ts';
import { createScreen } from './screen.ts';
import { acceptanceTroubles, copiesOf, findJob, gitTroubles, ready, shortSlot } from './state.ts';
import { table } from './table.ts';

export const status: CommandSpec = {
  usage: 'status [job]',
  summary: 'show jobs, or the copies of one job',
  completes: 'job',
  examples: [
    ['purser status', 'all jobs and nodes'],
    ['purser status web', 'every copy of one job: node, health, address'],
    ['purser status --watch', 'a live view'],
    ['purser status --json', 'for programs: addresses of every healthy copy'],
  ],
  define: (command) => command.option('-w, --watch', 'redraw on every change until Ctrl-C'),
  run: async ({ args, options, common, io }) => {
    const job = args[0] ?? null;
    const control = await connect(common.socket);
    const show = (answer: StateAnswer): string => {
      const { leader } = answer;
      if (leader !== undefined && !leader.leads) return standbyOf(leader, common.json);
      const state = ready(answer);
      return common.json ? toJson(jsonOf(state, job)) : textOf(state, job, io);
    };
    const showOnce = async (): Promise<string> => {
      const own = await control.call<StateAnswer>('state');
      if (own.leader === undefined || own.leader.leads) return show(own);
      const answer = await control.call<StateAnswer>('state', OF_LEADER);
      if (answer.leader?.leads !== true || common.json) return show(answer);
      return `${leaderLines(own.leader).join('\n')}\n${show(answer)}`;
    };
    const isLive = options['watch'] === true;
    const screen = isLive && io.tty && !common.json ? createScreen(io) : null;
    try {
      if (!isLive) io.out(await showOnce());
      else {
        for await (const state of control.watch<StateAnswer>('state', io.signal, OF_LEADER)) {
          const shown = show(state);
          if (screen === null) io.out(shown);
          else screen.draw(shown);
        }
      }
    } finally {
      screen?.close();
      control.close();
    }
    return 0;
  },
};

const textOf = (state: ReadyState, job: string | null, io: Io): string =>
  [
    ...headOf(state),
    ...(job === null ? overview(state, io) : detail(state, findJob(state, job).id, io)),
  ].join('\n');

const headOf = (state: ReadyState) => {
  const { cluster, repository, branch, view } = state;
  const { oid, subject } = view.desired.commit;
  const line = `${pc.bold(cluster)} at ${oid.slice(0, 12)} ${pc.dim(`"${subject}" (${branch} of ${repository})`)}`;
  const stopped = view.desired.standing.kind === 'stopped' ? [view.desired.standing.why] : [];
  const troubles = [...gitTroubles(state), ...stopped, ...acceptanceTroubles(view)];
  const leader = state.leader === undefined ? [] : leaderLines(state.leader);
  return [line, ...leader, ...troubles.map((trouble) => pc.red(`! ${trouble}`)), ''];
};

/** What a standby knows by itself: who leads. */
const standbyOf = (answer: LeaderAnswer, json: boolean): string => {
  if (json) return toJson({ leader: answer });
  const { leader } = answer;
  const there = `${leader?.name} was not reached from here. There: purser status, or purser status --reconciler ${leader?.address} with a token in PURSER_TOKEN`;
  return [...leaderLines(answer), ...(leader === null ? [] : [pc.yellow(there)])].join('\n');
};

const overview = (state: ReadyState, io: Io): readonly string[] => {
  const { view } = state;
  const head = ['JOB', 'VERSION', 'COPIES', 'STATUS', 'COMMIT'];
  const isSaid = view.desired.standing.kind === 'stopped';
  const blocked = view.plan.blocked.filter(
    (one) => !(isSaid && one.kind === 'waiting' && one.why === 'stopped-sync'),
  );
  const below = [
    '',
    table([['NODE', 'STATE', 'COPIES', 'CPU FREE', 'MEMORY FREE'], ...nodeRows(state)], {
      columns: io.columns,
      droppable: ['MEMORY FREE', 'CPU FREE'],
    }),
    ...list('Nodes', conditionLines(state)),
    ...list('Waiting', waitingLines({ ...view.plan, blocked })),
    ...list('Problems', view.plan.problems.map(problemLine)),
    ...list('Not proof', (view.desired.unprovenFiles ?? []).map(unprovenWords)),
  ];
  const room = io.rows - HEAD_LINES - below.join('\n').split('\n').length;
  const { shown, hidden } = mostImportant(view.plan.deployments, room);
  const rows = shown.map((deployment) => jobRow(deployment));
  return [
    rows.length === 0 && hidden === 0
      ? 'No jobs.'
      : table([head, ...rows], { columns: io.columns, droppable: ['COMMIT', 'VERSION'] }),
    ...(hidden === 0 ? [] : [pc.dim(`… and ${hidden} more that matter less now`)]),
    ...below,
  ];
};

/** The cluster's line, an empty one, the head of the table, and the line that counts the rest. */
const HEAD_LINES = 5;

/** Fewer rows than this say too little: then the screen's end cuts. */
const LEAST_ROWS = 5;

/** All in their order where there is room; else those that need a person, in the same order. */
const mostImportant = (all: readonly DeploymentView[], room: number) => {
  const count = Math.max(LEAST_ROWS, room);
  if (all.length <= count) return { shown: all, hidden: 0 };
  const first = byImportance(all).slice(0, count);
  return { shown: all.filter((view) => first.includes(view)), hidden: all.length - count };
};

const list = (title: string, lines: readonly string[]): readonly string[] =>
  lines.length === 0 ? [] : ['', title, ...lines.map((line) => `  ${line}`)];

const jobRow = (view: DeploymentView): readonly string[] => {
  const sum = (key: 'healthy' | 'wanted') => view.groups.reduce((total, g) => total + g[key], 0);
  const reason = view.reason === null ? '' : pc.dim(` ${view.reason}`);
  return [
    view.job,
    view.specHash.slice(0, 12),
    `${sum('healthy')}/${sum('wanted')}`,
    colourOf(view.status)(STATUS_WORDS[view.status]) + reason,
    commitWords(view),
  ];
};

/** The commit that is live now; of one that brought a version back, also where that is from. */
const commitWords = ({ commit, sameAs }: DeploymentView): string => {
  const words = `${commit.oid.slice(0, 8)} ${commit.subject}`;
  return sameAs === undefined ? words : `${words} (same as ${sameAs.slice(0, 8)})`;
};

const colourOf = (status: DeploymentStatus): ((text: string) => string) => {
  if (status === 'settled') return pc.green;
  if (status === 'failed' || status === 'degraded' || status === 'stalled') return pc.red;
  return pc.yellow;
};

const nodeRows = ({ view }: ReadyState): readonly (readonly string[])[] => {
  const live = new Map(view.live.nodes.map((node) => [node.name, node]));
  const listed = view.desired.nodes.map(({ name, drain }) =>
    nodeRow(name, live.get(name), drain === 'no' ? null : 'draining'),
  );
  const names = new Set(view.desired.nodes.map(({ name }) => name));
  const unlisted = view.live.nodes
    .filter(({ name }) => !names.has(name))
    .map((node) => nodeRow(node.name, node, 'not in Git: no work'));
  return [...listed, ...unlisted];
};

const conditionLines = ({ view }: ReadyState): readonly string[] =>
  view.live.nodes.flatMap(({ name, conditions }) =>
    conditions.map(({ message }) => `${name}: ${message}`),
  );

const nodeRow = (name: string, node: LiveNode | undefined, note: string | null) => {
  if (node === undefined) return [name, pc.yellow('never heard from'), '0', '', ''];
  const running = node.allocations.filter(({ phase }) => phase !== 'dead');
  const used = running.reduce(
    (sum, { body }) => ({
      cpuMilli: sum.cpuMilli + body.spec.ask.cpuMilli,
      memoryBytes: sum.memoryBytes + body.spec.ask.memoryBytes,
    }),
    { cpuMilli: 0, memoryBytes: 0 },
  );
  const { capacity } = node;
  const heard = node.connected
    ? pc.green('ready')
    : pc.red(`silent for ${formatAge(node.silentForMs)}`);
  // The column says what, the list below the table says the rest.
  const conditions = node.conditions.map(({ message }) => pc.yellow(message.split(':')[0] ?? ''));
  return [
    name,
    [heard, ...(note === null ? [] : [pc.yellow(note)]), ...conditions].join(', '),
    String(running.length),
    `${formatCpu(capacity.cpuMilli - used.cpuMilli)} of ${formatCpu(capacity.cpuMilli)}`,
    `${formatSize(capacity.memoryBytes - used.memoryBytes)} of ${formatSize(capacity.memoryBytes)}`,
  ];
};

const detail = (state: ReadyState, job: string, io: Io): readonly string[] => {
  const deployment = state.view.plan.deployments.find((view) => view.job === job);
  const rows = copiesOf(state, job).map((copy) => copyRow(state, copy));
  const head = [
    'COPY',
    'ALLOCATION',
    'NODE',
    'VERSION',
    'HEALTH',
    'AGE',
    'CPU',
    'MEMORY',
    'ADDRESS',
  ];
  const failures = copiesOf(state, job).flatMap((copy) =>
    copy.failure === null || copy.health === 'healthy'
      ? []
      : [
          `${shortSlot(copy)} on ${copy.node}: ${failureWords(copy) ?? ''} (${formatAge(copy.failure.ageMs)} ago)`,
        ],
  );
  return [
    ...(deployment === undefined ? [] : [jobRow(deployment).join('  '), '']),
    rows.length === 0
      ? 'No copies.'
      : table([head, ...rows], {
          columns: io.columns,
          droppable: ['CPU', 'MEMORY', 'VERSION', 'AGE'],
        }),
    ...list('Failures', failures),
    ...list('Waiting', waitingLines(state.view.plan, job)),
  ];
};

const copyRow = (state: ReadyState, copy: LiveAllocation): readonly string[] => {
  const restarts = copy.tasks.reduce((sum, task) => sum + task.restarts, 0);
  const waits = copy.stopWaits !== undefined && copy.phase === 'running';
  const goes = waits ? `${copy.health}, goes when the next image is here` : 'stopping';
  const states = copy.stopping ? goes : copy.phase === 'running' ? copy.health : copy.phase;
  return [
    shortSlot(copy),
    copy.allocation,
    copy.node,
    copy.body.specHash.slice(0, 8),
    restarts === 0 ? states : `${states}, ${many(restarts, 'restart')}`,
    copy.runningForMs === null ? '' : formatAge(copy.runningForMs),
    copy.usage === null ? '' : formatCpu(copy.usage.cpuMilli),
    copy.usage === null ? '' : formatSize(copy.usage.memoryBytes),
    addressesOf(state, copy).join(' '),
  ];
};

const addressesOf = ({ view }: ReadyState, copy: LiveAllocation): readonly string[] => {
  const node = view.live.nodes.find(({ name }) => name === copy.node);
  return copy.ports.map(({ host }) => `${node?.address ?? copy.node}:${host}`);
};

/** What programs read: stable names, addresses of each copy. */
const jsonOf = (state: ReadyState, job: string | null) => {
  const wanted = job === null ? null : findJob(state, job).id;
  const { view } = state;
  return {
    cluster: state.cluster,
    commit: view.desired.commit.oid,
    refused: view.desired.refused ?? null,
    signer: state.signer ?? null,
    failure: state.failure,
    write: state.write,
    ...(state.leader === undefined ? {} : { leader: state.leader }),
    jobs: view.plan.deployments
      .filter((deployment) => wanted === null || deployment.job === wanted)
      .map((deployment) => ({
        ...deployment,
        copies: copiesJson(state, deployment.job),
      })),
    nodes: view.live.nodes.map(nodeJson),
    blocked: view.plan.blocked,
    guarded: view.plan.guarded,
    problems: view.plan.problems,
  };
};

const nodeJson = (node: LiveNode) => ({
  name: node.name,
  connected: node.connected,
  silentForMs: node.silentForMs,
  address: node.address,
  capacity: node.capacity,
  attributes: Object.fromEntries(node.attributes),
  conditions: node.conditions,
  copies: node.allocations.length,
  foreign: node.foreign,
});

const copiesJson = (state: ReadyState, job: string) =>
  copiesOf(state, job).map((copy) => ({
    allocation: copy.allocation,
    slot: shortSlot(copy),
    node: copy.node,
    specHash: copy.body.specHash,
    phase: copy.phase,
    health: copy.health,
    stopping: copy.stopping,
    addresses: addressesOf(state, copy),
    ports: copy.ports,
    tasks: copy.tasks,
    failure: copy.failure,
    usage: copy.usage,
    runningForMs: copy.runningForMs,
  }));
