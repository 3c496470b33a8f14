// Pull and unpack of 100 MB in four layers from a registry on loopback, against `ctr image pull` of
// the same image into the same containerd: turn by turn, each time from nothing.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { buildImage, type LayerEntry } from '../../cli/image-build.ts';
import { releases, testContainerd } from '../../test/support/containerd.ts';
import { type TestRegistry, testRegistry } from '../../test/support/registry.ts';
import { withEnds } from '../support/ends.ts';
import { type Figure, median, spread } from '../support/figure.ts';

const LAYERS = 4;
const LAYER_BYTES = 25 * 1024 * 1024;
const ROUNDS = 5;
const GOAL = 1;

const exec = promisify(execFile);

export const pull: Figure = {
  name: 'pull',
  what: 'pull and unpack of 100 MB, against `ctr image pull`',
  run: ({ count, seed, say }) =>
    withEnds(async (ends) => {
      const binary = releases()[0]?.binary ?? 'containerd';
      const registry = await testRegistry();
      ends.add(registry.close);
      const containerd = await testContainerd({ binary, insecure: [registry.host] });
      ends.add(containerd.close);
      const digest = await pushLarge(registry, seed);
      const repository = `${registry.host}/bench/large`;
      const name = `${repository}@${digest}`;
      const ctr = (...args: readonly string[]) =>
        exec('ctr', ['-a', containerd.daemon().socket, '-n', 'bench-ctr', 'images', ...args]);
      const ours: number[] = [];
      const peer: number[] = [];
      for (let round = 0; round < (count ?? ROUNDS); round += 1) {
        peer.push(await timed(() => ctr('pull', '--plain-http', name)));
        await ctr('rm', '--sync', name);
        const { runtime } = containerd;
        const { signal } = new AbortController();
        ours.push(await timed(() => runtime.pull({ repository, digest }, { signal })));
        await runtime.removeImage(name);
        say(`round ${round}: ${ours.at(-1)?.toFixed(0)} ms, ctr ${peer.at(-1)?.toFixed(0)} ms`);
      }
      const ratio = median(ours) / median(peer);
      return [
        {
          what: 'pull and unpack of 100 MB',
          ours: spread(ours),
          floor: `ctr image pull ${spread(peer)}`,
          result: ratio.toFixed(2),
          goal: `≤ ${GOAL.toFixed(1)}`,
          met: ratio <= GOAL,
        },
      ];
    }),
};

/** Gives back the digest alone: a runner does not hold an image's bytes while it pulls. */
const pushLarge = async (registry: TestRegistry, seed: number): Promise<string> => {
  const layers = Array.from({ length: LAYERS }, (_, at) => layerOf(`${seed} ${at}`));
  const image = await buildImage({ layers, config: { command: ['/bin/true'] }, gzip: true });
  await registry.push('bench/large', image);
  return image.digest;
};

const timed = async (act: () => Promise<unknown>): Promise<number> => {
  const began = performance.now();
  await act();
  return performance.now() - began;
};

/** Bytes from a seed that compress to about half, in files of a megabyte, as programs do. */
const layerOf = (seed: string): readonly LayerEntry[] => {
  const entries: LayerEntry[] = [];
  const size = 1024 * 1024;
  for (let at = 0; at * size < LAYER_BYTES; at += 1) {
    const content = Buffer.alloc(size);
    let block = createHash('sha256').update(`${seed} ${at}`).digest();
    for (let offset = 0; offset < size; offset += 64) {
      block = createHash('sha256').update(block).digest();
      // Each 32 bytes stand twice: zlib finds the second.
      block.copy(content, offset);
      block.copy(content, offset + 32);
    }
    const folder = createHash('sha256').update(seed).digest('hex').slice(0, 8);
    entries.push({ kind: 'file', path: `data/${folder}/${at}`, content });
  }
  return entries;
};
