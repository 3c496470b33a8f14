// The node of `purser up` where there are several reconcilers: it joins as any other machine does, so
// that it follows whoever leads. In: this machine's reconciler, which hands on to the leader. Out:
// the links of its runner. Not here: the runner, other machines (node-join.ts).

import { hasIdentity, identityFolder } from '../../node-runner/edge/identity.ts';
import type { TokenAnswer, TokenAsk } from '../../schema/control.ts';
import { TLS_SCHEME } from '../../schema/identity.ts';
import { patience } from '../patience.ts';
import { CommandError } from '../command-error.ts';
import type { Control } from '../client.ts';
import type { Io } from '../command.ts';
import { joinAs } from '../node-join.ts';
import type { Listens } from '../reconciler-options.ts';
import type { NodeLayout } from './layout.ts';

const TOKEN_MS = 10 * 60 * 1000;
/** Longer than the longest lease: one that is gone must end before anybody leads. */
const LED_WAIT_MS = 120_000;
const AGAIN_MS = 500;

export interface JoinOwn {
  readonly io: Io;
  readonly nodes: readonly NodeLayout[];
  readonly listens: Listens;
}

/** Throws CommandError where nobody leads in time, or the name is taken. */
export const joinOwn = async (
  control: Control,
  { io, nodes, listens }: JoinOwn,
): Promise<readonly string[]> => {
  for (const { name, root } of nodes) {
    if (hasIdentity(identityFolder(root))) continue;
    const { token, address } = await ledToken(control, io.signal);
    const { commit } = await joinAs(name, { root, address, token });
    io.out(`Joined as ${name}${commit === null ? '' : `\n  commit ${commit}`}`);
  }
  const own = listens.several?.advertise ?? listens.listen ?? '';
  return [`${TLS_SCHEME}${own}`];
};

/** Of the leader, and where it is: it alone lets machines in. */
const ledToken = async (control: Control, signal: AbortSignal): Promise<TokenAnswer> => {
  const waiting = patience(LED_WAIT_MS, signal);
  const ask: TokenAsk = { kind: 'join', node: null, uses: 1, lastsMs: TOKEN_MS };
  while (true) {
    try {
      return await control.call<TokenAnswer>('token', ask);
    } catch (error) {
      if (!(error instanceof CommandError) || waiting.aborted) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
};
