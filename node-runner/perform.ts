// One piece of work done through the ports: what decide asked for becomes calls, and calls become
// facts. In: work. Out: the fact it leaves behind; throws RuntimeFailure as the ports do.
// Not here: when work begins (decide), what its fact or failure changes (state.ts).

import type { Work } from './decide/action.ts';
import type {
  ImageFacts,
  NetworkFacts,
  PreparedPaths,
  ProbeAnswer,
  ResolvedUser,
  RunnerPorts,
  RuntimeFailure,
} from './ports.ts';
import type { Ms } from '../schema/spec.ts';

export type Fact =
  | { readonly kind: 'done' }
  | { readonly kind: 'image'; readonly image: ImageFacts }
  | { readonly kind: 'user'; readonly user: ResolvedUser }
  | { readonly kind: 'network'; readonly network: NetworkFacts }
  | { readonly kind: 'prepared'; readonly paths: PreparedPaths }
  | { readonly kind: 'made'; readonly pid: number }
  | { readonly kind: 'answer'; readonly answer: ProbeAnswer };

const DONE: Fact = { kind: 'done' };

/** Bytes of a failed check's output that are kept for its message. */
const CHECK_OUTPUT_BYTES = 200;

export const perform = async (
  work: Work,
  ports: RunnerPorts,
  signal: AbortSignal,
): Promise<Fact> => {
  const { runtime, network, store } = ports;
  switch (work.kind) {
    case 'pull': {
      const { repository, digest } = work;
      return { kind: 'image', image: await runtime.pull({ repository, digest }, { signal }) };
    }
    case 'resolve-user':
      return { kind: 'user', user: await runtime.resolveUser(work.image, work.user) };
    case 'set-up-network':
      return { kind: 'network', network: await network.setUp(work.ask) };
    case 'prepare':
      return { kind: 'prepared', paths: await store.prepare(work.ask) };
    case 'create':
      return { kind: 'made', pid: (await runtime.create(work.ask)).pid };
    case 'restart':
      return { kind: 'made', pid: (await runtime.restart(work.place.container, null)).pid };
    case 'start':
      await runtime.start(work.place.container);
      return DONE;
    case 'kill':
      await runtime.kill(work.place.container, work.signal, { all: work.all });
      return DONE;
    case 'remove':
      await runtime.remove(work.container);
      return DONE;
    case 'relabel':
      await runtime.relabel(work.container, work.labels);
      return DONE;
    case 'tear-down-network':
      await network.tearDown(work.allocation);
      return DONE;
    case 'discard-files':
      await store.discard(work.allocation, 'files-and-logs');
      return DONE;
    case 'probe':
      return { kind: 'answer', answer: await probe(work, ports) };
    case 'remove-image':
      await runtime.removeImage(work.name);
      return DONE;
    case 'remove-volume':
      await store.removeVolume(work.volume);
      return DONE;
  }
};

const probe = (
  work: Extract<Work, { kind: 'probe' }>,
  ports: RunnerPorts,
): Promise<ProbeAnswer> => {
  if (work.work.kind === 'network') return ports.probes.probe(work.work.ask);
  return execProbe(work.place.container, work.work, ports);
};

/** Exit code 0 within the time is good. */
const execProbe = async (
  container: string,
  { command, timeoutMs }: { readonly command: readonly string[]; readonly timeoutMs: Ms },
  ports: RunnerPorts,
): Promise<ProbeAnswer> => {
  const session = await ports.runtime.exec({ container, args: command, env: [], tty: null });
  const output = tail(session.output);
  const late = new AbortController();
  const timeout = ports.clock
    .sleepUntil(ports.clock.now() + timeoutMs, late.signal)
    .then(() => 'late' as const)
    .catch(() => 'late' as const);
  const first = await Promise.race([session.exit, timeout]);
  late.abort();
  if (first === 'late') {
    const SIGKILL = 9;
    await session.kill(SIGKILL);
    return { ok: false, message: `${command.join(' ')}: no answer within ${timeoutMs} ms` };
  }
  if (first.code === 0) return { ok: true };
  const said = (await output).trim();
  const how = `${command.join(' ')}: exit code ${first.code ?? 'unknown'}`;
  return { ok: false, message: said === '' ? how : `${how}: ${said}` };
};

/** The last bytes; read to the end, since a session whose output nobody takes does not end. */
const tail = async (output: AsyncIterable<{ readonly data: Uint8Array }>): Promise<string> => {
  let kept = new Uint8Array();
  try {
    for await (const { data } of output) {
      const both = new Uint8Array(kept.length + data.length);
      both.set(kept);
      both.set(data, kept.length);
      kept = both.slice(-CHECK_OUTPUT_BYTES);
    }
  } catch {
    // The check's exit is what counts; its words are a courtesy.
  }
  return new TextDecoder().decode(kept);
};

/**
 * What a port threw. Anything but a RuntimeFailure is a bug of ours or of an edge: shown, and tried
 * again.
 */
export const asFailure = (thrown: unknown): RuntimeFailure => {
  if (
    typeof thrown === 'object' &&
    thrown !== null &&
    'kind' in thrown &&
    thrown.kind === 'runtime-failure'
  ) {
    return thrown as RuntimeFailure;
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return {
    kind: 'runtime-failure',
    consequence: 'retry',
    blame: 'platform',
    reason: 'other',
    message,
  };
};
