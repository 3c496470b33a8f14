// The image that benchmarks run: busybox, a program that ends at once on SIGTERM, and one that
// answers http. In: busybox-static. Out: the image.

import { buildImage, type BuiltImage } from '../../cli/image-build.ts';
import { busyboxLayer } from '../../test/support/images.ts';

export const REPOSITORY = 'bench.local/bench';

/** Answers after 300 ms: long enough that much can happen to the network meanwhile. */
export const SLOW_PATH = '/cgi-bin/slow';
const SLOW = `#!/bin/sh
sleep 0.3
printf 'Content-type: text/plain\\r\\n\\r\\nok\\n'
`;

/** Busybox's httpd; the page lies in /www. Ends at once on SIGTERM. */
const SERVE = `#!/bin/sh
httpd -f -p 8080 -h /www &
child=$!
trap 'kill $child; exit 0' TERM
wait $child
`;

/**
 * Sleeps until SIGTERM. A shell as process 1 has no default action for it, so it says what to do.
 */
const SLEEP = `#!/bin/sh
trap 'exit 0' TERM
sleep 100000 &
wait
`;

export const benchImage = (): Promise<BuiltImage> =>
  buildImage({
    layers: [
      [
        ...busyboxLayer(),
        { kind: 'link', path: 'bin/httpd', target: 'busybox' },
        { kind: 'link', path: 'bin/kill', target: 'busybox' },
        { kind: 'file', path: 'bin/serve', content: SERVE, mode: 0o755 },
        { kind: 'file', path: 'bin/doze', content: SLEEP, mode: 0o755 },
        { kind: 'file', path: 'www/index.html', content: 'ok\n' },
        { kind: 'file', path: `www${SLOW_PATH}`, content: SLOW, mode: 0o755 },
      ],
    ],
    config: { entrypoint: ['/bin/doze'], environment: ['PATH=/bin'] },
  });
