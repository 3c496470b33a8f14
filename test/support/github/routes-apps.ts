// Routes of Apps: themselves, their installations and tokens, their webhook and its deliveries.
// In: calls. Out: answers. Not here: sending webhooks (webhooks.ts).

import { makeToken, permissionsFor, suspended } from './access.ts';
import { appShape, fullRepoShape, installationShape, profileShape } from './shapes.ts';
import type { App, Call, Caller, Delivery, Installation, Json, Permissions } from './state.ts';
import type { Repo, Routes } from './state.ts';
import { HubError, actorOf, appOf, botOf, findRepo, isoTime, list, notFound, ok } from './state.ts';
import { reaches, repoOf } from './state.ts';
import { redeliver } from './webhooks.ts';

/** The code of a manifest is good for an hour, once. */
const CODE_LIFE_MS = 3_600_000;

const self = ({ caller }: Call): App => {
  const app = appOf(caller);
  if (app === null) throw notFound();
  return app;
};

const ownInstallation = (call: Call): Installation => {
  const app = self(call);
  const id = Number(call.path['installation_id']);
  const found = call.hub.installations.find((each) => each.id === id && each.app === app);
  if (found === undefined) throw notFound();
  return found;
};

const ownDeliveries = (call: Call): readonly Delivery[] => {
  const app = self(call);
  return call.hub.deliveries.filter((each) => each.app === app).toReversed();
};

const ownDelivery = (call: Call): Delivery => {
  const id = Number(call.path['delivery_id']);
  const found = ownDeliveries(call).find((each) => each.id === id);
  if (found === undefined) throw notFound();
  return found;
};

const deliveryShape = (delivery: Delivery): Json => ({
  id: delivery.id,
  guid: delivery.guid,
  delivered_at: isoTime(delivery.atMs),
  redelivery: delivery.redelivery,
  duration: Math.round(delivery.durationMs) / 1000,
  status: delivery.status,
  status_code: delivery.statusCode,
  event: delivery.event,
  action: delivery.action,
  installation_id: delivery.installation?.id ?? null,
  repository_id: delivery.repo?.id ?? null,
  throttled_at: null,
});

const hookShape = (app: App): Json => ({
  content_type: app.hook.contentType,
  insecure_ssl: '0',
  ...(app.hook.secret === null ? {} : { secret: '********' }),
  ...(app.hook.url === null ? {} : { url: app.hook.url }),
});

const newToken = (call: Call): ReturnType<typeof ok> => {
  const installation = ownInstallation(call);
  if (installation.suspendedAtMs !== null) throw suspended();
  const asked = call.body['permissions'] as Permissions | undefined;
  const permissions = permissionsFor(installation.app, asked);
  const names = call.body['repositories'] as readonly string[] | undefined;
  const repos = names?.map((name) => findRepo(call.hub, installation.account.login, name));
  if (repos?.some((repo) => repo === null || !reaches(installation, repo)) === true) {
    throw new HubError(422, {
      message:
        'There is at least one repository that does not exist or is not accessible to the parent installation.',
      status: '422',
    });
  }
  const narrowed = repos?.filter((repo): repo is Repo => repo !== null) ?? installation.repos;
  const caller: Extract<Caller, { kind: 'installation' }> = {
    kind: 'installation',
    installation: { ...installation, repos: narrowed },
    permissions,
  };
  const { text, expiresAtMs } = makeToken(call.hub, caller, call.hub.tokenLifeMs);
  return ok(
    {
      token: text,
      expires_at: isoTime(expiresAtMs ?? 0),
      permissions,
      repository_selection: narrowed === null ? 'all' : 'selected',
    },
    201,
  );
};

const setHook = (call: Call): ReturnType<typeof ok> => {
  const app = self(call);
  const { url, secret, content_type: contentType } = call.body;
  if (typeof url === 'string') app.hook.url = url;
  if (typeof secret === 'string') app.hook.secret = secret;
  if (typeof contentType === 'string') app.hook.contentType = contentType;
  return ok(hookShape(app));
};

/** The newest first; `cursor` is the id of the last one seen. */
const deliveriesPage = (call: Call): Awaited<ReturnType<NonNullable<Routes['GET /app']>>> => {
  const size = Math.min(Number(call.query.get('per_page') ?? 30), 100);
  const cursor = call.query.get('cursor');
  const last = cursor === null ? null : Number(cursor.replace(/^v1_/, ''));
  const rest = ownDeliveries(call).filter(({ id }) => last === null || id < last);
  const page = rest.slice(0, size);
  const next = rest.length > size ? page.at(-1)?.id : undefined;
  const address = `${call.hub.api}/app/hook/deliveries?per_page=${size}&cursor=v1_${next}`;
  return {
    kind: 'one',
    status: 200,
    body: page.map(deliveryShape),
    headers: next === undefined ? {} : { link: `<${address}>; rel="next"` },
  };
};

export const appRoutes: Routes = {
  'POST /app-manifests/{code}/conversions': ({ hub, path }) => {
    const made = hub.manifests.get(path['code'] ?? '');
    hub.manifests.delete(path['code'] ?? '');
    if (made === undefined || made.madeAtMs + CODE_LIFE_MS < hub.now()) throw notFound();
    const { app } = made;
    const secrets = {
      client_id: app.clientId,
      client_secret: app.clientSecret,
      webhook_secret: app.hook.secret,
      pem: app.privateKey,
    };
    return ok({ ...appShape(hub, app), ...secrets }, 201);
  },
  'GET /app': (call) => {
    const app = self(call);
    const count = call.hub.installations.filter((each) => each.app === app).length;
    return ok({ ...appShape(call.hub, app), installations_count: count });
  },
  'GET /app/installations': (call) => {
    const app = self(call);
    const own = call.hub.installations.filter((each) => each.app === app);
    return list(own.map((each) => installationShape(call.hub, each)));
  },
  'GET /app/installations/{installation_id}': (call) =>
    ok(installationShape(call.hub, ownInstallation(call))),
  'GET /repos/{owner}/{repo}/installation': (call) => {
    const app = self(call);
    const repo = repoOf(call);
    const found = call.hub.installations.find((each) => each.app === app && reaches(each, repo));
    if (found === undefined) throw notFound();
    return ok(installationShape(call.hub, found));
  },
  'POST /app/installations/{installation_id}/access_tokens': newToken,
  'GET /app/hook/config': (call) => ok(hookShape(self(call))),
  'PATCH /app/hook/config': setHook,
  'GET /app/hook/deliveries': deliveriesPage,
  'GET /app/hook/deliveries/{delivery_id}': (call) => {
    const delivery = ownDelivery(call);
    return ok({
      ...deliveryShape(delivery),
      url: delivery.app.hook.url ?? '',
      request: { headers: delivery.headers, payload: JSON.parse(delivery.body) as unknown },
      response: { headers: {}, payload: delivery.answer },
    });
  },
  'POST /app/hook/deliveries/{delivery_id}/attempts': (call) => {
    redeliver(call.hub, ownDelivery(call));
    return ok({}, 202);
  },
  'GET /installation/repositories': ({ hub, caller }) => {
    const installation = caller.kind === 'installation' ? caller.installation : null;
    const repos = [...hub.repos.values()].filter(
      (repo) => installation !== null && reaches(installation, repo),
    );
    const permissions = { admin: false, push: true, pull: true };
    return {
      kind: 'list',
      items: repos.map((repo) => fullRepoShape(hub, repo, permissions)),
      wrap: (repositories, total) => ({
        total_count: total,
        repository_selection: 'selected',
        repositories,
      }),
    };
  },
  'GET /user': ({ hub, caller }) => {
    const account = actorOf(caller);
    return ok({
      ...profileShape(hub, account),
      private_gists: 0,
      total_private_repos: 0,
      owned_private_repos: 0,
      disk_usage: 0,
      collaborators: 0,
      two_factor_authentication: true,
    });
  },
  'GET /users/{username}': ({ hub, path }) => {
    const name = (path['username'] ?? '').toLowerCase();
    const bot = hub.apps.find(({ slug }) => `${slug}[bot]` === name);
    const account = hub.accounts.get(name) ?? (bot === undefined ? undefined : botOf(bot));
    if (account === undefined) throw notFound();
    return ok(profileShape(hub, account));
  },
  'GET /meta': () => ok({ verifiable_password_authentication: false, installed_version: '3.19.0' }),
};
