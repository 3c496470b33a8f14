// Webhook deliveries: signed, numbered, recorded, and sent again on demand.
// In: events with bodies (payloads.ts). Out: http requests to the App's webhook, as GitHub makes
// them. Not here: what a receiver does with them.

import { createHmac, randomUUID } from 'node:crypto';
import type { Place } from './payloads.ts';
import { userShape } from './shapes.ts';
import { nodeId, repoShape } from './shapes.ts';
import type { Account, App, Delivery, Hub, Installation, Json, Repo } from './state.ts';
import { reaches } from './state.ts';

/** GitHub gives up on an answer after ten seconds. */
const ANSWER_LIMIT_MS = 10_000;
/** Deliveries of the last three days are listed there; here so many. */
const DELIVERIES_KEPT = 20_000;

/** Tells every App on the repository that subscribed to the event. */
export const tell = (
  { hub, repo }: Place,
  event: string,
  { payload, sender, only }: { payload: Json; sender: Account; only?: App },
): void => {
  for (const installation of hub.installations) {
    if (!reaches(installation, repo)) continue;
    if (only !== undefined && installation.app !== only) continue;
    if (!installation.app.events.includes(event)) continue;
    const id = installation.id;
    const body = {
      ...payload,
      repository: payload['repository'] ?? repoShape(hub, repo),
      sender: userShape(hub, sender),
      installation: { id, node_id: nodeId('Integration', id) },
    };
    deliver(hub, installation.app, { event, body, repo, installation });
  }
};

/** One delivery to one App; the answer is awaited in the background (`hub.sending`). */
export const deliver = (
  hub: Hub,
  app: App,
  what: {
    readonly event: string;
    readonly body: Json;
    readonly repo: Repo | null;
    readonly installation: Installation | null;
  },
): void => {
  if (app.hook.url === null) return;
  const action = what.body['action'];
  send(hub, {
    ...blank(hub, app, JSON.stringify(what.body)),
    guid: randomUUID(),
    event: what.event,
    action: typeof action === 'string' ? action : null,
    repo: what.repo,
    installation: what.installation,
    redelivery: false,
  });
};

/** The same body and the same GUID once more, signed with today's secret. */
export const redeliver = (hub: Hub, old: Delivery): void => {
  const { guid, event, action, repo, installation } = old;
  const fresh = blank(hub, old.app, old.body);
  send(hub, { ...fresh, guid, event, action, repo, installation, redelivery: true });
};

const blank = (hub: Hub, app: App, body: string) => ({
  id: hub.nextId(),
  app,
  body,
  atMs: hub.now(),
  headers: {},
  durationMs: 0,
  statusCode: 0,
  status: 'pending',
  answer: '',
});

const send = (hub: Hub, record: Delivery): void => {
  const delivery = { ...record, headers: headersOf(hub, record) };
  hub.deliveries.push(delivery);
  if (hub.deliveries.length > DELIVERIES_KEPT) hub.deliveries.shift();
  const sending = post(delivery).finally(() => hub.sending.delete(sending));
  hub.sending.add(sending);
};

const headersOf = (hub: Hub, { app, body, event, guid }: Delivery): Record<string, string> => {
  const { secret } = app.hook;
  const sign = (hash: string): string =>
    `${hash}=${createHmac(hash, secret ?? '')
      .update(body)
      .digest('hex')}`;
  return {
    'content-type': 'application/json',
    'user-agent': 'GitHub-Hookshot/local',
    'x-github-delivery': guid,
    'x-github-event': event,
    'x-github-enterprise-host': new URL(hub.web).host,
    'x-github-hook-id': String(app.id),
    'x-github-hook-installation-target-id': String(app.id),
    'x-github-hook-installation-target-type': 'integration',
    ...(secret === null
      ? {}
      : { 'x-hub-signature': sign('sha1'), 'x-hub-signature-256': sign('sha256') }),
  };
};

const post = async (delivery: Delivery): Promise<void> => {
  const started = performance.now();
  try {
    const response = await fetch(delivery.app.hook.url ?? '', {
      method: 'POST',
      headers: delivery.headers,
      body: delivery.body,
      redirect: 'manual',
      signal: AbortSignal.timeout(ANSWER_LIMIT_MS),
    });
    delivery.answer = await response.text();
    delivery.statusCode = response.status;
    delivery.status = response.ok ? 'OK' : `Invalid HTTP Response: ${response.status}`;
  } catch (error) {
    const late = error instanceof Error && error.name === 'TimeoutError';
    delivery.status = late ? 'timed out' : 'failed to connect to host';
  }
  delivery.durationMs = performance.now() - started;
};
