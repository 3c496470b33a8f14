// When a reconciler was last heard (rules 9.3): the runner hears it, writes it down where a group
// has stop_after, and finds it again when it is started anew.
// In: the loop. Out: contactAt and unheardMs of the state. Not here: what follows from them
// (decide/stop-after.ts), the watchdog (stop-after.ts).

import type { Ms } from '../schema/spec.ts';
import { mustWait } from './decide/stop-after.ts';
import { asFailure } from './perform.ts';
import type { Loop } from './watch.ts';

/**
 * @param marked the one in the marks, of this boot. The newer one counts: marks are written when
 * something changes, and nothing need have changed for days.
 */
export const readContact = async ({ ports, state }: Loop, marked: Ms | null): Promise<void> => {
  state.contactAt = marked;
  const kept = await ports.store.readContact();
  if (kept === null || kept.bootId !== ports.clock.bootId) return;
  state.contactAt = Math.min(ports.clock.now(), Math.max(kept.at, marked ?? kept.at));
};

/**
 * A stream that outlived a silence (a suspend) brings no orders by itself, since none have changed
 * for the reconciler: it is opened anew.
 */
export const hear = (loop: Loop): void => {
  const { ports, state } = loop;
  const at = ports.link.acknowledged();
  const before = state.contactAt;
  if (at === null || (before !== null && at <= before)) return;
  state.contactAt = at;
  loop.contactKept = !hasStopAfter(loop);
  if (before === null) return;
  state.unheardMs = Math.max(state.unheardMs, at - before);
  const waits = state.orders?.items.some(
    (item) => item.kind === 'run' && mustWait(item.body.spec.stopAfterMs, at - before),
  );
  if (waits !== true) return;
  // Orders that were taken before are as old as the silence.
  loop.silences += 1;
  loop.unwritten = null;
  ports.link.renew(before);
};

const hasStopAfter = ({ state: { marks, orders } }: Loop): boolean =>
  [...marks.values()].some(({ body }) => body.spec.stopAfterMs > 0) ||
  orders?.items.some((item) => item.kind === 'run' && item.body.spec.stopAfterMs > 0) === true;

/** One that could not be written is as if the contact had been earlier: no copy runs for longer. */
export const writeContact = async ({ ports, state }: Loop): Promise<void> => {
  if (state.contactAt === null) return;
  const contact = { at: state.contactAt, bootId: ports.clock.bootId };
  await ports.store.writeContact(contact).catch((thrown: unknown) => {
    ports.log.error({}, `the last contact could not be written: ${asFailure(thrown).message}`);
  });
};
