// Checks of kinds http and tcp: does something answer at an address?
// In: ProbeAsk. Out: ok, or a sentence for people. Not here: when and how often (decide), exec
// checks (runtime).

import { request } from 'node:http';
import { connect } from 'node:net';

import type { ProbeAnswer, ProbeAsk, ProbePort } from '../ports.ts';
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

/** Redirects count as an answer and are not followed; the body is not read. */
const probeHttp = (ask: ProbeAsk): Promise<ProbeAnswer> =>
  new Promise((resolve) => {
    const { address: host, port, path } = ask;
    const headers = { 'user-agent': 'purser-probe', connection: 'close' };
    const call = request({ host, port, path, headers, agent: false }, (response) =>
      end(answered(ask, response.statusCode ?? 0)),
    );
    const timer = setTimeout(() => end(silent(ask)), ask.timeoutMs);
    const end = (answer: ProbeAnswer): void => {
      clearTimeout(timer);
      call.destroy();
      resolve(answer);
    };
    // Stays for errors that come after the end: unheard, they would end the runner.
    call.on('error', (error) => end(failed(ask, error)));
    call.end();
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
    socket.on('error', (error) => end(failed(ask, error)));
  });
