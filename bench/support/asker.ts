// The program that asks: a process of its own, so that nothing that the benchmark does besides keeps
// an answer waiting. In: addresses, as messages. Out: what failed, and counts, as messages. It ends
// with its parent. Not here: where the addresses come from (requests.ts).

import { setTimeout as sleep } from 'node:timers/promises';
import { askOnce } from './ask.ts';
import { SLOW_PATH } from './images.ts';
import { epochMs } from './repository.ts';
import type { AskerCounts, Known, ToAsker, ToParent } from './requests.ts';

const ASK_EVERY_MS = 20;
/** Counts are told so often. */
const TELL_EVERY_MS = 100;

const say = (message: ToParent): void => {
  process.send?.(message);
};

const main = async (): Promise<void> => {
  let known: Known = { copies: [], askedAt: 0, readAt: 0, goodUntil: 0 };
  let stopped = false;
  const counts: { -readonly [K in keyof AskerCounts]: number } = {
    asked: 0,
    failed: 0,
    slowestMs: 0,
    latestMs: 0,
    withoutMs: 0,
  };
  process.on('disconnect', () => process.exit(0));
  process.on('message', (message: ToAsker) => {
    if (message.kind === 'known') known = message.known;
    else stopped = true;
  });
  const ask = async (turn: number, path: string): Promise<void> => {
    const { copies, askedAt, readAt } = known;
    const copy = copies[turn % Math.max(1, copies.length)];
    if (copy === undefined) return;
    const at = epochMs();
    counts.asked += 1;
    const [host = '', port = ''] = copy.address.split(':');
    const asked = await askOnce({ host, port: Number(port), path });
    counts.latestMs = Math.max(counts.latestMs, asked.lateMs);
    counts.slowestMs = Math.max(counts.slowestMs, asked.tookMs);
    if (asked.fault === null) return;
    counts.failed += 1;
    const { fault, tookMs, connectedMs, lateMs } = asked;
    const failure = { ...copy, path, at, askedAt, readAt, fault, tookMs, connectedMs, lateMs };
    say({ kind: 'failed', failure });
  };
  const askFor = async (path: string): Promise<void> => {
    for (let turn = 0; !stopped; turn += 1) {
      const isGood = epochMs() < known.goodUntil;
      const began = performance.now();
      if (isGood) await ask(turn, path);
      await sleep(ASK_EVERY_MS);
      if (!isGood && path === '/') counts.withoutMs += performance.now() - began;
    }
  };
  const telling = setInterval(() => say({ kind: 'counts', counts }), TELL_EVERY_MS);
  await Promise.all([askFor('/'), askFor(SLOW_PATH)]);
  clearInterval(telling);
  say({ kind: 'counts', counts });
  process.disconnect();
};

await main();
