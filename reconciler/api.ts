// The API for programs, put together: what is answered, and where.
// In: the parts of a reconciler. Out: listening servers, and the way to stop them. Not here: HTTP
// (edge/api), what a catalogue is (live).

import type { ReconcilerConfig } from './config.ts';
import type { Doors } from './doors.ts';
import { createApi } from './edge/api.ts';
import { listenApi } from './edge/api-server.ts';
import { type Handling, servicesIn } from './handlers.ts';
import type { LogPort } from './ports.ts';
import type { Several } from './several.ts';

export interface RunningApi {
  /** With the port that was given; null: nothing listens beyond this machine. */
  readonly tlsAddress: string | null;
  readonly stop: () => Promise<void>;
}

/** Where the leader answers programs is its own affair: it is named, not where it listens. */
const standbyWords = ({ lead }: Several): string | null => {
  if (lead.term() !== null) return null;
  const { me, leader } = lead.answer();
  return leader === null
    ? `${me.name} is a standby, and nobody is known to lead: try again in a moment`
    : `${me.name} is a standby, which knows of no service: ask ${leader.name}, which leads`;
};

export const openApi = async (
  { apiSocket }: Pick<ReconcilerConfig, 'apiSocket'>,
  {
    handling,
    doors,
    several,
    log,
  }: {
    readonly handling: Handling;
    readonly doors: Doors | null;
    readonly several: Several | null;
    readonly log: LogPort;
  },
): Promise<RunningApi> => {
  const { loop } = handling;
  const api = createApi({
    services: () => (loop.state().view === null ? null : servicesIn(handling)),
    // A standby hears from no node: it knows of no service.
    elsewhere: () => several && standbyWords(several),
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
