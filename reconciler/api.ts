// The API for programs, put together: what is answered, and where.
// In: the parts of a reconciler. Out: listening servers, and the way to stop them. Not here: HTTP
// (edge/api), what a catalogue is (live).

import type { ReconcilerConfig } from './config.ts';
import type { Doors } from './doors.ts';
import { createApi } from './edge/api.ts';
import { listenApi } from './edge/api-server.ts';
import { type Handling, servicesIn } from './handlers.ts';
import type { LogPort } from './ports.ts';

export interface RunningApi {
  /** With the port that was given; null: nothing listens beyond this machine. */
  readonly tlsAddress: string | null;
  readonly stop: () => Promise<void>;
}

export const openApi = async (
  { apiSocket }: Pick<ReconcilerConfig, 'apiSocket'>,
  {
    handling,
    doors,
    leads,
    log,
  }: {
    readonly handling: Handling;
    readonly doors: Doors | null;
    readonly leads: () => boolean;
    readonly log: LogPort;
  },
): Promise<RunningApi> => {
  const { loop } = handling;
  const api = createApi({
    // A standby hears from no node: it knows of no service.
    services: () => (loop.state().view === null || !leads() ? null : servicesIn(handling)),
    changes: (listener) => loop.watch(listener),
    log,
    now: () => performance.now(),
  });
  const socket = apiSocket === undefined ? null : await listenApi(api, apiSocket);
  const tls = (await doors?.openApi(api)) ?? null;
  return {
    tlsAddress: tls?.address ?? null,
    stop: async () => {
      api.close();
      await Promise.all([socket?.stop(), tls?.stop()]);
    },
  };
};
