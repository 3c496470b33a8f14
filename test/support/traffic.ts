// A client that behaves as a load balancer would: asks the copies that status names, all the time,
// and notes failures.
// In: a cluster and a job. Out: what it saw. It follows the state as it changes and asks each
// address in turn.

import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../../cli/client.ts';
import type { StateAnswer } from '../../schema/control.ts';

export interface Traffic {
  /** Ends it: requests made, and those that failed. */
  readonly stop: () => Promise<{
    readonly requests: number;
    readonly failures: readonly string[];
    /** Every answer that was seen, in the order in which they were seen first. */
    readonly answers: readonly string[];
  }>;
}

/** An answer later than this failed: whoever is gone never answers, a busy machine does late. */
const LATE_MS = 8000;
const PAUSE_MS = 15;

export const traffic = async (socket: string, job: string): Promise<Traffic> => {
  const control = await connect(socket);
  const abort = new AbortController();
  let addresses: readonly string[] = [];
  const failures: string[] = [];
  const watching = (async () => {
    for await (const state of control.watch<StateAnswer>('state', abort.signal)) {
      addresses = healthyAddresses(state, job);
    }
  })().catch((error: unknown) =>
    failures.push(`the state could not be followed: ${String(error)}`),
  );
  let requests = 0;
  const answers = new Set<string>();
  const began = Date.now();
  for (let waited = 0; addresses.length === 0 && waited < LATE_MS; waited += PAUSE_MS) {
    await sleep(PAUSE_MS);
  }
  const asking = (async () => {
    while (!abort.signal.aborted) {
      const list = addresses;
      const address = list[requests % Math.max(1, list.length)];
      requests += 1;
      const at = Date.now() - began;
      if (address === undefined) failures.push(`${at} ms: no address`);
      else {
        await get(`http://${address}/`).then(
          (body) => answers.add(body),
          (error: unknown) => failures.push(`${at} ms: ${address}: ${String(error)}`),
        );
      }
      await sleep(PAUSE_MS);
    }
  })();
  return {
    stop: async () => {
      abort.abort();
      await Promise.all([watching, asking]);
      control.close();
      return { requests, failures, answers: [...answers] };
    },
  };
};

const healthyAddresses = ({ view }: StateAnswer, job: string): readonly string[] =>
  (view?.live.nodes ?? []).flatMap(({ allocations, address }) =>
    allocations
      .filter(({ body }) => `${body.namespace}/${body.job}` === job)
      .filter(
        ({ phase, health, stopping }) => phase === 'running' && health === 'healthy' && !stopping,
      )
      .flatMap(({ ports }) => ports.map(({ host }) => `${address}:${host}`)),
  );

/** The body of a page, trimmed; throws when it is not 200 in time. */
export const get = (url: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const request = http.get(url, { agent: false, timeout: LATE_MS }, (answer) => {
      let body = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk: string) => (body += chunk));
      answer.on('error', reject);
      answer.on('end', () =>
        answer.statusCode === 200
          ? resolve(body.trim())
          : reject(new Error(`status ${answer.statusCode}`)),
      );
    });
    request.on('timeout', () => request.destroy(new Error(`no answer in ${LATE_MS} ms`)));
    request.on('error', reject);
  });
