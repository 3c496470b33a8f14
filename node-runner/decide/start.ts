// The next steps of an allocation that should run: image, network, files, then container by
// container. In: its mark and the inventory. Out: work that may begin now, and when to look again.
// A later step needs the facts that an earlier one leaves behind, so each look gives the steps that
// are possible now. Not here: stopping (stop.ts), what the specification holds (oci-spec.ts).

import { containerId } from '../../schema/ids.ts';
import type { ContainerLabels } from '../../schema/labels.ts';
import { encodeLabels, hasLabels } from '../../schema/labels.ts';
import { isPoststop } from '../../schema/lifecycle.ts';
import type { Ms, TaskSpec } from '../../schema/spec.ts';
import type { ImageFacts, ResolvedUser } from '../ports.ts';
import type { Intent, TaskPlace } from './action.ts';
import { containerKey, intent } from './action.ts';
import { prepareAsk } from './files.ts';
import type { AllocationMark, ContainerFacts, Inventory, TaskMark } from './inventory.ts';
import { imageName, userKey } from './inventory.ts';
import { networkOf } from './network.ts';
import { ociSpec } from './oci-spec.ts';
import { killSteps } from './kill.ts';
import { lastTasks, mayStart } from './order.ts';
import { probeSteps } from './probing.ts';

export interface Steps {
  readonly intents: readonly Intent[];
  /** Look again at this instant even if nothing happens; Infinity: no need. */
  readonly until: Ms;
}

/**
 * @param ready false: something must be gone first, or there is no room yet; then only the images
 * are fetched.
 */
export const runSteps = (
  mark: AllocationMark,
  inventory: Inventory,
  options: { readonly now: Ms; readonly ready: boolean },
): Steps => {
  const { now, ready } = options;
  const intents: Intent[] = [];
  let until: Ms = Number.POSITIVE_INFINITY;
  let before: TaskMark | null = null;
  for (const [position, spec] of mark.body.spec.tasks.entries()) {
    const task = mark.tasks[position];
    if (task === undefined || (mark.deadAt !== null && isPoststop(spec))) continue;
    const steps = taskSteps({ mark, spec, task, inventory }, now);
    if (task.run !== 'open' && !mayStart(mark, spec, task)) {
      intents.push(...steps.intents.filter(({ kind }) => kind === 'pull'));
      continue;
    }
    // Tasks start in the order in which they stand; the first one's shim serves them all.
    const first = before === null || before.everStarted || before.run === 'open';
    const turn = task.run === 'open' || (ready && first);
    intents.push(...(turn ? steps.intents : steps.intents.filter(({ kind }) => kind === 'pull')));
    until = Math.min(until, steps.until);
    before = task;
  }
  return { intents, until };
};

/** The steps of the poststop tasks, once their turn has come. */
export const lastSteps = (mark: AllocationMark, inventory: Inventory, now: Ms): Steps => {
  const intents: Intent[] = [];
  let until: Ms = Number.POSITIVE_INFINITY;
  for (const { spec, task, until: end } of lastTasks(mark)) {
    const steps = taskSteps({ mark, spec, task, inventory }, now);
    intents.push(...steps.intents);
    until = Math.min(until, steps.until, end > now ? end : Number.POSITIVE_INFINITY);
  }
  return { intents, until };
};

interface Look {
  readonly mark: AllocationMark;
  readonly spec: TaskSpec;
  readonly task: TaskMark;
  readonly inventory: Inventory;
}

const NEVER: Ms = Number.POSITIVE_INFINITY;
const nothing: Steps = { intents: [], until: NEVER };
const just = (work: Parameters<typeof intent>[0]): Steps => ({
  intents: [intent(work)],
  until: NEVER,
});

const taskSteps = (look: Look, now: Ms): Steps => {
  const { mark, task, inventory } = look;
  const place = placeOf(mark, task.name);
  if (inventory.inFlight.has(containerKey(place.container))) return nothing;
  const container = inventory.containers.get(place.container);
  if (task.run === 'open') return runningSteps(look, { place, container, now });
  if (mark.deadAt !== null && !isPoststop(look.spec)) return nothing;
  if (now < task.startAt) return { intents: [], until: task.startAt };
  const base = baseSteps(look);
  if (base !== null) return base;
  switch (container?.task) {
    case undefined:
      return createSteps(look, place);
    case 'created':
      return just({ kind: 'start', place });
    case 'none':
    case 'stopped':
      // A container that never came to run may be half made: it is made anew. One that ran keeps
      // what it wrote.
      return task.everStarted
        ? just({ kind: 'restart', place })
        : just({ kind: 'remove', container: place.container });
    case 'running':
    case 'paused':
      return nothing;
  }
};

const placeOf = (mark: AllocationMark, task: string): TaskPlace => ({
  allocation: mark.allocation,
  task,
  container: containerId(mark.allocation, task),
});

const runningSteps = (
  look: Look,
  at: {
    readonly place: TaskPlace;
    readonly container: ContainerFacts | undefined;
    readonly now: Ms;
  },
): Steps => {
  const { mark, spec, task } = look;
  if (task.kill !== null) return killSteps(spec, task, at);
  const probes = probeSteps(look, at);
  if (at.container === undefined || agrees(at.container.labels, mark, task)) return probes;
  const { container } = at.place;
  const make = () => {
    const labels = encodeLabels(labelFacts(mark, task));
    return { kind: 'relabel', container, labels } as const;
  };
  const relabel = { kind: 'relabel', key: containerKey(container), make } as const;
  return { intents: [...probes.intents, relabel], until: probes.until };
};

/** What every container of the allocation stands on: network, then files. null: all there. */
const baseSteps = ({ mark, inventory }: Look): Steps | null => {
  const { networkMode } = mark.body.spec;
  const network = networkOf(mark.allocation, mark.body.spec, inventory);
  if (network === 'missing') {
    const pulls = mark.body.spec.tasks.flatMap((spec) => pullSteps(spec, inventory));
    const ports = mark.ports ?? [];
    const mode = networkMode === 'none' ? ('none' as const) : ('bridge' as const);
    const ask = { allocation: mark.allocation, mode, ports };
    return { intents: [...pulls, intent({ kind: 'set-up-network', ask })], until: NEVER };
  }
  if (inventory.prepared.has(mark.allocation)) return null;
  const own = network === 'host' ? null : network;
  return just({ kind: 'prepare', ask: prepareAsk(mark.body, own, inventory.node) });
};

const pullSteps = (spec: TaskSpec, inventory: Inventory): readonly Intent[] => {
  const name = imageName(spec.image);
  if (inventory.images.has(name)) return [];
  const { repository, digest } = spec.image;
  return [intent({ kind: 'pull', name, repository, digest: digest ?? '' })];
};

const createSteps = (look: Look, place: TaskPlace): Steps => {
  const { mark, spec, task, inventory } = look;
  const image = inventory.images.get(imageName(spec.image));
  if (image === undefined) return { intents: pullSteps(spec, inventory), until: NEVER };
  const user = userOf(spec, image, inventory);
  if ('ask' in user) return just({ kind: 'resolve-user', image, user: user.ask });
  const paths = inventory.prepared.get(mark.allocation);
  if (paths === undefined) return nothing;
  const network = networkOf(mark.allocation, mark.body.spec, inventory);
  if (network === 'missing') return nothing;
  const make = () => ({
    kind: 'create' as const,
    place,
    ask: {
      id: place.container,
      labels: encodeLabels(labelFacts(mark, task)),
      image,
      spec: ociSpec({
        body: mark.body,
        task: spec,
        image,
        user,
        paths,
        network: network === 'host' ? null : network,
        ports: mark.ports ?? [],
        node: inventory.node,
      }),
      logPath: paths.logs[spec.name] ?? null,
    },
  });
  return {
    intents: [{ kind: 'create', key: containerKey(place.container), make }],
    until: NEVER,
  };
};

/** Root, or two plain numbers, need no look into the image. */
const userOf = (
  spec: TaskSpec,
  image: ImageFacts,
  inventory: Inventory,
): ResolvedUser | { readonly ask: string } => {
  const user = spec.user ?? image.user;
  if (user === '' || user === '0' || user === 'root') return { uid: 0, gid: 0, additionalGids: [] };
  const [, uid, gid] = /^(\d{1,9}):(\d{1,9})$/.exec(user) ?? [];
  if (uid !== undefined && gid !== undefined) {
    return { uid: Number(uid), gid: Number(gid), additionalGids: [] };
  }
  return inventory.users.get(userKey(image.name, user)) ?? { ask: user };
};

/** Labels that were compared, what with, and the answer: every look asks for all of them. */
const compared = new WeakMap<
  object,
  {
    readonly body: object;
    readonly everHealthy: boolean;
    readonly restarts: number;
    readonly same: boolean;
  }
>();

const agrees = (
  labels: Readonly<Record<string, string>>,
  mark: AllocationMark,
  task: TaskMark,
): boolean => {
  const { body } = mark;
  const everHealthy = mark.firstHealthyAt !== null;
  const { restarts } = task;
  const last = compared.get(labels);
  if (last?.body === body && last.everHealthy === everHealthy && last.restarts === restarts) {
    return last.same;
  }
  const same = hasLabels(labels, encodeLabels(labelFacts(mark, task)));
  compared.set(labels, { body, everHealthy, restarts, same });
  return same;
};

const labelFacts = ({ body, firstHealthyAt }: AllocationMark, task: TaskMark): ContainerLabels => ({
  cluster: body.cluster,
  node: body.node,
  allocation: body.allocation,
  task: task.name,
  namespace: body.namespace,
  job: body.job,
  group: body.group,
  index: body.index,
  attempt: body.attempt,
  specHash: body.specHash,
  groupHash: body.spec.hash,
  deployment: body.deployment,
  commit: body.commit,
  settled: body.settled,
  everHealthy: firstHealthyAt !== null,
  restarts: task.restarts,
});
