// A program that asks services all the time, in a process of its own: through a load balancer, or at
// the copies that DNS names. It asks by the clock, whatever earlier requests do. In: whom to ask, in
// its arguments. Out: what failed, and counts, as messages. It ends with its parent. Not here: what
// happens to the services.

import { Resolver } from 'node:dns/promises';
import http from 'node:http';
import { type Asked, askOnce, type Fault } from '../../../bench/support/ask.ts';
import { SLOW_PATH } from '../../../bench/support/images.ts';
import type { AskerCounts, AskerPlan, FromAsker, Way } from './clients.ts';

/** Whoever waits longer than this has no answer: a person has left by then. */
const ANSWER_MS = 10_000;
const TELL_EVERY_MS = 200;

const plan = JSON.parse(process.argv[2] ?? '') as AskerPlan;
const say = (message: FromAsker): void => void process.send?.(message);
const agent = new http.Agent({ keepAlive: true, maxSockets: 32 });
const counts: { -readonly [K in keyof AskerCounts]: number } = {
  asked: 0,
  answered: 0,
  failed: 0,
  slowestMs: 0,
  slowestLookUpMs: 0,
  latestMs: 0,
};

/**
 * As long as resolv.conf of a copy says it, `timeout:3 attempts:5`. Node's own resolver takes an answer
 * that was fast before for a reason to wait less: it is asked again until that time is over.
 */
const LOOK_UP_MS = 5 * 3000;
const resolver = (server: string): Resolver => {
  const made = new Resolver({ timeout: 3000, tries: 1 });
  made.setServers([server]);
  return made;
};

const patiently = async <Answer>(look: () => Promise<Answer>): Promise<Answer> => {
  const until = performance.now() + LOOK_UP_MS;
  for (;;) {
    try {
      return await look();
    } catch (error) {
      const isSilent = error instanceof Error && 'code' in error && error.code === 'ETIMEOUT';
      if (!isSilent || performance.now() > until) throw error;
    }
  }
};
const names = plan.to.kind === 'dns' ? resolver(plan.to.server) : null;

interface Done {
  readonly whom: string;
  readonly asked: Asked;
}

/** One service, and then the host that it names: two look-ups, nothing is kept. */
const askByName = async (way: Way, service: string): Promise<Done> => {
  const name = `${service}.shop.svc.purser`;
  const began = performance.now();
  let whom = name;
  try {
    const [found] = (await patiently(async () => names?.resolveSrv(name))) ?? [];
    whom = `${found?.name}:${found?.port}`;
    const [host = ''] = (await patiently(async () => names?.resolve4(found?.name ?? ''))) ?? [];
    counts.slowestLookUpMs = Math.max(counts.slowestLookUpMs, performance.now() - began);
    whom += ` at ${host}`;
    const path = way === 'slow' ? SLOW_PATH : '/';
    const asked = await askOnce({ host, port: found?.port ?? 0, path, answerMs: ANSWER_MS });
    return { whom, asked };
  } catch (error) {
    const fault: Fault = { kind: 'other', words: String(error) };
    const tookMs = performance.now() - began;
    return { whom, asked: { fault, tookMs, connectedMs: null, lateMs: 0, servedBy: null } };
  }
};

const askProxy = async (way: Way, service: string): Promise<Done> => {
  const { host, port } = plan.to.kind === 'proxy' ? plan.to : { host: '', port: 0 };
  const asked = await askOnce({
    host,
    port,
    path: way === 'slow' ? SLOW_PATH : '/',
    site: `${service}.shop`,
    answerMs: ANSWER_MS,
    ...(way === 'kept' ? { agent } : {}),
  });
  return { whom: `${service} by ${asked.servedBy ?? 'nobody'}`, asked };
};

const once = async (way: Way, service: string): Promise<void> => {
  const at = Date.now();
  counts.asked += 1;
  const ask = plan.to.kind === 'dns' ? askByName : askProxy;
  const { whom, asked } = await ask(way, service);
  const { fault, tookMs, lateMs } = asked;
  counts.answered += 1;
  counts.slowestMs = Math.max(counts.slowestMs, tookMs);
  counts.latestMs = Math.max(counts.latestMs, lateMs);
  if (fault === null) return;
  counts.failed += 1;
  const { connectedMs } = asked;
  say({ kind: 'failed', failure: { at, way, whom, fault, tookMs, connectedMs, lateMs } });
};

const main = async (): Promise<void> => {
  let turn = 0;
  const open = new Set<Promise<void>>();
  const timers = Object.entries(plan.perSecond).map(([way, rate]) =>
    setInterval(() => {
      turn += 1;
      const one = once(way as Way, plan.services[turn % plan.services.length] ?? '');
      open.add(one);
      void one.finally(() => open.delete(one));
    }, 1000 / rate),
  );
  const telling = setInterval(() => say({ kind: 'counts', counts }), TELL_EVERY_MS);
  process.on('disconnect', () => process.exit(0));
  await new Promise((resolve) => process.once('message', resolve));
  for (const timer of timers) clearInterval(timer);
  await Promise.all(open);
  clearInterval(telling);
  agent.destroy();
  say({ kind: 'counts', counts });
  process.disconnect();
};

await main();
