// Colour on a terminal only, never in a pipe or a log, and not where NO_COLOR is set. The library
// alone would also colour wherever a variable CI is set.

import picocolors from 'picocolors';

/** Node leaves `isTTY` undefined for a pipe, which the library would take for "decide yourself". */
const wanted = Boolean(process.stdout.isTTY) && !process.env['NO_COLOR'];

export const pc = picocolors.createColors(wanted);
