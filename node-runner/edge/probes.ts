// Checks of kinds http and tcp: does something answer at an address?
// In: ProbeAsk. Out: ok, or a sentence for people. Not here: when and how often (decide), exec
// checks (runtime), what HTTP looks like (probe-http.ts).

import { connect } from 'node:net';

import type { ProbeAnswer, ProbeAsk, ProbePort } from '../ports.ts';
import { probeHttp } from './probe-http.ts';
import { probeInside } from './probe-inside.ts';
import { answered, failed, silent } from './probe-words.ts';

/**
 * A connection a probe, closed after it: what is kept alive would hide that nobody accepts new
 * ones.
 */
export const createProbes = (): ProbePort => ({
  probe: (ask) => {
    if (ask.netns !== null) return probeInside(ask, ask.netns);
    return ask.kind === 'http' ? probeHttp(ask) : probeTcp(ask);
  },
});

const probeTcp = (ask: ProbeAsk): Promise<ProbeAnswer> =>
  new Promise((resolve) => {
    const socket = connect({ host: ask.address, port: ask.port });
    const timer = setTimeout(() => end(silent(ask)), ask.timeoutMs);
    const end = (answer: ProbeAnswer): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    socket.on('connect', () => end(answered(ask, null)));
    // Stays for errors that come after the end: unheard, they would end the runner.
    socket.on('error', (error) => end(failed(ask, error)));
  });
