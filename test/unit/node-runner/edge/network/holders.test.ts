// Who holds a host port, from what ss prints.
import { expect, it } from 'vitest';
import { parseHolders } from '../../../../../node-runner/edge/network/holders.ts';

const SAID = `udp UNCONN 0 0 127.0.0.53%lo:53 0.0.0.0:* users:(("systemd-resolve",pid=61,fd=13))
tcp LISTEN 0 4096 127.0.0.1:38621 0.0.0.0:* users:(("docker-registry",pid=17378,fd=3))
tcp LISTEN 0 128 0.0.0.0:2024 0.0.0.0:*
tcp LISTEN 0 511 [::]:80 [::]:* users:(("nginx",pid=9,fd=6),("nginx",pid=8,fd=6))
tcp LISTEN 0 511 0.0.0.0:80 0.0.0.0:* users:(("other",pid=7,fd=6))
tcp LISTEN 0 511 *:81 *:* users:(("a\u001bb c",pid=5,fd=6))
`;

it('names the first process of each port, in plain letters', () => {
  expect([...parseHolders(SAID)]).toEqual([
    [53, 'systemd-resolve, process 61'],
    [38_621, 'docker-registry, process 17378'],
    [80, 'nginx, process 9'],
    [81, 'a?b c, process 5'],
  ]);
  expect([...parseHolders('')]).toEqual([]);
});
