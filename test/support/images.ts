// The image that tests run: busybox, a user or two, and ways to end.

import { readFileSync } from 'node:fs';
import {
  type BuiltImage,
  buildImage,
  type ImageAsk,
  type LayerEntry,
} from '../../cli/image-build.ts';

const APPLETS = ['sh', 'sleep', 'cat', 'echo', 'stty', 'id', 'dd', 'head', 'true', 'env', 'ls'];

/** /bin/busybox and links to it. */
export const busyboxLayer = (): readonly LayerEntry[] => [
  { kind: 'folder', path: 'bin' },
  { kind: 'file', path: 'bin/busybox', content: readFileSync('/bin/busybox'), mode: 0o755 },
  ...APPLETS.map((name): LayerEntry => ({ kind: 'link', path: `bin/${name}`, target: 'busybox' })),
];

/** A second layer: accounts, one of them behind a link, and a file that the third layer deletes. */
const accounts: readonly LayerEntry[] = [
  { kind: 'folder', path: 'etc' },
  {
    kind: 'file',
    path: 'real/passwd',
    content: 'root:x:0:0:root:/:/bin/sh\napp:x:1000:29:app:/:/bin/sh\n',
  },
  { kind: 'link', path: 'etc/passwd', target: '/real/passwd' },
  { kind: 'file', path: 'etc/group', content: 'root:x:0:\naudio:x:29:\nstaff:x:50:app,other\n' },
  { kind: 'file', path: 'etc/gone', content: 'below\n' },
];

export const testImage = (over: Partial<ImageAsk> = {}): Promise<BuiltImage> =>
  buildImage({
    layers: [busyboxLayer(), accounts, [{ kind: 'whiteout', path: 'etc/gone' }]],
    config: {
      entrypoint: ['/bin/sh', '-c'],
      command: ['sleep 1000'],
      environment: ['PATH=/bin'],
      workingDir: '/',
      user: 'app',
      stopSignal: 'SIGTERM',
    },
    ...over,
  });
