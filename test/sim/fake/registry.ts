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
  /** It listens nowhere: a check of the group's port is answered by another. Absent: it listens. */
  readonly isMute?: true;
}

export const GOOD: Behaviour = {
  healthyAfterMs: 1_000,
  crash: null,
  stopsAfterMs: 500,
  pull: 'ok',
  commandFound: true,
};

/** What one command of an image does. */
export interface SimProgram {
  readonly behaviour: Behaviour;
  /** All that it prints. */
  readonly says: string;
}

/** What is in an image beside its own program. */
export interface SimContent {
  /** By the command's first word. */
  readonly programs: Readonly<Record<string, SimProgram>>;
  /** Its /etc/passwd. */
  readonly users: Readonly<Record<string, { readonly uid: number; readonly gid: number }>>;
}

export interface SimImage extends SimContent {
  readonly repository: string;
  readonly digest: string;
  /** Of its own program. */
  readonly behaviour: Behaviour;
}

/** The image's own program. */
export const ENTRYPOINT = '/app';

const NOTHING_ELSE: SimContent = { programs: {}, users: {} };

export interface Registry {
  /** Pushes under `repository:tag`; the same tag and behaviour give the same digest. */
  readonly push: (
    repository: string,
    tag: string,
    behaviour: Behaviour,
    content?: SimContent,
  ) => SimImage;
  readonly byDigest: (digest: string) => SimImage | null;
  /** Null where the image has no such command. */
  readonly program: (digest: string, command: string) => SimProgram | null;
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
    push: (repository, tag, behaviour, content = NOTHING_ELSE) => {
      const digest = `sha256:${sha256(`${repository} ${tag} ${JSON.stringify(behaviour)}`)}`;
      const image = { repository, digest, behaviour, ...content };
      if (behaviour.pull !== 'not-found') tags.set(`${repository}:${tag}`, digest);
      images.set(digest, image);
      return image;
    },
    byDigest: (digest) => images.get(digest) ?? null,
    program: (digest, command) => {
      const image = images.get(digest);
      if (image === undefined || command !== ENTRYPOINT) return image?.programs[command] ?? null;
      const { behaviour } = image;
      return behaviour.commandFound ? { behaviour, says: '' } : null;
    },
    port: (process) => ({
      resolve: (ask) =>
        process.call(`resolve ${ask.reference}`, random.between(20, 400), () => answer(ask)),
    }),
  };
  return registry;
};
