// The runner's loop: look at everything, decide, act, report; woken by orders, events, ends of
// work, and timers. In: the ports and the configuration. Out: a runner that works until it is told
// to end. All time comes from ports.clock. Not here: any decision (decide/), any call of containerd
// (edge/), lists and measurements (watch.ts).

import type { NodeOrders, NodeReport } from '../schema/orders.ts';
import type { Ms } from '../schema/spec.ts';
import { accept } from './accept.ts';
import { createBell } from './bell.ts';
import type { RunnerConfig } from './config.ts';
import {
  ENDING_MS,
  ORDERS_AGAIN_MS,
  RELIST_AGAIN_MS,
  RELIST_EVERY_MS,
  REPORT_EVERY_MS,
  lookGapMs,
  newsGapMs,
  reportGapMs,
} from './config.ts';
import { hear, readContact, writeContact } from './contact.ts';
import type { Action, Work } from './decide/action.ts';
import { decide } from './decide/decide.ts';
import { retriesToForget } from './decide/fetch.ts';
import type { Inventory } from './decide/inventory.ts';
import { loadMarks, saveMarks } from './decide/marks.ts';
import { namedCopies } from './decide/own-copies.ts';
import { nodeReport } from './decide/report.ts';
import { readEvidence } from './evidence.ts';
import { asFailure, perform } from './perform.ts';
import type { RunnerPorts } from './ports.ts';
import { begun, failed, newState, noted, runOf, succeeded } from './state.ts';
import type { Loop } from './watch.ts';
import { followEvents, list, measure, watches } from './watch.ts';

export interface Tick {
  /** Works until the signal; then writes the marks and ends. Containers run on. */
  readonly run: (signal: AbortSignal) => Promise<void>;
  /** Look again soon. */
  readonly wake: () => void;
  /** What the node would report now. */
  readonly report: () => NodeReport;
  /** What is known now, for logs and exec: which container, which log file. */
  readonly inventory: () => Inventory & { readonly orders: NodeOrders | null };
  /** Others cannot be told of this node's copies, and why; null: they can. */
  readonly trouble: (words: string | null) => void;
}

export const createTick = (ports: RunnerPorts, config: RunnerConfig): Tick => {
  const state = newState(config);
  const bell = createBell(ports.clock);
  return {
    run: (signal) =>
      run({
        ports,
        state,
        signal,
        bell,
        busy: new Set(),
        unwritten: null,
        silences: 0,
        named: '',
        news: false,
        listedAt: null,
        measuredAt: null,
        lookedAt: null,
        contactKept: true,
      }),
    wake: bell.ring,
    report: () => nodeReport(state.orders, state, { measured: state, now: ports.clock.now() }),
    inventory: () => state,
    trouble: (words) => {
      if (words === state.unregistered) return;
      state.unregistered = words;
      state.changed = true;
      bell.ring();
    },
  };
};

const run = async (loop: Loop): Promise<void> => {
  const { ports, signal, bell } = loop;
  await load(loop);
  const unwatch = ports.link.watch(bell.ring);
  const following = followEvents(loop);
  try {
    await begin(loop);
    let publishedAt = ports.clock.now();
    while (!signal.aborted) {
      bell.clear();
      const until = look(loop, publishedAt);
      if (ports.clock.now() >= publishAt(loop, publishedAt)) {
        publishedAt = ports.clock.now();
        background(loop, 'publish', publish(loop));
      }
      await bell.wait(until, signal);
      await rest(loop);
    }
  } finally {
    unwatch();
  }
  await following;
  await ending(loop);
  await writeMarks(loop);
};

/**
 * What is under way is let end, so that its facts reach the disk; what does not end is found by the
 * next life.
 */
const ending = async ({ ports, state, bell }: Loop): Promise<void> => {
  const last = ports.clock.now() + ENDING_MS;
  const never = new AbortController().signal;
  while (state.inFlight.size > 0 && ports.clock.now() < last) {
    bell.clear();
    await bell.wait(last, never);
  }
};

/** With many allocations looks are kept apart; with few there is no pause. */
const rest = async ({ ports, state, signal }: Loop): Promise<void> => {
  const gapMs = lookGapMs(state.marks.size);
  if (gapMs > 0) await ports.clock.sleepUntil(ports.clock.now() + gapMs, signal).catch(() => {});
};

/** What an earlier life wrote down. */
const load = async (loop: Loop): Promise<void> => {
  const { ports, state } = loop;
  state.orders = await ports.store.readOrders();
  const clock = { bootId: ports.clock.bootId, now: ports.clock.now() };
  const memory = loadMarks(await ports.store.readMarks(), state.orders, clock);
  await readContact(loop, memory.contactAt);
  for (const [name, at] of memory.imagesUsed) state.imagesUsed.set(name, at);
  for (const [allocation, mark] of memory.marks) state.marks.set(allocation, mark);
};

/** List first, then report, and touch nothing before that. */
const begin = async (loop: Loop): Promise<void> => {
  const { ports, state, signal } = loop;
  while (!signal.aborted && loop.listedAt === null) {
    await list(loop);
    if (loop.listedAt !== null) break;
    await publish(loop);
    await loop.bell.wait(ports.clock.now() + RELIST_AGAIN_MS, signal);
    loop.bell.clear();
  }
  await measure(loop);
  for (const action of decide(state.orders, state, ports.clock.now())) {
    if (isNote(action)) noted(state, action);
  }
  await publish(loop);
};

/** One look: whatever is due is begun. Returns when to look again. */
const look = (loop: Loop, publishedAt: Ms): Ms => {
  const { ports, state, busy } = loop;
  const now = ports.clock.now();
  watches(loop, now);
  hear(loop);
  if (!loop.contactKept && !busy.has('contact')) {
    loop.contactKept = true;
    background(loop, 'contact', writeContact(loop));
  }
  // Those of an earlier session, which the first report of this one calls not accepted.
  if (ports.link.wantsReport()) loop.unwritten = null;
  if (!busy.has('accept')) takeOrders(loop);
  const listAt = (loop.listedAt ?? now) + (state.relist ? RELIST_AGAIN_MS : RELIST_EVERY_MS);
  if (!busy.has('list') && (now >= listAt || (state.relist && loop.listedAt === null))) {
    background(loop, 'list', list(loop));
  }
  const measureAt = (loop.measuredAt ?? now) + REPORT_EVERY_MS;
  if (!busy.has('measure') && now >= measureAt) background(loop, 'measure', measure(loop));
  const until = act(loop, decide(state.orders, state, now));
  const named = namedCopies(state);
  loop.news ||= named !== loop.named;
  loop.named = named;
  return Math.min(
    until,
    busy.has('list') ? Number.POSITIVE_INFINITY : listAt,
    busy.has('measure') ? Number.POSITIVE_INFINITY : measureAt,
    publishAt(loop, publishedAt),
  );
};

const isNote = (
  action: Action,
): action is Extract<Action, { kind: 'remember' | 'forget' | 'wait' }> =>
  action.kind === 'remember' || action.kind === 'forget' || action.kind === 'wait';

/**
 * Notes at once, work in the background. A forgotten allocation may be wanted anew: then look
 * again.
 */
const act = (loop: Loop, actions: readonly Action[]): Ms => {
  let until: Ms = Number.POSITIVE_INFINITY;
  for (const action of actions) {
    if (action.kind === 'wait') until = Math.min(until, action.until);
    else if (isNote(action)) noted(loop.state, action);
    else doWork(loop, action);
    if (action.kind === 'forget') loop.bell.ring();
  }
  return until;
};

const doWork = (loop: Loop, work: Work): void => {
  const { ports, state, signal, bell } = loop;
  const begunIn = runOf(
    work.kind === 'probe' ? state.marks.get(work.place.allocation) : undefined,
    work,
  );
  begun(state, work);
  void perform(work, ports, signal)
    .then(
      (fact) => {
        if (isRuntimeWork(work)) state.runtimeSilent = null;
        return succeeded(state, work, { fact, now: ports.clock.now(), begunIn });
      },
      (thrown: unknown) => {
        const failure = asFailure(thrown);
        if (failure.reason === 'unavailable') state.runtimeSilent = failure.message;
        ports.log.warn({ work: work.kind, blame: failure.blame }, failure.message);
        failed(state, work, { failure, now: ports.clock.now(), begunIn });
        return 0;
      },
    )
    .then((lookAt) => bell.ringBy(signal.aborted ? 0 : lookAt));
};

const isRuntimeWork = ({ kind }: Work): boolean =>
  kind === 'create' || kind === 'start' || kind === 'remove' || kind === 'kill';

/** Something slow that goes on beside the loop, one of each name at a time; it never throws. */
const background = (loop: Loop, name: string, work: Promise<void>): void => {
  loop.busy.add(name);
  void work
    .catch((thrown: unknown) => {
      loop.ports.log.error({ doing: name }, asFailure(thrown).message);
    })
    .finally(() => {
      loop.busy.delete(name);
      loop.bell.ring();
    });
};

/**
 * Orders are on the disk before they are obeyed: a runner that dies in between has not accepted
 * them.
 */
const takeOrders = (loop: Loop): void => {
  const { ports, state } = loop;
  const offered = ports.link.take() ?? loop.unwritten;
  if (offered === null) return;
  loop.unwritten = null;
  const held = [...state.marks.values()].map(({ body }) => body);
  const answer = accept(state.orders, offered, { ...state.node, held });
  if (answer.kind === 'not-yet') {
    loop.unwritten = offered;
    state.changed ||= state.refused !== answer.why;
    state.refused = answer.why;
    return;
  }
  if (answer.kind === 'refused') {
    ports.log.warn({ generation: offered.generation }, `orders refused: ${answer.why}`);
    state.refused = answer.why;
    state.changed = true;
    loop.bell.ring();
    return;
  }
  state.refused = null;
  if (!answer.changed) {
    state.unheardMs = 0;
    loop.bell.ring();
    return;
  }
  const { silences } = loop;
  const write = async (): Promise<void> => {
    try {
      await ports.store.writeOrders(offered);
    } catch (thrown) {
      loop.unwritten = offered;
      state.refused = `orders cannot be written down: ${asFailure(thrown).message}`;
      state.changed = true;
      await ports.clock.sleepUntil(ports.clock.now() + ORDERS_AGAIN_MS, loop.signal);
      return;
    }
    for (const key of retriesToForget(state.orders, offered)) state.retries.delete(key);
    state.orders = offered;
    if (loop.silences === silences) state.unheardMs = 0;
    state.changed = true;
    state.marksChanged = true;
  };
  background(loop, 'accept', write());
};

/** From one report to the next: the more it says that others wait for, the less. */
const gapOf = ({ state, news }: Loop): Ms => {
  if (news) return newsGapMs(state.marks.size);
  return state.changed ? reportGapMs(state.marks.size) : REPORT_EVERY_MS;
};

/** Never, as long as something must end before: its end rings. */
const publishAt = (loop: Loop, publishedAt: Ms): Ms => {
  const { ports, busy } = loop;
  if (busy.has('publish')) return Number.POSITIVE_INFINITY;
  if (ports.link.wantsReport()) return busy.has('accept') ? Number.POSITIVE_INFINITY : 0;
  return publishedAt + gapOf(loop);
};

/**
 * What is reported as remembered is on the disk first. What happens while it is written is told by
 * the next report: the log of a failure is read before the failure is told.
 */
const publish = async (loop: Loop): Promise<void> => {
  const { ports, state } = loop;
  await readEvidence(loop);
  state.changed = false;
  loop.news = false;
  const now = ports.clock.now();
  watches(loop, now);
  const report = nodeReport(state.orders, state, { measured: state, now });
  await writeMarks(loop);
  ports.link.report(report, now);
};

const writeMarks = async ({ ports, state }: Loop): Promise<void> => {
  if (!state.marksChanged) return;
  state.marksChanged = false;
  try {
    await ports.store.writeMarks(saveMarks(state, state.orders, ports.clock.bootId));
  } catch (thrown) {
    state.marksChanged = true;
    ports.log.error({}, `marks could not be written: ${asFailure(thrown).message}`);
  }
};
