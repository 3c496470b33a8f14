// Frames waiting for one slow reader: acks and stream requests in order, orders conflated to the
// newest set, and before them what is worked out when the reader takes it.
// In: frames. Out: an async iterable that the transport pulls at its own speed. Not here: what
// frames mean.

export interface Outbox<Frame> {
  /** Adds a frame; false when the reader is so slow that it should be cut off. */
  readonly push: (frame: Frame) => boolean;
  /** Replaces the frames of this key that were not taken yet. */
  readonly replace: (frames: readonly Frame[]) => void;
  /** From now on asked for what is due whenever the reader takes frames. */
  readonly due: (frames: () => readonly Frame[]) => void;
  /** Something may be due. */
  readonly nudge: () => void;
  readonly close: () => void;
  readonly frames: () => AsyncGenerator<Frame, void, undefined>;
}

/** Frames that may wait: acks are tiny; a reader that is this far behind is gone. */
const WAITING_FRAMES = 10_000;

export const createOutbox = <Frame>(): Outbox<Frame> => {
  let queue: Frame[] = [];
  let conflated: Frame[] = [];
  let due: () => readonly Frame[] = () => [];
  let closed = false;
  let wake: () => void = () => undefined;
  const woken = () =>
    new Promise<void>((resolve) => {
      wake = resolve;
    });

  return {
    push: (frame) => {
      queue.push(frame);
      wake();
      return queue.length < WAITING_FRAMES;
    },
    replace: (frames) => {
      conflated = [...frames];
      wake();
    },
    due: (frames) => {
      due = frames;
      wake();
    },
    nudge: () => wake(),
    close: () => {
      closed = true;
      wake();
    },
    frames: async function* frames() {
      for (;;) {
        // What was said before the end is still delivered: the last frame may be a refusal.
        const batch = closed ? queue : [...queue, ...due(), ...conflated];
        queue = [];
        conflated = [];
        // One by one: handing on a list costs a promise more for each.
        for (const frame of batch) yield frame;
        if (batch.length > 0) continue;
        if (closed) return;
        await woken();
      }
    },
  };
};
