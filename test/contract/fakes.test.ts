// The simulator's versions of the ports, under the same contracts as the real ones.

import { byPerson, createRepo } from '../sim/fake/git.ts';
import { createMachine } from '../sim/fake/machine.ts';
import { createDisk, createNetwork, createNodeClock, createStore } from '../sim/fake/node.ts';
import { createRegistry, ENTRYPOINT, GOOD, type Behaviour } from '../sim/fake/registry.ts';
import { createRuntime } from '../sim/fake/runtime.ts';
import { createProcess } from '../sim/process.ts';
import { startTime } from '../support/sim-time.ts';
import { networkSuite } from '../support/suites/network.ts';
import { storeSuite } from '../support/suites/store.ts';
import { type Program, runtimeSuite } from './runtime-suite.ts';
import { sourceSuite, type PersonFiles } from './source-suite.ts';

/** Virtual time that goes on by itself, for tests that only await. */
const startNode = () => {
  const { time, close } = startTime();
  const registry = createRegistry(time);
  const nothing = () => undefined;
  const watch = { started: nothing, ended: nothing, signalled: nothing };
  const machine = createMachine({ time, name: 'n1', registry, watch });
  const shared = { time, machine, disk: createDisk(), clock: createNodeClock(time, 'n1', 1) };
  /** The parts of a new runner on the same machine. */
  const runner = () => ({
    ...shared,
    process: createProcess(time, 'runner'),
    accepted: () => undefined,
  });
  return { time, registry, machine, close, runner };
};

const EXITS = [0, 1, 2, 3, 7];

const exits = (code: number): Behaviour => ({
  ...GOOD,
  crash: { afterMs: 1, code, outOfMemory: false },
});

/** An image with a command for each program of the suite. */
const content = {
  programs: {
    '/deaf': { behaviour: { ...GOOD, stopsAfterMs: null }, says: '' },
    '/hello': { behaviour: exits(3), says: 'hello\n' },
    ...Object.fromEntries(
      EXITS.map((code) => [`/exit-${code}`, { behaviour: exits(code), says: '' }]),
    ),
  },
  users: { app: { uid: 1000, gid: 29 } },
};

const commandOf = (program: Program): string => {
  switch (program.kind) {
    case 'run':
      return program.heedsTerm ? ENTRYPOINT : '/deaf';
    case 'exit':
      return `/exit-${program.code}`;
    case 'absent':
      return '/absent';
  }
};

runtimeSuite('simulated: the contract of RuntimePort', () => {
  const { time, registry, machine, close } = startNode();
  const { repository, digest } = registry.push('registry.sim/app', 'v1', GOOD, content);
  const process = createProcess(time, 'runner');
  return Promise.resolve({
    runtime: createRuntime({ time, process, machine, registry }),
    image: { repository, digest },
    missing: { repository, digest: `sha256:${'1'.repeat(64)}` },
    spec: (_id, program) => ({ process: { args: [commandOf(program)] } }),
    user: { name: 'app', uid: 1000, gid: 29 },
    hello: ['/hello'],
    hasBegun: () => Promise.resolve(true),
    loseTask: (): Promise<void> => {
      machine.powerOff();
      machine.powerOn();
      return Promise.resolve();
    },
    close,
  });
});

storeSuite('simulated', () => {
  const { runner, close } = startNode();
  const open = () => Promise.resolve(createStore(runner()));
  return Promise.resolve({ port: createStore(runner()), restart: open, close });
});

networkSuite('simulated', () => {
  const { runner, close } = startNode();
  const open = () => Promise.resolve(createNetwork(runner()));
  return Promise.resolve({ port: createNetwork(runner()), restart: open, close });
});

sourceSuite('simulated', () => {
  const { time, close } = startTime();
  const repo = createRepo({ time, first: new Map([['cluster.yaml', 'name: c1\n']]), local: false });
  const change = (files: PersonFiles, message: string) => {
    const made = byPerson(new Map(Object.entries(files)), message);
    return { ...made, author: { ...made.author, email: 'ada@example.org' } };
  };
  const open = () => repo.port(createProcess(time, 'reconciler'));
  return Promise.resolve({
    source: open(),
    commit: (files, message) => Promise.resolve(repo.push(change(files, message)).info.oid),
    rewrite: (to, files) => Promise.resolve(repo.rewrite(to, change(files, 'rewritten')).info.oid),
    another: () => Promise.resolve(open()),
    local: false,
    close,
  });
});
