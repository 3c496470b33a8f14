// RuntimePort of one runner process on one machine: every call takes time, and may fail, be late,
// or be lost.
// In: a machine and a process. Out: the port. The machine does what was asked even when the process
// dies waiting.
// Not here: what a container does (machine.ts).

import type {
  ExecAsk,
  ExecSession,
  ImageFacts,
  ResolvedUser,
  RuntimeEvent,
  RuntimePort,
} from '../../../node-runner/ports.ts';
import { RuntimeError } from '../../../node-runner/edge/runtime-error.ts';
import { compareText } from '../../../schema/ids.ts';
import type { Ms } from '../../../schema/spec.ts';
import type { Process } from '../process.ts';
import type { SimTime } from '../time.ts';
import type { Machine } from './machine.ts';
import { ENTRYPOINT, type Registry, type SimImage } from './registry.ts';

export interface RuntimeOptions {
  readonly time: SimTime;
  readonly process: Process;
  readonly machine: Machine;
  readonly registry: Registry;
}

/** Sizes and words that no rule looks at. */
const IMAGE_BYTES = 10 * 1024 * 1024;
/** A registry that sends nothing for so long is given up, as in edge/containerd/registry.ts. */
const IDLE_MS: Ms = 30_000;

export const createRuntime = (options: RuntimeOptions): RuntimePort => {
  const { time, process, machine, registry } = options;
  const random = time.random.fork(`runtime ${process.name}`);
  const latency = (): Ms =>
    random.chance(machine.faults.late) ? random.between(2_000, 15_000) : random.between(1, 20);
  const ask = <T>(label: string, effect: () => T): Promise<T> =>
    process.call(label, latency(), () => {
      if (!machine.powered()) throw new RuntimeError('unavailable', 'The machine is off.');
      if (random.chance(machine.faults.failBefore)) {
        throw new RuntimeError('unavailable', 'containerd does not answer.');
      }
      const value = effect();
      if (random.chance(machine.faults.failAfter)) {
        throw new RuntimeError('unavailable', 'containerd did not answer in time.');
      }
      return value;
    });
  const pullMs = (): Ms => random.between(200, 4_000);

  return {
    version: () => ask('version', () => '1.6.20'),
    list: () => ask('list', machine.list),
    images: () =>
      ask('images', () =>
        [...machine.images.values()].toSorted((a, b) => compareText(a.name, b.name)),
      ),
    pull: ({ repository, digest }, { signal }) => {
      if (signal?.aborted === true) return Promise.reject(aborted());
      const name = `${repository}@${digest}`;
      const present = machine.images.get(name);
      if (present !== undefined) return ask(`pull ${name}`, () => present);
      const image = registry.byDigest(digest);
      return pull({ ...options, name, image, takesMs: pullMs(), signal: signal ?? null });
    },
    removeImage: (name) => ask(`remove image ${name}`, () => void machine.images.delete(name)),
    resolveUser: (image, user) =>
      ask(`user ${user}`, () => userOf(registry.byDigest(image.digest)?.users ?? {}, user)),
    create: (create) => ask(`create ${create.id}`, () => ({ pid: machine.create(create) })),
    start: (id) => ask(`start ${id}`, () => machine.start(id)),
    kill: (id, signal) => ask(`kill ${id} ${signal}`, () => machine.signal(id, signal)),
    remove: (id) => ask(`remove ${id}`, () => machine.remove(id)),
    restart: (id, spec) => ask(`restart ${id}`, () => ({ pid: machine.again(id, spec) })),
    relabel: (id, labels) =>
      ask(`relabel ${id}`, () => void (machine.find(id).labels = { ...labels })),
    exec: (what) => ask(`exec ${what.container}`, () => execSession(options, what)),
    events: (signal) => events(options, signal),
  };
};

interface PullAsk extends RuntimeOptions {
  readonly name: string;
  readonly image: SimImage | null;
  readonly takesMs: Ms;
  readonly signal: AbortSignal | null;
}

/** A pull goes on in the background until it is done, fails, or is called off. */
const pull = ({ time, process, machine, registry, name, image, takesMs, signal }: PullAsk) =>
  process.later<ImageFacts>((done) => {
    const finish = (): void => {
      if (!machine.powered())
        return done.reject(new RuntimeError('unavailable', 'The machine is off.'));
      if (registry.down)
        return done.reject(new RuntimeError('registry', 'The registry answers 503.'));
      if (image === null || image.behaviour.pull === 'not-found') {
        return done.reject(new RuntimeError('image-not-found', `${name} is not in the registry.`));
      }
      const facts = factsOf(name, image);
      machine.images.set(name, facts);
      done.resolve(facts);
    };
    const abort = (): void => {
      cancel();
      done.reject(aborted());
    };
    signal?.addEventListener('abort', abort);
    const label = `${process.name} pull ${name}`;
    const hangs = image?.behaviour.pull === 'never' && !registry.down;
    const cancel = time.after(hangs ? IDLE_MS : takesMs, label, () => {
      signal?.removeEventListener('abort', abort);
      if (hangs) done.reject(new RuntimeError('registry', `No answer for ${IDLE_MS / 1000} s.`));
      else finish();
    });
  });

const factsOf = (name: string, { digest }: SimImage): ImageFacts => ({
  name,
  digest,
  chainId: digest,
  sizeBytes: IMAGE_BYTES,
  entrypoint: [ENTRYPOINT],
  command: [],
  environment: ['PATH=/bin'],
  workingDir: '/',
  user: '',
  stopSignal: null,
});

const aborted = (): DOMException => new DOMException('The pull was called off.', 'AbortError');

/** Numbers are themselves; a name stands in the image, or the version is wrong. */
const userOf = (users: SimImage['users'], user: string): ResolvedUser => {
  const [uid, gid] = (user === '' ? '0:0' : user).split(':').map(Number);
  if (Number.isInteger(uid) && Number.isInteger(gid))
    return { uid: uid ?? 0, gid: gid ?? 0, additionalGids: [] };
  const found = users[user] ?? Object.values(users).find((each) => each.uid === uid);
  if (found !== undefined) return { ...found, additionalGids: [] };
  if (Number.isInteger(uid)) return { uid: uid ?? 0, gid: 0, additionalGids: [] };
  throw new RuntimeError('bad-spec', `The image knows no user "${user}".`);
};

/** A command of the image, which prints its words and ends as it does. */
const execSession = (
  { process, machine, registry }: RuntimeOptions,
  { container, args }: ExecAsk,
): ExecSession => {
  const { task, image } = machine.find(container);
  if (task === 'none') throw new RuntimeError('not-found', `${container} has no task.`);
  if (task === 'stopped') throw new RuntimeError('other', `${container} has ended.`);
  const program = registry.program(image.digest, args[0] ?? '');
  if (program === null) throw new RuntimeError('command-not-found', `There is no ${args[0]}.`);
  const { crash } = program.behaviour;
  const exit = process.call('exec ends', crash?.afterMs ?? 0, () => ({
    code: crash?.code ?? 0,
    signal: null,
    known: true,
    at: null,
  }));
  return {
    output: printed(program.says),
    write: () => Promise.resolve(),
    closeInput: () => Promise.resolve(),
    resize: () => Promise.resolve(),
    kill: () => Promise.resolve(),
    exit,
  };
};

const printed = async function* (
  text: string,
): AsyncGenerator<{ readonly stream: 'stdout'; readonly data: Uint8Array }> {
  yield { stream: 'stdout', data: Buffer.from(text) };
};

/**
 * The event stream: `resync` first, then what happens, until the signal or the death of the
 * process.
 */
const events = async function* (
  { process, machine }: RuntimeOptions,
  signal: AbortSignal,
): AsyncGenerator<RuntimeEvent> {
  const queue: RuntimeEvent[] = [{ kind: 'resync' }];
  let wake = (): void => undefined;
  const listener = (event: RuntimeEvent): void => {
    queue.push(event);
    wake();
  };
  machine.listeners.add(listener);
  process.onDeath(() => machine.listeners.delete(listener));
  signal.addEventListener('abort', () => {
    machine.listeners.delete(listener);
    wake();
  });
  while (!signal.aborted) {
    const event = queue.shift();
    if (event !== undefined) yield event;
    else {
      await new Promise<void>((resolve) => {
        wake = process.guard(resolve);
      });
    }
  }
};
