// What a runner can do: the actions that decide asks for, each with all it needs.
// In: nothing. Out: types, and the key by which an action under way is recognised.
// Not here: when (decide.ts and its parts), how (execute.ts over the ports).

import type { CreateAsk, ImageFacts, NetworkAsk, PrepareAsk, ProbeAsk } from '../ports.ts';
import type { Ms } from '../../schema/spec.ts';
import type { AllocationMark, CheckRole, Lane } from './inventory.ts';

/** One task's container. */
export interface TaskPlace {
  readonly allocation: string;
  readonly task: string;
  readonly container: string;
}

export type ProbeWork =
  | { readonly kind: 'network'; readonly ask: ProbeAsk }
  | { readonly kind: 'exec'; readonly command: readonly string[]; readonly timeoutMs: Ms };

/** Takes time, may fail, holds a place of its lane while it runs. */
export type Work =
  | {
      readonly kind: 'pull';
      readonly name: string;
      readonly repository: string;
      readonly digest: string;
    }
  | { readonly kind: 'resolve-user'; readonly image: ImageFacts; readonly user: string }
  | { readonly kind: 'set-up-network'; readonly ask: NetworkAsk }
  | { readonly kind: 'prepare'; readonly ask: PrepareAsk }
  | { readonly kind: 'create'; readonly place: TaskPlace; readonly ask: CreateAsk }
  | { readonly kind: 'start'; readonly place: TaskPlace }
  /** Takes away the ended task and makes a new one in the same container, not yet started. */
  | { readonly kind: 'restart'; readonly place: TaskPlace }
  | {
      readonly kind: 'kill';
      readonly place: TaskPlace;
      readonly signal: number;
      readonly all: boolean;
    }
  | { readonly kind: 'remove'; readonly container: string }
  | {
      readonly kind: 'relabel';
      readonly container: string;
      readonly labels: Readonly<Record<string, string>>;
    }
  | { readonly kind: 'tear-down-network'; readonly allocation: string }
  | { readonly kind: 'discard-files'; readonly allocation: string }
  | {
      readonly kind: 'probe';
      readonly place: TaskPlace;
      readonly role: CheckRole;
      readonly work: ProbeWork;
    }
  | { readonly kind: 'remove-image'; readonly name: string }
  /** The folder of a named volume whose home was ended. */
  | { readonly kind: 'remove-volume'; readonly volume: string };

/** Only changes what the runner remembers: done at once, cannot fail. */
export type Note =
  | { readonly kind: 'remember'; readonly mark: AllocationMark }
  | { readonly kind: 'forget'; readonly allocation: string }
  /** Nothing more to do before this instant, unless something happens. */
  | { readonly kind: 'wait'; readonly until: Ms };

export type Action = Work | Note;

/** Work that shares a key never overlaps: a container has one thing done to it at a time. */
export const workKey = (work: Work): string => {
  switch (work.kind) {
    case 'pull':
    case 'remove-image':
      return imageKey(work.name);
    case 'resolve-user':
      return `user ${work.image.name} ${work.user}`;
    case 'set-up-network':
      return networkKey(work.ask.allocation);
    case 'tear-down-network':
      return networkKey(work.allocation);
    case 'prepare':
      return filesKey(work.ask.allocation);
    case 'discard-files':
      return filesKey(work.allocation);
    case 'create':
    case 'start':
    case 'restart':
    case 'kill':
      return containerKey(work.place.container);
    case 'remove':
    case 'relabel':
      return containerKey(work.container);
    case 'probe':
      return probeKey(work.place.container, work.role);
    case 'remove-volume':
      return volumeKey(work.volume);
  }
};

/** The one allocation that the work is for; null where it is known by its container or image. */
export const allocationOf = (work: Work): string | null => {
  switch (work.kind) {
    case 'create':
    case 'start':
    case 'restart':
    case 'kill':
    case 'probe':
      return work.place.allocation;
    case 'set-up-network':
    case 'prepare':
      return work.ask.allocation;
    case 'tear-down-network':
    case 'discard-files':
      return work.allocation;
    case 'pull':
    case 'resolve-user':
    case 'remove':
    case 'relabel':
    case 'remove-image':
    case 'remove-volume':
      return null;
  }
};

export const imageKey = (name: string): string => `image ${name}`;
export const networkKey = (allocation: string): string => `network ${allocation}`;
export const filesKey = (allocation: string): string => `files ${allocation}`;
export const containerKey = (container: string): string => `container ${container}`;
export const volumeKey = (volume: string): string => `volume ${volume}`;
export const probeKey = (container: string, role: CheckRole): string =>
  `probe ${container} ${role}`;

const LANES: Readonly<Record<Work['kind'], Lane>> = {
  pull: 'pull',
  'resolve-user': 'files',
  'set-up-network': 'network',
  prepare: 'files',
  create: 'create',
  start: 'start',
  restart: 'create',
  kill: 'kill',
  remove: 'remove',
  relabel: 'label',
  'tear-down-network': 'network',
  'discard-files': 'files',
  probe: 'probe',
  'remove-image': 'pull',
  'remove-volume': 'files',
};

export const laneOf = (kind: Work['kind']): Lane => LANES[kind];

/**
 * Work that may be done: made only when its lane has a place, since some of it is costly to spell
 * out.
 */
export interface Intent {
  readonly kind: Work['kind'];
  readonly key: string;
  readonly make: () => Work;
}

export const intent = (work: Work): Intent => ({
  kind: work.kind,
  key: workKey(work),
  make: () => work,
});
