// Pages of the local GitHub on which a person makes an App of a manifest and installs it.
// In: what a browser sends to `/settings/apps/…`, `/organizations/ORG/settings/apps/…` and
// `/apps/SLUG/installations/…`. Out: pages, or where the browser goes next. As on GitHub: a manifest
// makes nothing until a person agrees on GitHub's own page, its code is good once and for an hour,
// and a private App can be installed in its owner's account only.

import { accountOf, createApp, install } from './create.ts';
import type { Safe } from './html.ts';
import { markup } from './html.ts';
import { layout, whoBox } from './page-parts.ts';
import type { Account, App, Hub, Installation, Permissions } from './state.ts';
import { HubError, fullName, notFound, textOf } from './state.ts';

export interface AppAsk {
  readonly hub: Hub;
  readonly url: URL;
  /** null: the page is looked at. */
  readonly form: URLSearchParams | null;
  readonly by: string | null;
}

/** A page, or an address to go to. */
export type AppAnswer = Safe | string;

/** Forms that another site's page may send: nothing happens before a person presses a button here. */
export const isManifestPost = (path: string): boolean => NEW.test(path);

/** null: the address is none of these. */
export const appPage = (ask: AppAsk): AppAnswer | null => {
  const { pathname } = ask.url;
  const found = NEW.exec(pathname) ?? APPS.exec(pathname);
  if (found !== null && ask.form !== null) {
    const owner = ownerOf(ask, found[1]);
    return NEW.test(pathname) ? newPage(ask, owner) : makeApp(ask, owner);
  }
  const installing = INSTALL.exec(pathname);
  if (installing !== null) {
    const app = ask.hub.apps.find(({ slug }) => slug === installing[1]);
    if (app === undefined) throw notFound();
    return ask.form === null ? installPage(ask, app) : installApp(ask, app);
  }
  const installed = /^(?:\/organizations\/[\w-]+)?\/settings\/installations\/(\d+)$/.exec(pathname);
  if (installed === null || ask.form !== null) return null;
  const one = ask.hub.installations.find(({ id }) => id === Number(installed[1]));
  if (one === undefined) throw notFound();
  return installedPage(one);
};

const NEW = /^(?:\/organizations\/([\w-]+))?\/settings\/apps\/new$/;
const APPS = /^(?:\/organizations\/([\w-]+))?\/settings\/apps$/;
const INSTALL = /^\/(?:github-)?apps\/([\w-]+)\/installations\/new$/;

const peopleOf = ({ hub }: AppAsk): readonly Account[] =>
  [...hub.accounts.values()].filter(({ kind }) => kind === 'User');

const chosenOf = (ask: AppAsk): Account => {
  const people = peopleOf(ask);
  return people.find(({ login }) => login === ask.by) ?? people[0] ?? accountOf(ask.hub, 'you');
};

/** An App is an organization's, or of whoever makes it. */
const ownerOf = (ask: AppAsk, organization: string | undefined): Account => {
  if (organization === undefined) return chosenOf(ask);
  const found = ask.hub.accounts.get(organization.toLowerCase());
  if (found?.kind !== 'Organization') throw notFound();
  return found;
};

interface Manifest {
  readonly name?: unknown;
  readonly url?: unknown;
  readonly description?: unknown;
  readonly redirect_url?: unknown;
  readonly setup_url?: unknown;
  readonly public?: unknown;
  readonly hook_attributes?: { readonly url?: unknown; readonly active?: unknown };
  readonly default_permissions?: Permissions;
  readonly default_events?: readonly string[];
}

const manifestOf = (form: URLSearchParams): Manifest => {
  let manifest: Manifest;
  try {
    manifest = JSON.parse(form.get('manifest') ?? '') as Manifest;
  } catch {
    throw new HubError(422, { message: 'The manifest is no JSON.' });
  }
  const wrong = troubleOf(manifest);
  if (wrong === null) return manifest;
  throw new HubError(422, { message: `Invalid GitHub App configuration: ${wrong}` });
};

/** The permission that an event asks for, as the documents of GitHub's webhooks say it. */
const EVENT_NEEDS: Readonly<Record<string, string>> = {
  check_run: 'checks',
  check_suite: 'checks',
  issue_comment: 'issues',
  merge_group: 'merge_queues',
  pull_request: 'pull_requests',
  pull_request_review: 'pull_requests',
  push: 'contents',
};

const troubleOf = (manifest: Manifest): string | null => {
  const { default_permissions: granted = {}, default_events: events = [] } = manifest;
  const isWeb = (url: unknown): boolean => /^https?:\/\/\S+$/.test(textOf(url));
  if (!isWeb(manifest.url)) return 'Url is missing';
  if (!isWeb(manifest.redirect_url)) return 'Redirect url is missing';
  if (manifest.hook_attributes !== undefined && !isWeb(manifest.hook_attributes.url)) {
    return 'Hook url is missing';
  }
  const lost = events.filter((event) => granted[EVENT_NEEDS[event] ?? '?'] === undefined);
  return lost.length === 0 ? null : `Default events unsupported: ${lost.join(', ')}`;
};

/** GitHub's limit. */
const NAME_MAX = 34;

const newPage = (ask: AppAsk, owner: Account): Safe => {
  const { form, url } = ask;
  const manifest = manifestOf(form ?? new URLSearchParams());
  const permissions = Object.entries(manifest.default_permissions ?? {});
  const state = url.searchParams.get('state') ?? form?.get('state') ?? '';
  return layout(
    'Create GitHub App',
    markup`<h1>Create a GitHub App for ${owner.login}</h1>
      <form method="post" action="${url.pathname.replace(/\/new$/, '')}" class="box">
        <input type="hidden" name="manifest" value="${form?.get('manifest') ?? ''}" />
        <input type="hidden" name="state" value="${state}" />
        <label>GitHub App name
          <input name="name" size="${NAME_MAX}" value="${textOf(manifest.name)}" /></label>
        ${whoBox(peopleOf(ask), chosenOf(ask))}
        <button>Create GitHub App for ${owner.login}</button>
      </form>
      <p>${textOf(manifest.description)}</p>
      <p>Permissions:</p>
      <ul>
        ${permissions.map(([name, level]) => markup`<li>${name}: ${level}</li>`)}
      </ul>
      <p>Events: ${(manifest.default_events ?? []).join(', ')}</p>`,
  );
};

const makeApp = (ask: AppAsk, owner: Account): string => {
  const { hub } = ask;
  const form = ask.form ?? new URLSearchParams();
  const manifest = manifestOf(form);
  const name = form.get('name') ?? textOf(manifest.name);
  if (name === '' || name.length > NAME_MAX) {
    throw new HubError(422, { message: `Name must have 1 to ${NAME_MAX} characters.` });
  }
  if (hub.apps.some((each) => each.name.toLowerCase() === name.toLowerCase())) {
    throw new HubError(422, { message: 'Name is already taken.' });
  }
  const hook = manifest.hook_attributes;
  const app = createApp(hub, {
    name,
    owner,
    url: textOf(manifest.url),
    description: textOf(manifest.description),
    permissions: manifest.default_permissions ?? {},
    events: manifest.default_events ?? [],
    hookUrl: hook === undefined || hook.active === false ? null : textOf(hook.url),
    setupUrl: textOf(manifest.setup_url),
    isPublic: manifest.public === true,
  });
  const code = app.clientSecret.slice(0, 20);
  hub.manifests.set(code, { app, madeAtMs: hub.now() });
  const back = new URL(textOf(manifest.redirect_url, hub.web));
  back.searchParams.set('code', code);
  const state = form.get('state');
  if (state !== null && state !== '') back.searchParams.set('state', state);
  return back.toString();
};

/** Where it may be installed: a private App in its owner's account only. */
const placesOf = ({ hub }: AppAsk, app: App): readonly Account[] => {
  const owners = new Set([...hub.repos.values()].map(({ owner }) => owner));
  return [...owners].filter((account) => app.isPublic || account === app.owner);
};

const installPage = (ask: AppAsk, app: App): Safe =>
  layout(
    `Install ${app.name}`,
    markup`<h1>Install ${app.name}</h1>
      ${placesOf(ask, app).map((account) => {
        const repos = [...ask.hub.repos.values()].filter(({ owner }) => owner === account);
        return markup`<form method="post" class="box">
          <p>on <b>${account.login}</b></p>
          <input type="hidden" name="account" value="${account.login}" />
          <label><input type="radio" name="repository" value="" checked /> All repositories</label>
          ${repos.map(
            (repo) =>
              markup`<br /><label
                  ><input type="radio" name="repository" value="${fullName(repo)}" /> Only
                  ${fullName(repo)}</label
                >`,
          )}
          ${whoBox(peopleOf(ask), chosenOf(ask))} <button>Install</button>
        </form>`;
      })}
      ${
        placesOf(ask, app).length > 0
          ? null
          : markup`<p>
            This App is private to ${app.owner.login}, whose account has no repository here.
          </p>`
      }`,
  );

const installApp = (ask: AppAsk, app: App): string => {
  const { hub, form } = ask;
  const places = placesOf(ask, app);
  const account = places.find(({ login }) => login === form?.get('account')) ?? places[0];
  if (account === undefined) {
    throw new HubError(403, { message: `${app.name} is private to ${app.owner.login}.` });
  }
  const only = form?.get('repository') ?? '';
  const repo = hub.repos.get(only.toLowerCase());
  const made = install(hub, app, { account, repos: repo === undefined ? null : [repo] });
  if (app.setupUrl === '') return `${settingsOf(account)}/installations/${made.id}`;
  const next = new URL(app.setupUrl);
  next.searchParams.set('installation_id', String(made.id));
  next.searchParams.set('setup_action', 'install');
  return next.toString();
};

const settingsOf = ({ kind, login }: Account): string =>
  kind === 'Organization' ? `/organizations/${login}/settings` : '/settings';

const installedPage = ({ app, account, repos }: Installation): Safe =>
  layout(
    app.name,
    markup`<h1>${app.name}</h1>
      <p>
        is installed on ${account.login}, in
        ${repos === null ? 'all repositories' : repos.map(fullName).join(', ')}.
      </p>`,
  );
