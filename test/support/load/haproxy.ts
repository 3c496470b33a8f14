// The real HAProxy in a node's namespace, in front of the services that the node's runner keeps in a
// file, as docs/DISCOVERY.md tells people to run it: reloaded whenever the file becomes another.
// In: a namespace, the file, an address. Out: counts, its log. Not here: who asks it.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { prefer } from '../../../cli/up/children.ts';
import { askOnce, SERVED_BY } from '../../../bench/support/ask.ts';

export interface Haproxy {
  readonly reloads: () => number;
  /** Files that it refused. */
  readonly refused: () => number;
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
/** As of `nice`: a load balancer has a machine of its own. */
const PRIORITY = -15;

export const startHaproxy = async (ask: HaproxyAsk): Promise<Haproxy> => {
  const own = path.join(ask.folder, 'haproxy.cfg');
  const log = path.join(ask.folder, 'haproxy.log');
  writeFileSync(own, configOf(ask));
  const words = [
    ask.backends,
    path.join(ask.folder, 'haproxy.seen'),
    '-f',
    own,
    '-f',
    ask.backends,
  ];
  const { child, stdin, stdout } = startShell(ask.netns, words, log);
  if (child.pid !== undefined) prefer(child.pid, PRIORITY);
  let reloads = 0;
  let refused = 0;
  createInterface({ input: stdout }).on('line', (line) => {
    if (line === 'reloaded') reloads += 1;
    else refused += 1;
  });
  // Whatever it says: it is no site of ours that is asked for.
  while ((await askOnce(ask)).connectedMs === null) await sleep(LOOK_EVERY_MS);
  return {
    reloads: () => reloads,
    refused: () => refused,
    tail: (lines) => readFileSync(log, 'utf8').trimEnd().split('\n').slice(-lines).join('\n'),
    close: async () => {
      const ended = once(child, 'exit');
      stdin.end();
      await ended;
    },
  };
};

/**
 * As docs/DISCOVERY.md has it: HAProxy loses a signal that comes while it is at the reload before,
 * so another worker is waited for. The shell ends all when its standard input closes: HAProxy would
 * outlive a test that was killed.
 */
const SCRIPT = `
file=$1 seen=$2; shift 2
cp "$file" "$seen"
haproxy -W "$@" >&2 & master=$!
reload() { if haproxy -c -q "$@" >&2; then kill -USR2 $master; else echo refused; return 1; fi; }
worker() { pgrep -n -P $master; }
while sleep 0.1; do
  cmp -s "$file" "$seen" && continue
  cp "$file" "$seen"
  old=$(worker) looks=50
  reload "$@" || continue
  until sleep 0.1; [ "$(worker)" != "$old" ]; do
    looks=$((looks - 1))
    [ $looks = 0 ] && looks=50 && reload "$@"
  done
  sleep 1
  echo reloaded
done & follower=$!
cat > /dev/null
kill $follower $master
wait
`;

const startShell = (netns: string, words: readonly string[], log: string) => {
  const out = openSync(log, 'a', 0o600);
  const inside = [`--net=/run/netns/${netns}`, '--', 'sh', '-c', SCRIPT, 'sh', ...words];
  const child = spawn('nsenter', inside, { stdio: ['pipe', 'pipe', out] });
  closeSync(out);
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error('the shell has no pipes');
  return { child, stdin, stdout };
};
