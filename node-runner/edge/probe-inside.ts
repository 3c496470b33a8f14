// A check from inside another network namespace: of an allocation that has only its own loopback
// (mode none).
// In: ProbeAsk, path of the namespace. Out: ProbeAnswer. A small program does it, since Node cannot
// change namespace; that costs about 50 ms of CPU a check, so only few run at a time. Not here:
// checks that need no namespace.

import type { ProbeAnswer, ProbeAsk } from '../ports.ts';
import { runCommand } from './command.ts';
import { messageOf } from './failure.ts';
import { createLimit } from './limit.ts';
import { answered, failed, silent } from './probe-words.ts';

/** At most so many programs at once; the others wait. */
const CONCURRENT = 2;
/** Time for the program itself to start, on a busy machine. */
const START_MS = 5_000;

const limit = createLimit(CONCURRENT);

export const probeInside = (ask: ProbeAsk, netns: string): Promise<ProbeAnswer> =>
  limit(() => probe(ask, netns));

const probe = async (ask: ProbeAsk, netns: string): Promise<ProbeAnswer> => {
  try {
    const text = await runCommand({
      program: 'nsenter',
      args: [`--net=${netns}`, '--', process.execPath, '-e', PROGRAM, JSON.stringify(ask)],
      timeoutMs: ask.timeoutMs + START_MS,
    });
    const found: unknown = JSON.parse(text);
    if (typeof found === 'number') return answered(ask, found);
    if (found === 'connected') return answered(ask, null);
    return found === 'silent' ? silent(ask) : failed(ask, found);
  } catch (error) {
    return { ok: false, message: `the check could not be run: ${messageOf(error)}` };
  }
};

/** Prints a status, "connected", "silent", or an error with its code. */
const PROGRAM = `
const ask = JSON.parse(process.argv[1]);
const say = (found) => { process.stdout.write(JSON.stringify(found), () => process.exit(0)); };
const fail = (error) => say({ code: error.code ?? '', message: error.message });
setTimeout(() => say('silent'), ask.timeoutMs);
const { address: host, port, path } = ask;
if (ask.kind === 'tcp') {
  require('node:net').connect({ host, port }, () => say('connected')).on('error', fail);
} else {
  const headers = { 'user-agent': 'purser-probe', connection: 'close' };
  require('node:http')
    .get({ host, port, path, headers, agent: false }, (response) => say(response.statusCode))
    .on('error', fail);
}
`;
