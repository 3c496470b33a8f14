// What happened, in order: the difference between one view and the next, for `purser events`.
// In: two views. Out: events. Kept in memory only (rules 10.5): what is older is Git. Not here: who
// shows them.

import { unaged } from '../schema/ageing.ts';
import { failureWords } from '../schema/copy-words.ts';
import { slotName } from '../schema/ids.ts';
import { isPoststop } from '../schema/lifecycle.ts';
import type { LiveAllocation } from '../schema/live.ts';
import type { DeploymentView, Step } from '../schema/plan.ts';
import type { View } from './cycle.ts';
import { EVENTS_KEPT } from './config.ts';

export interface Event {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly kind: 'step' | 'deployment' | 'health' | 'node' | 'commit';
  readonly job: string | null;
  readonly node: string | null;
  readonly message: string;
}

export interface Events {
  readonly note: (before: View | null, after: View, at: number) => void;
  readonly all: () => readonly Event[];
}

export const createEvents = (): Events => {
  const events: Event[] = [];
  return {
    note: (before, after, at) => {
      events.push(...eventsBetween(before, after).map((event) => ({ ...event, at })));
      events.splice(0, Math.max(0, events.length - EVENTS_KEPT));
    },
    all: () => events,
  };
};

type Noted = Omit<Event, 'at'>;

const eventsBetween = (before: View | null, after: View): readonly Noted[] => [
  ...commitEvents(before, after),
  ...stepEvents(before, after),
  ...deploymentEvents(before, after),
  ...healthEvents(before, after),
  ...poststopEvents(before, after),
  ...nodeEvents(before, after),
];

const commitEvents = (before: View | null, { desired }: View): readonly Noted[] => {
  const { oid, author, subject } = desired.commit;
  if (before?.desired.commit.oid === oid) return [];
  const message = `commit ${oid.slice(0, 12)} by ${author}: ${subject}`;
  return [{ kind: 'commit', job: null, node: null, message }];
};

const stepEvents = (before: View | null, { plan }: View): readonly Noted[] => {
  const known = new Set(before?.plan.steps.map(keyOf) ?? []);
  return plan.steps
    .filter((step) => !known.has(keyOf(step)))
    .map((step) => ({ kind: 'step', job: step.job, node: step.node, message: wordsOf(step) }));
};

const keyOf = (step: Step): string => `${step.kind} ${step.allocation}`;

const wordsOf = (step: Step): string => {
  if (step.kind === 'update') {
    return `update ${step.slot} in place (${step.changes.join(', ')})`;
  }
  return `${step.kind} ${step.slot} on ${step.node}: ${step.reason}`;
};

const deploymentEvents = (before: View | null, { plan }: View): readonly Noted[] => {
  const old = before?.plan.deployments ?? [];
  if (old === plan.deployments) return [];
  // A plan hands on the rows that did not change, mostly at the same place.
  const news = plan.deployments.filter((view, rank) => old[rank] !== view);
  const ids = new Set(news.map(({ job }) => job));
  const known = new Map(
    old.flatMap((view) => (ids.has(view.job) ? [[view.job, view] as const] : [])),
  );
  return news
    .filter((view) => !sameStatus(known.get(view.job), view))
    .map((view) => ({
      kind: 'deployment',
      job: view.job,
      node: null,
      message: `${view.job} ${view.specHash.slice(0, 12)} is ${view.status}${view.reason === null ? '' : `: ${view.reason}`}`,
    }));
};

const sameStatus = (before: DeploymentView | undefined, after: DeploymentView): boolean =>
  before?.deployment === after.deployment && before.status === after.status;

/** No age is news, so copies that are the same are passed over. */
const healthEvents = (before: View | null, { live }: View): readonly Noted[] => {
  const nodes = new Map(before?.live.nodes.map((node) => [node.name, node]) ?? []);
  return live.nodes.flatMap((node) => {
    const old = nodes.get(node.name);
    if (old !== undefined && unaged(old) === unaged(node)) return [];
    const known = new Map(
      old === undefined ? [] : unaged(old).map((a) => [a.allocation, wordOf(a)]),
    );
    return unaged(node)
      .filter((a) => known.get(a.allocation) !== wordOf(a))
      .map((a) => healthEvent(node.name, a));
  });
};

const wordOf = ({ phase, health }: LiveAllocation): string => `${phase} ${health}`;

const healthEvent = (node: string, a: LiveAllocation): Noted => {
  const words = failureWords(a);
  const failure = words === null || a.health === 'healthy' ? '' : `: ${words}`;
  const { namespace, job, group, index } = a.body;
  const slot = `${namespace}/${job}/${group}[${index}]`;
  const message = `${slot} (${a.allocation}) is ${a.phase}, ${a.health}${failure}`;
  return { kind: 'health', job: `${namespace}/${job}`, node, message };
};

/** A copy is stopped all the same, so nothing else would tell of it (rules 15.4). */
const poststopEvents = (before: View | null, { live }: View): readonly Noted[] => {
  const nodes = new Map(before?.live.nodes.map((node) => [node.name, node]) ?? []);
  return live.nodes.flatMap((node) => {
    const old = nodes.get(node.name);
    if (old !== undefined && unaged(old) === unaged(node)) return [];
    const known = new Set((old === undefined ? [] : unaged(old)).flatMap(poststopFailures));
    return unaged(node).flatMap((a) =>
      poststopFailures(a)
        .filter((message) => !known.has(message))
        .map((message): Noted => {
          const job = `${a.body.namespace}/${a.body.job}`;
          return { kind: 'health', job, node: node.name, message };
        }),
    );
  });
};

const poststopFailures = ({ allocation, body, tasks }: LiveAllocation): readonly string[] =>
  body.spec.tasks.filter(isPoststop).flatMap(({ name }) => {
    const trouble = tasks.find((task) => task.name === name)?.lastCheck ?? null;
    const what = `poststop task ${name} failed: ${trouble}`;
    return trouble === null ? [] : [`${slotName(body)} (${allocation}): ${what}`];
  });

const nodeEvents = (before: View | null, { live }: View): readonly Noted[] => {
  const known = new Map(before?.live.nodes.map(({ name, connected }) => [name, connected]) ?? []);
  return live.nodes
    .filter(({ name, connected }) => known.get(name) !== connected)
    .map(({ name, connected }) => ({
      kind: 'node',
      job: null,
      node: name,
      message: connected ? `node ${name} is connected` : `node ${name} is cut off`,
    }));
};
