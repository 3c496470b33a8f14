// Calls of one token, a few at a time. In: who asks, and the work. Out: what the work gives, or a
// refusal where too many wait already. Not here: who may ask (guard.ts).

import { ServerError, Status } from 'nice-grpc';
import { CALLS_WAITING, CALLS_WORKED_ON, REST_MAX_MS, REST_TIMES } from './limits.ts';

export interface Turns {
  /** Throws ServerError (RESOURCE_EXHAUSTED) where too many calls of this token wait. */
  readonly take: <Answer>(token: string, work: () => Promise<Answer>) => Promise<Answer>;
}

interface Line {
  working: number;
  readonly waiting: (() => void)[];
}

export const createTurns = (): Turns => {
  const lines = new Map<string, Line>();
  return {
    take: async (token, work) => {
      const line = lines.get(token) ?? { working: 0, waiting: [] };
      lines.set(token, line);
      if (line.working < CALLS_WORKED_ON) line.working += 1;
      else {
        if (line.waiting.length >= CALLS_WAITING) {
          throw new ServerError(
            Status.RESOURCE_EXHAUSTED,
            `${CALLS_WAITING} calls with this token wait already: ask again later, or make a token for each program`,
          );
        }
        await new Promise<void>((resolve) => line.waiting.push(resolve));
      }
      const began = performance.now();
      try {
        return await work();
      } finally {
        setTimeout(
          () => {
            const next = line.waiting.shift();
            if (next === undefined) line.working -= 1;
            else next();
            if (line.working === 0) lines.delete(token);
          },
          Math.min(REST_TIMES * (performance.now() - began), REST_MAX_MS),
        ).unref();
      }
    },
  };
};
