// A log that strangers cannot fill: after the first lines of a kind about an address, the others
// are counted, and the number stands in the next line that is written.
// In: a log. Out: the same. Not here: what is said.

import type { Ms } from '../../../schema/spec.ts';
import { plainLine, shortened } from '../../../schema/plain.ts';
import type { LogPort } from '../../ports.ts';
import { createAllowance } from './allowance.ts';
import { hostOf } from './address.ts';
import { ADDRESSES, LINES, LINES_PER_ADDRESS } from './limits.ts';

/** A sentence about a stranger, which may hold what the stranger wrote. */
const TEXT_CHARS = 500;
const ALL = 'all';

/** Lines are told apart by their message and by `address` among their fields. */
export const sparing = (log: LogPort, now: () => Ms): LogPort => {
  const perAddress = createAllowance({ ...LINES_PER_ADDRESS, names: ADDRESSES, now });
  const inAll = createAllowance({ ...LINES, names: 1, now });
  let leftOut = 0;
  const by =
    (level: keyof LogPort) =>
    (fields: object, message: string): void => {
      const address = 'address' in fields ? hostOf(String(fields.address)) : '';
      if (!perAddress.take(`${address} ${message}`) || !inAll.take(ALL)) {
        leftOut += 1;
        return;
      }
      const more = leftOut === 0 ? {} : { leftOut };
      leftOut = 0;
      log[level]({ ...plainFields(fields), ...more }, message);
    };
  return { info: by('info'), warn: by('warn'), error: by('error') };
};

/** Texts as one line without what a terminal obeys, and no longer than a sentence. */
const plainFields = (fields: object): object =>
  Object.fromEntries(
    Object.entries(fields).map(([name, value]: [string, unknown]) => [
      name,
      typeof value === 'string' ? shortened(plainLine(value), TEXT_CHARS) : value,
    ]),
  );
