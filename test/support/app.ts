// The program that end-to-end tests deploy, and job files for it in a few words.
// In: settings. Out: an image, texts of job files. The program serves its VERSION at /, health at
// /healthz, and what its volume has seen at /boots; it crashes, stays sick or chatters when its
// environment says so.

import type { BuiltImage } from '../../cli/image-build.ts';
import { buildImage } from '../../cli/image-build.ts';
import type { LayerEntry } from '../../cli/image-build.ts';
import { busyboxLayer } from './images.ts';

const PROGRAM = `#!/bin/sh
[ "$FAIL" = crash ] && { echo "told to crash"; exit 7; }
mkdir -p /tmp/www
echo "$VERSION" > /tmp/www/index.html
[ -d /data ] && { echo "$VERSION" >> /data/boots; cp /data/boots /tmp/www/boots; }
[ "$FAIL" = sick ] || echo ok > /tmp/www/healthz
echo "serving $VERSION"
[ -n "$CHATTER" ] && yes "$CHATTER" &
httpd -f -p 8080 -h /tmp/www &
child=$!
trap 'echo "asked to stop"; kill $child; exit 0' TERM
wait $child
`;

const APPLETS = ['httpd', 'mkdir', 'cp', 'yes'];

/** The same program; another `word` makes another image of it. */
export const appImage = (word = ''): Promise<BuiltImage> =>
  buildImage({
    layers: [
      [
        ...busyboxLayer(),
        ...APPLETS.map((name): LayerEntry => ({
          kind: 'link',
          path: `bin/${name}`,
          target: 'busybox',
        })),
        { kind: 'folder', path: 'tmp', mode: 0o1777 },
        { kind: 'file', path: 'bin/app', content: PROGRAM, mode: 0o755 },
        { kind: 'file', path: 'word', content: word },
      ],
    ],
    config: { entrypoint: ['/bin/app'], environment: ['PATH=/bin'] },
  });

export interface AppJob {
  readonly image: string;
  readonly version: string;
  readonly count?: number;
  readonly order?: 'stop-first' | 'start-first';
  readonly maxParallel?: number;
  readonly fail?: 'crash' | 'sick';
  /**
   * Default: ten seconds where it is to be missed, and longer than a start takes on a busy machine
   * where it is not.
   */
  readonly healthyDeadline?: string;
  /** Further lines, as they stand in the file. */
  readonly more?: readonly string[];
}

/** A job file with short times, so that a rollout of a copy takes seconds. */
export const appJob = (job: AppJob): string =>
  [
    '# Comments of people stay, whoever edits the file.',
    `count: ${job.count ?? 2}                  # how many`,
    `image: ${job.image}`,
    'ports: { http: 8080 }',
    'environment:',
    `  VERSION: "${job.version}"            # what it says`,
    ...(job.fail === undefined ? [] : [`  FAIL: ${job.fail}`]),
    'healthcheck: { http: /healthz, port: http, interval: 500ms }',
    'update:',
    `  order: ${job.order ?? 'stop-first'}`,
    `  max_parallel: ${job.maxParallel ?? 1}`,
    '  min_healthy_time: 1s',
    `  healthy_deadline: ${job.healthyDeadline ?? (job.fail === 'sick' ? '10s' : '40s')}`,
    '  progress_deadline: 90s',
    '  max_failures: 1',
    'restart: { attempts: 1, interval: 5m, delay: 500ms }',
    'reschedule: { delay: 1s, delay_function: constant }',
    'shutdown_delay: 1s',
    'kill_timeout: 3s',
    'resources: { cpu: 50m, memory: 32MiB }',
    ...(job.more ?? []),
    '',
  ].join('\n');
