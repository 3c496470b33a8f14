// The peer: `ctr run --config` with the very specification that Purser gave containerd, in the same
// containerd, with the same kind of log. In: a container that Purser made. Out: started and removed
// copies of it. `--config` makes no snapshot: ctr's containers share one folder with the image's
// files, which is less work than Purser's.

import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

const exec = promisify(execFile);
/** Apart from Purser's, whose runner would otherwise meet foreign containers. */
export const CTR_NAMESPACE = 'bench-ctr';

export interface Ctr {
  /** `ctr run -d`; resolves when ctr has ended: the container runs. */
  readonly run: (id: string) => Promise<void>;
  /** SIGTERM, until it is gone, then the record. */
  readonly end: (id: string) => Promise<void>;
  readonly close: () => Promise<void>;
}

interface Spec {
  root: { path: string };
  hostname: string;
  annotations?: Record<string, string>;
  linux: { cgroupsPath: string };
}

export const createCtr = async (ask: {
  readonly socket: string;
  readonly root: string;
  /** A container of Purser's whose specification is taken. */
  readonly like: string;
  readonly files: string;
}): Promise<Ctr> => {
  const ctr = (namespace: string, ...args: readonly string[]) =>
    exec('ctr', ['-a', ask.socket, '-n', namespace, ...args], { maxBuffer: 1 << 24 });
  const told = await ctr('purser', 'containers', 'info', '--spec', ask.like);
  const spec = JSON.parse(told.stdout) as Spec;
  const home = path.join(ask.root, 'ctr');
  fs.mkdirSync(home, { recursive: true });
  const running = new Set<string>();
  return {
    run: async (id) => {
      const config = path.join(home, `${id}.json`);
      const own: Spec = {
        ...spec,
        root: { ...spec.root, path: ask.files },
        hostname: id,
        annotations: {},
        linux: { ...spec.linux, cgroupsPath: `/bench-ctr/${id}` },
      };
      fs.writeFileSync(config, JSON.stringify(own));
      running.add(id);
      const log = `file://${path.join(home, `${id}.log`)}`;
      const runc = ['--runc-root', path.join(home, 'runc')];
      await ctr(CTR_NAMESPACE, 'run', '-d', '--log-uri', log, ...runc, '--config', config, id);
    },
    end: async (id) => {
      await ctr(CTR_NAMESPACE, 'tasks', 'kill', '-s', 'SIGTERM', id);
      await gone(() => ctr(CTR_NAMESPACE, 'tasks', 'delete', id));
      await ctr(CTR_NAMESPACE, 'containers', 'delete', id);
      running.delete(id);
    },
    close: async () => {
      for (const id of running) {
        await ctr(CTR_NAMESPACE, 'tasks', 'delete', '--force', id).catch(() => undefined);
        await ctr(CTR_NAMESPACE, 'containers', 'delete', id).catch(() => undefined);
      }
    },
  };
};

/** `tasks delete` refuses while the process still ends. */
const gone = async (remove: () => Promise<unknown>): Promise<void> => {
  for (let attempt = 0; ; attempt += 1) {
    try {
      await remove();
      return;
    } catch (error) {
      if (attempt > 200) throw error;
      await new Promise((done) => setTimeout(done, 5));
    }
  }
};

/** Four at a time, as Purser's runner does. */
export const atATime = async <Item>(
  items: readonly Item[],
  places: number,
  act: (item: Item) => Promise<void>,
): Promise<void> => {
  const left = [...items];
  const worker = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await act(item);
  };
  await Promise.all(Array.from({ length: places }, worker));
};
