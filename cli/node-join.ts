// `purser node join ADDRESS TOKEN`: makes this machine a node of a cluster, and runs it.
// In: a reconciler's address and a token of `purser node token`. Out: a key that never leaves this
// machine, its certificate, the node's file in Git; then the runner, as a service where its package
// is installed, else in the foreground. Not here: the runner itself (node-run.ts).

import { ClientError, createChannel, createClientFactory, Metadata, Status } from 'nice-grpc';
import {
  hasIdentity,
  identityFolder,
  joiningKey,
  makeRequest,
  writeIdentity,
} from '../node-runner/edge/identity.ts';
import { clockDoubt, credentialsOf, TLS_CHANNEL } from '../node-runner/edge/tls.ts';
import {
  type JoinResponse,
  JoinServiceDefinition,
} from '../schema/generated/purser/join/v1/join.ts';
import { parseToken, TLS_SCHEME } from '../schema/identity.ts';
import type { Invocation } from './command.ts';
import { DEFAULT_ROOT, text } from './command.ts';
import { CommandError, NoReconcilerError } from './command-error.ts';
import { withPort } from './host-port.ts';
import { type Joined, writeJoined } from './joined.ts';
import { hasRunnerUnit, RUNNER_SETTINGS, RUNNER_UNIT, startRunnerUnit } from './runner-unit.ts';
import { ownName } from './own-name.ts';
import { fetchAuthority } from './trust.ts';

/** A commit to a remote repository may take its time. */
const JOIN_LIMIT_MS = 60_000;
/** A repository may take some seconds to be read. */
const AGAIN_FOR_MS = 20_000;
const AGAIN_MS = 500;

/** Joins; then the service runs the node, or this very command does. */
export const joinAndRun = async (invocation: Invocation): Promise<number> => {
  const { options, common, io } = invocation;
  const joined = await joinCluster(invocation);
  if (options['only'] === true) return 0;
  if (common.root !== DEFAULT_ROOT || !(await hasRunnerUnit())) {
    const { runNode } = await import('./node-run.ts');
    return runNode({ ...invocation, options: { ...options, name: joined.node } });
  }
  await startRunnerUnit();
  if (common.json) return 0;
  io.out(`It runs as ${RUNNER_UNIT}, also after a reboot: systemctl status ${RUNNER_UNIT}`);
  // The service is told by its file alone.
  if (RUN_OPTIONS.some((name) => options[name] !== undefined)) {
    io.err(
      `purser: the service does not know what else you wrote for the runner: write it into ${RUNNER_SETTINGS}, then systemctl restart ${RUNNER_UNIT}`,
    );
  }
  return 0;
};

/** Those that `join` itself has no use for, and that have no default. */
const RUN_OPTIONS = [
  'address',
  'cniConfig',
  'containerd',
  'cpu',
  'insecureRegistry',
  'memory',
  'registryCredentials',
  'subnet',
];

/** Joins, and says how; what the runner is to be started with. */
const joinCluster = async ({ args, options, common, io }: Invocation): Promise<Joined> => {
  const [, where = '', given] = args;
  // On the command line every user of the machine can read it.
  const words = given ?? process.env['PURSER_TOKEN'] ?? '';
  const token = parseToken(words);
  if (where === '' || words === '') {
    throw new CommandError(
      'write `purser node join ADDRESS TOKEN`; `purser node token` on the reconciler’s machine prints the whole line',
    );
  }
  if (token === null) {
    throw new CommandError(
      'the second word is no token: copy the whole of what `purser node token` printed, from purser-join- on',
    );
  }
  const node = text(options['name']) ?? ownName();
  const root = text(options['nodeRoot']) ?? `${common.root}/nodes/${node}`;
  const folder = identityFolder(root);
  if (hasIdentity(folder)) {
    throw new CommandError(
      `this machine has joined as ${node} already (${folder}): start it with \`purser node --name ${node}\`, ` +
        'or remove that folder, and join anew',
    );
  }
  const { joined, commit } = await joinAs(node, { root, address: withPort(where), token: words });
  const listed = commit === null ? 'Git lists it already' : `commit ${commit}`;
  io.out(
    common.json
      ? JSON.stringify({ ...joined, commit })
      : `Joined ${joined.cluster} as ${node}\n  ${listed}`,
  );
  return joined;
};

export interface JoinBy {
  /** The node's folder. */
  readonly root: string;
  readonly address: string;
  readonly token: string;
}

/** Makes this machine that node; `commit` is the one that lists it, null where Git did already. */
export const joinAs = async (
  node: string,
  { root, address, token }: JoinBy,
): Promise<{ readonly joined: Joined; readonly commit: string | null }> => {
  const folder = identityFolder(root);
  const authority = await fetchAuthority(address, parseToken(token)?.authority ?? '');
  const { key, request } = await makeRequest(node, joiningKey(folder));
  const answer = await call(address, authority, { token: token.trim(), node, request });
  writeIdentity(folder, { authority, certificate: answer.certificate, key });
  const joined = { node, cluster: answer.cluster, link: `${TLS_SCHEME}${address}` };
  writeJoined(root, joined);
  return { joined, commit: answer.commit || null };
};

interface Ask {
  readonly token: string;
  readonly node: string;
  readonly request: string;
}

/** The reconciler cannot say it by now: it has just begun, or somebody pushed meanwhile. */
const patiently = async (join: () => Promise<JoinResponse>): Promise<JoinResponse> => {
  const until = performance.now() + AGAIN_FOR_MS;
  for (;;) {
    try {
      return await join();
    } catch (error) {
      const isAsked = error instanceof ClientError && error.code === Status.ABORTED;
      if (!isAsked || performance.now() > until) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
};

const call = async (address: string, authority: string, ask: Ask) => {
  const options = { ...TLS_CHANNEL, 'grpc.enable_retries': 0 };
  const channel = createChannel(address, credentialsOf({ authority }), options);
  try {
    const client = createClientFactory().create(JoinServiceDefinition, channel);
    const metadata = Metadata({ authorization: `Bearer ${ask.token}` });
    return await patiently(() =>
      client.join(ask, { signal: AbortSignal.timeout(JOIN_LIMIT_MS), metadata }),
    );
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    if (error.code !== Status.UNAVAILABLE) throw new CommandError(error.details, 1);
    const why = clockDoubt(error, Date.now()) ?? error.details;
    throw new NoReconcilerError(`no reconciler answers at ${address}: ${why}`);
  } finally {
    channel.close();
  }
};
