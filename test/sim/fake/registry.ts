// A registry of images that behave as their author says: the bytes of a version are its behaviour.
// In: a reference and what its programs do. Out: digests for the reconciler, image facts for the
// machines.
// Not here: pulling (machine.ts), who pushes which version (human.ts).

import { sha256 } from '../../../schema/hash.ts';
import type { DigestAsk, LookupAnswer } from '../../../schema/source.ts';
import type { Ms } from '../../../schema/spec.ts';
import type { RegistryPort } from '../../../reconciler/ports.ts';
import type { Process } from '../process.ts';
import type { SimTime } from '../time.ts';

/** What the program in an image does. */
export interface Behaviour {
  /** Checks pass from then on; null: never. */
  readonly healthyAfterMs: Ms | null;
  /** It ends by itself after so long; null: never. */
  readonly crash: {
    readonly afterMs: Ms;
    readonly code: number;
    readonly outOfMemory: boolean;
  } | null;
  /** It ends so long after its stop signal; null: it ignores the signal. */
  readonly stopsAfterMs: Ms | null;
  readonly pull: 'ok' | 'never' | 'not-found';
  readonly commandFound: boolean;
}

export const GOOD: Behaviour = {
  healthyAfterMs: 1_000,
  crash: null,
  stopsAfterMs: 500,
  pull: 'ok',
  commandFound: true,
};

export interface SimImage {
  readonly repository: string;
  readonly digest: string;
  readonly behaviour: Behaviour;
}

export interface Registry {
  /** Pushes under `repository:tag`; the same tag and behaviour give the same digest. */
  readonly push: (repository: string, tag: string, behaviour: Behaviour) => SimImage;
  readonly byDigest: (digest: string) => SimImage | null;
  readonly port: (process: Process) => RegistryPort;
  /** Not answering at all: 5xx. */
  down: boolean;
}

export const createRegistry = (time: SimTime): Registry => {
  const tags = new Map<string, string>();
  const images = new Map<string, SimImage>();
  const random = time.random.fork('registry');
  const answer = ({ reference }: DigestAsk): LookupAnswer => {
    if (registry.down) {
      return {
        kind: 'failed',
        why: 'unreachable',
        message: 'The registry answers 503.',
        sinceMs: 0,
      };
    }
    const digest = tags.get(reference);
    if (digest !== undefined) return { kind: 'digest', digest };
    const message = `The registry has no manifest ${reference}.`;
    return { kind: 'failed', why: 'not-found', message, sinceMs: 0 };
  };
  const registry: Registry = {
    down: false,
    push: (repository, tag, behaviour) => {
      const digest = `sha256:${sha256(`${repository} ${tag} ${JSON.stringify(behaviour)}`)}`;
      const image = { repository, digest, behaviour };
      if (behaviour.pull !== 'not-found') tags.set(`${repository}:${tag}`, digest);
      images.set(digest, image);
      return image;
    },
    byDigest: (digest) => images.get(digest) ?? null,
    port: (process) => ({
      resolve: (ask) =>
        process.call(`resolve ${ask.reference}`, random.between(20, 400), () => answer(ask)),
    }),
  };
  return registry;
};
