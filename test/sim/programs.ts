// The programs under test, started on ports of the simulation: nothing of them is replaced.
// In: ports. Out: they run until their process dies. Not here: the ports (world.ts).

import type { RunnerPorts } from '../../node-runner/ports.ts';
import { guardStopAfter, startsGuarded } from '../../node-runner/stop-after.ts';
import { createBehinds } from '../../reconciler/behinds.ts';
import type { View } from '../../reconciler/cycle.ts';
import { createLoop } from '../../reconciler/loop.ts';
import type { ForgePort, ReconcilerPorts, SourcePort } from '../../reconciler/ports.ts';
import { createScreen } from '../../reconciler/screen.ts';
import type { Screenable } from '../../reconciler/screened-line.ts';
import { createTick } from '../../node-runner/tick.ts';
import { CLUSTER_NAME } from './drafts.ts';
import type { WatchdogPorts } from './fake/watchdog.ts';
import type { SimNode } from './truth.ts';

export interface ReconcilerParts extends Omit<ReconcilerPorts, 'source'> {
  readonly source: SourcePort & Screenable;
  readonly clock: ReconcilerPorts['clock'] & { readonly epochMs: () => number };
  /** Asks the forge. */
  readonly behind: ForgePort['behind'];
}

export const startReconciler = (parts: ReconcilerParts, seen: (view: View) => void): void => {
  const { clock, log, behind } = parts;
  const people = createBehinds({ ask: behind, clock, log, wake: () => loop.wake() });
  const source = createScreen(parts.source, { people, epochMs: clock.epochMs });
  const loop = createLoop({ ...parts, source });
  loop.watch(({ view }) => {
    if (view !== null) seen(view);
  });
  void loop.run(new AbortController().signal);
};

export interface RunnerParts {
  readonly ports: RunnerPorts;
  readonly watchdogs: WatchdogPorts;
}

export const startRunner = ({ ports, watchdogs }: RunnerParts, node: SimNode): void => {
  const { name, cpuMilli, memoryBytes } = node;
  const config = {
    node: name,
    cluster: CLUSTER_NAME,
    address: `10.0.0.${name.slice(1)}`,
    architecture: 'amd64',
    capacity: { cpuMilli, memoryBytes },
    attributes: [
      ['node.arch', 'amd64'],
      ['node.os', 'linux'],
    ],
    cgroupParent: `/purser/${name}`,
    resolvConf: '',
    diskReserveBytes: 1e9,
  } as const;
  const stopAfter = {
    watchdog: watchdogs.watchdog,
    inventory: () => tick.inventory(),
    folderOf: (cgroup: string) => cgroup,
    clock: ports.clock,
  };
  const guarded = { ...stopAfter, watchdog: watchdogs.atStart };
  const runtime = startsGuarded(ports.runtime, guarded);
  const tick = createTick({ ...ports, runtime }, config);
  const { signal } = new AbortController();
  void tick.run(signal);
  void guardStopAfter({ ...stopAfter, log: ports.log, signal });
};
