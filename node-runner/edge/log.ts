// Logs of a node runner: one JSON line an event, by pino. No edge logs environment, headers or
// credentials.

import { pino } from 'pino';
import type { RunnerLog } from '../ports.ts';

export const createLog = (name: string, level = 'info'): RunnerLog => {
  const log = pino({ name, level, base: { name }, timestamp: pino.stdTimeFunctions.isoTime });
  return {
    info: (fields, message) => log.info(fields, message),
    warn: (fields, message) => log.warn(fields, message),
    error: (fields, message) => log.error(fields, message),
  };
};
