// What must hold of tasks in order (rules 15), as seen by the machine itself.
// In: containers that begin and end. Out: violations. Not here: the order (schema/lifecycle.ts);
// this is written down a second time on purpose, kind by kind.

import type { TaskSpec } from '../../schema/spec.ts';
import type { Context } from './check-context.ts';
import type { Machine, SimContainer } from './fake/machine.ts';
import { allocationOf, type Truth } from './truth.ts';

/**
 * A start that was asked of containerd may take effect when the runner that asked is dead and the
 * next one has begun to stop the copy: such a task is seen and ended, but what it needs may be gone.
 */
const LATE_START_MS = 30_000;

type Kind = NonNullable<TaskSpec['lifecycle']> | 'main';

export interface LifecycleCheck {
  readonly started: (machine: Machine, container: SimContainer) => void;
  readonly ended: (machine: Machine, container: SimContainer) => void;
  /** Starts and ends that were looked at, by kind: a check that saw nothing says nothing. */
  readonly seen: Readonly<Record<Kind, number>>;
}

export const createLifecycleCheck = (truth: Truth, fail: Context['fail']): LifecycleCheck => {
  /** Containers that ended with exit code 0, and those that ever ran. */
  const succeeded = new Set<string>();
  const ran = new Set<string>();
  const seen = { prestart: 0, sidecar: 0, main: 0, poststart: 0, poststop: 0 };
  const keyOf = (machine: Machine, id: string): string => `${machine.name} ${id}`;
  const siblings = (container: SimContainer) => {
    const allocation = allocationOf(container) ?? '';
    const body = truth.bodies.get(allocation);
    const tasks = (body?.spec.tasks ?? []).map((task) => ({
      id: `${allocation}.${task.name}`,
      kind: task.lifecycle ?? ('main' as const),
    }));
    return tasks.every(({ kind }) => kind === 'main') ? null : tasks;
  };
  const runs = (machine: Machine, id: string): boolean =>
    machine.containers.get(id)?.task === 'running';
  const isFresh = (machine: Machine, id: string): boolean =>
    truth.time.now() - (machine.containers.get(id)?.startedAt ?? 0) < LATE_START_MS;

  const started = (machine: Machine, container: SimContainer): void => {
    const tasks = siblings(container);
    const own = tasks?.find(({ id }) => id === container.id);
    ran.add(keyOf(machine, container.id));
    if (tasks === null || own === undefined) return;
    seen[own.kind] += 1;
    const says = (what: string): void =>
      fail('order', `${own.kind} ${container.id} begins on ${machine.name} ${what}`);
    for (const { id, kind } of tasks) {
      if (id === container.id) continue;
      const [isRunning, isDone] = [runs(machine, id), succeeded.has(keyOf(machine, id))];
      if (own.kind === 'main' && kind === 'prestart' && !isDone) says(`before ${id} succeeded`);
      if (own.kind === 'main' && kind === 'prestart' && isRunning) says(`while ${id} runs`);
      if (own.kind === 'main' && kind === 'sidecar' && !ran.has(keyOf(machine, id))) {
        says(`before its sidecar ${id}`);
      }
      if (own.kind === 'prestart' && kind === 'main' && isRunning) says(`while ${id} runs`);
      if (own.kind === 'poststart' && kind === 'main' && !ran.has(keyOf(machine, id))) {
        says(`before ${id}`);
      }
      if (own.kind === 'poststop' && isRunning && kind !== 'poststop' && !isFresh(machine, id)) {
        says(`while ${id} runs`);
      }
    }
  };

  const ended = (machine: Machine, container: SimContainer): void => {
    const tasks = siblings(container);
    const own = tasks?.find(({ id }) => id === container.id);
    const key = keyOf(machine, container.id);
    if (container.exit?.code === 0) succeeded.add(key);
    if (tasks === null || own === undefined) return;
    if (!machine.powered()) {
      for (const { id, kind } of tasks) {
        if (kind === 'prestart' || kind === 'poststart') succeeded.delete(keyOf(machine, id));
      }
      return;
    }
    if (own.kind !== 'sidecar') return;
    const main = tasks.find(
      ({ id, kind }) => kind === 'main' && runs(machine, id) && !isFresh(machine, id),
    );
    if (main === undefined) return;
    fail('order', `sidecar ${container.id} ends on ${machine.name} while ${main.id} runs`);
  };
  return { started, ended, seen };
};
