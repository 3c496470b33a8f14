// Logs of the control plane: one JSON line an event, by pino. Secrets never get here: no edge logs
// headers, tokens
// or environment.

import { pino } from 'pino';
import type { LogPort } from '../ports.ts';

/** @param level pino's level: `info` unless a person asks for more */
export const createLog = (name: string, level = 'info'): LogPort => {
  const log = pino({ name, level, base: { name }, timestamp: pino.stdTimeFunctions.isoTime });
  return {
    info: (fields, message) => log.info(fields, message),
    warn: (fields, message) => log.warn(fields, message),
    error: (fields, message) => log.error(fields, message),
  };
};
