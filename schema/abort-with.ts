// One thing that ends with another: a sleep with the program, a call with whoever asked.
// In: a signal, a controller. Out: the controller is aborted with the signal, until the way back is
// called. Not AbortSignal.any: in Node 20 a signal that lives long keeps some fifty bytes for each
// that was made of it, and one that somebody listens to for ever; a loop makes millions.

export const abortWith = (signal: AbortSignal, controller: AbortController): (() => void) => {
  const abort = (): void => controller.abort(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort, { once: true });
  return () => signal.removeEventListener('abort', abort);
};
