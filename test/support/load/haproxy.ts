// The real HAProxy in a node's namespace, in front of the services that the node's runner keeps in a
// file, as docs/DISCOVERY.md tells people to run it: reloaded whenever the file becomes another.
// In: a namespace, the file, an address. Out: counts, its log. Not here: who asks it.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, watch, writeFileSync } from 'node:fs';
import path from 'node:path';
import { tryCommand } from '../../../node-runner/edge/command.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import { askOnce, SERVED_BY } from '../../../bench/support/ask.ts';

export interface Haproxy {
  readonly reloads: () => number;
  /** Files that it refused, and what it said. */
  readonly refused: readonly string[];
  /** The newest of its log: requests that did not go well at once. */
  readonly tail: (lines: number) => string;
  readonly close: () => Promise<void>;
}

export interface HaproxyAsk {
  readonly netns: string;
  /** Folder for its configuration and log. */
  readonly folder: string;
  /** Kept up to date by a runner. */
  readonly backends: string;
  readonly host: string;
  readonly port: number;
}

/** What a person writes: defaults as in docs/DISCOVERY.md, and each service by its host name. */
const configOf = ({ host, port }: HaproxyAsk): string => `
global
    log stdout format raw local0

defaults
    mode http
    log global
    option httplog
    option dontlog-normal
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    retries 3
    option redispatch 1
    retry-on conn-failure empty-response
    option idle-close-on-response

frontend shop
    bind ${host}:${port}
    http-after-response set-header ${SERVED_BY} %s
    use_backend %[req.hdr(host),field(2,.)]_%[req.hdr(host),field(1,.)]
`;

const LOOK_EVERY_MS = 50;

export const startHaproxy = async (ask: HaproxyAsk): Promise<Haproxy> => {
  const own = path.join(ask.folder, 'haproxy.cfg');
  const log = path.join(ask.folder, 'haproxy.log');
  writeFileSync(own, configOf(ask));
  const files = ['-f', own, '-f', ask.backends];
  const child = startMaster(ask.netns, files, log);
  const master = await pidOf(child);
  // Whatever it says: it is no site of ours that is asked for.
  while ((await askOnce(ask)).connectedMs === null) await sleep(LOOK_EVERY_MS);
  const refused: string[] = [];
  let reloads = 0;
  let running: Promise<void> | null = null;
  let isAgain = false;
  // As the path unit does: what comes while it is reloaded is one reload more.
  const reload = async (): Promise<void> => {
    while (isAgain) {
      isAgain = false;
      const checked = await tryCommand({ program: 'haproxy', args: ['-c', '-q', ...files] });
      if (checked.code === 0) process.kill(master, 'SIGUSR2');
      else refused.push(checked.stdout + checked.stderr);
      reloads += 1;
    }
    running = null;
  };
  const watcher = watch(path.dirname(ask.backends), (_event, name) => {
    if (name !== path.basename(ask.backends)) return;
    isAgain = true;
    running ??= reload();
  });
  return {
    reloads: () => reloads,
    refused,
    tail: (lines) => readFileSync(log, 'utf8').trimEnd().split('\n').slice(-lines).join('\n'),
    close: async () => {
      watcher.close();
      await running;
      const ended = once(child, 'exit');
      child.stdin?.end();
      await ended;
    },
  };
};

/** A shell ends it when its standard input closes: HAProxy would outlive a test that was killed. */
const startMaster = (netns: string, files: readonly string[], log: string): ChildProcess => {
  const script = 'haproxy -W "$@" >&2 & p=$!; echo $p; cat > /dev/null; kill $p; wait $p';
  const out = openSync(log, 'a', 0o600);
  const inside = [`--net=/run/netns/${netns}`, '--', 'sh', '-c', script, 'sh', ...files];
  const child = spawn('nsenter', inside, { stdio: ['pipe', 'pipe', out] });
  closeSync(out);
  return child;
};

const pidOf = async (child: ChildProcess): Promise<number> => {
  const [said] = (await once(child.stdout ?? child, 'data')) as [Buffer];
  return Number(said.toString());
};
