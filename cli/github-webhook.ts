// Whether GitHub's deliveries arrive: GitHub is asked to send its newest one again, and what comes of
// it is looked at on both sides.
// In: a configuration with a receiver. Out: a finding. Where something listens there already, such
// as a Purser that runs, GitHub's own list says what it was answered. Not here: receiving (edge).

import type { ApiDelivery } from '../reconciler/edge/forge/answers.ts';
import { ForgeFailure } from '../reconciler/edge/forge/failure.ts';
import { siteOf } from '../reconciler/edge/forge/options.ts';
import { createReceiver, type Receiver } from '../reconciler/edge/forge/webhooks.ts';
import type { Wire } from '../reconciler/edge/forge/wire.ts';
import type { WebhookConfig } from '../reconciler/config.ts';
import type { ClockPort } from '../reconciler/ports.ts';
import type { CheckAsk, Finding } from './github-finding.ts';

/** So long is waited for a delivery that was asked for; GitHub gives up after ten seconds. */
const DELIVERY_WAIT_MS = 20_000;
/** Between looks at what arrived, and at GitHub's list. */
const LOOK_MS = 50;
const LIST_MS = 1000;

const NAME = 'webhook';

export const webhookFinding = async (ask: CheckAsk): Promise<Finding> => {
  const { wire, config, clock } = ask;
  if (config.webhook === null) {
    const words = 'there is no webhook: GitHub is asked every ten seconds instead';
    const fix = 'to see changes at once, give `--webhook-url` an address that GitHub reaches';
    return { name: NAME, state: 'ok', words, fix };
  }
  if (!wire.isApp) return byHand(ask, config.webhook);
  const ours = await opened(config.webhook, clock);
  try {
    const last = await newestOf(wire);
    if (last === undefined) {
      const words = 'GitHub has not sent anything yet, so the webhook cannot be checked';
      const fix = 'push a commit, then run `purser github setup` again';
      return { name: NAME, state: 'unknown', words, fix };
    }
    const route = 'POST /app/hook/deliveries/{delivery_id}/attempts';
    await wire.send(route, { delivery_id: last.id });
    return await outcomeOf(ask, { receiver: config.webhook, ours, last });
  } finally {
    await ours.receiver?.close();
  }
};

/** A token's deliveries cannot be asked for. */
const byHand = ({ config }: CheckAsk, { secretFile }: WebhookConfig): Finding => ({
  name: NAME,
  state: 'unknown',
  words: 'a token cannot make the webhook, nor check it',
  fix:
    `add one at ${siteOf(config.apiUrl)}/${config.owner}/${config.repo}/settings/hooks: content type ` +
    `application/json, the secret in ${secretFile}, events «Pushes», «Pull requests», «Issue comments»`,
});

/** What came to our own receiver. */
interface Ours {
  /** null: something else listens there. */
  readonly receiver: Receiver | null;
  arrived: boolean;
  /** Why the last one was refused; null: none was. */
  refused: string | null;
}

const opened = async (config: WebhookConfig, clock: ClockPort): Promise<Ours> => {
  const ours = { arrived: false, refused: null as string | null };
  const log = {
    info: () => undefined,
    warn: (_: object, words: string) => void (ours.refused = words),
    error: () => undefined,
  };
  const onDelivery = () => void (ours.arrived = true);
  const receiver = createReceiver({ config, clock, log, onDelivery });
  try {
    await receiver.listen();
    return Object.assign(ours, { receiver });
  } catch (error) {
    const isTaken = error instanceof ForgeFailure && error.message.includes('EADDRINUSE');
    if (!isTaken) throw error;
    return Object.assign(ours, { receiver: null });
  }
};

const newestOf = async (wire: Wire): Promise<ApiDelivery | undefined> => {
  const [newest] = await wire.poll({
    route: 'GET /app/hook/deliveries',
    params: { per_page: 1 },
    pick: (data) => data as readonly ApiDelivery[],
    once: true,
  });
  return newest;
};

interface Attempt {
  readonly receiver: WebhookConfig;
  readonly ours: Ours;
  /** What was there before it. */
  readonly last: ApiDelivery;
}

const outcomeOf = async (ask: CheckAsk, attempt: Attempt): Promise<Finding> => {
  const { wire, clock } = ask;
  const { ours, last } = attempt;
  const until = clock.now() + DELIVERY_WAIT_MS;
  let listAt = clock.now();
  let answered: ApiDelivery | null = null;
  while (!ours.arrived && answered === null && clock.now() < until) {
    await clock.sleepUntil(clock.now() + LOOK_MS, new AbortController().signal);
    if (clock.now() < listAt) continue;
    const newest = await newestOf(wire);
    const isNew = newest !== undefined && newest.id !== last.id && newest.status !== 'pending';
    if (isNew) answered = newest;
    listAt = clock.now() + LIST_MS;
  }
  if (ours.arrived) {
    return { name: NAME, state: 'ok', words: 'a delivery of GitHub arrived, signed' };
  }
  const isTaken = answered !== null && answered.status_code >= 200 && answered.status_code < 300;
  if (isTaken && ours.receiver === null) {
    const at = attempt.receiver.address;
    const words = `a delivery of GitHub was taken by what listens at ${at} (Purser, if it runs)`;
    return { name: NAME, state: 'ok', words };
  }
  return lost(ask, attempt, isTaken ? null : answered);
};

const lost = async (
  { wire, webhookUrl }: CheckAsk,
  { receiver, ours }: Attempt,
  answered: ApiDelivery | null,
): Promise<Finding> => {
  const url = webhookUrl ?? (await urlOf(wire));
  const here = `http://${receiver.address}${receiver.path}`;
  const why =
    ours.refused ?? (answered === null ? 'none arrived within 20 s' : `GitHub: ${answered.status}`);
  return {
    name: NAME,
    state: 'missing',
    words: `GitHub's deliveries to ${url} do not arrive: ${why}`,
    fix:
      ours.refused === null
        ? `let ${url} lead to ${here}, by a proxy with TLS`
        : `let ${url} lead to ${here} without changing what it carries; the secret is in ${receiver.secretFile}`,
  };
};

const urlOf = (wire: Wire): Promise<string> =>
  wire.poll({
    route: 'GET /app/hook/config',
    params: {},
    pick: (data) => (data as { readonly url?: string }).url ?? "the App's webhook address",
  });
