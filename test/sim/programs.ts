// The programs under test, started on ports of the simulation: nothing of them is replaced.
// In: ports. Out: they run until their process dies. Not here: the ports (world.ts).

import type { RunnerPorts } from '../../node-runner/ports.ts';
import type { View } from '../../reconciler/cycle.ts';
import { createLoop } from '../../reconciler/loop.ts';
import type { ReconcilerPorts } from '../../reconciler/ports.ts';
import type { SimNode } from './truth.ts';

export const startReconciler = (ports: ReconcilerPorts, seen: (view: View) => void): void => {
  const loop = createLoop(ports);
  loop.watch(({ view }) => {
    if (view !== null) seen(view);
  });
  void loop.run(new AbortController().signal);
};

export const startRunner = (ports: RunnerPorts, node: SimNode): void => {
  void ports;
  void node;
};
