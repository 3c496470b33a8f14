// Routes of checks: runs, their annotations and buttons, suites.
// In: calls. Out: answers, changed records, webhooks. Not here: statuses (routes-statuses.ts).

import { commitOf } from './git.ts';
import type { Place } from './payloads.ts';
import { checkPayload, suitePayload } from './payloads.ts';
import { shaOf } from './routes-repos.ts';
import { checkShape, runsOf, suiteShape } from './shapes-checks.ts';
import { repoPage } from './shapes.ts';
import type { Account, Answer, App, Call, CheckRun, Json, Repo, Routes, Suite } from './state.ts';
import { HubError, actorOf, appOf, botOf, isoTime, list, notAccessible } from './state.ts';
import { notFound, ok, recordOf, repoOf, textOf, unprocessable } from './state.ts';
import { tell } from './webhooks.ts';

const placeOf = (call: Call): Place => ({ hub: call.hub, repo: repoOf(call) });

const ownApp = (call: Call): App => {
  const app = appOf(call.caller);
  if (app === null) throw notAccessible();
  return app;
};

/** GitHub's limits beyond its description, which the validator does not know. */
const ANNOTATIONS_LIMIT = 50;
const ACTIONS_LIMIT = 3;
const TEXT_LIMIT = 65_535;
const ANNOTATION_BYTES = 64 * 1024;
const ANNOTATION_TITLE_LIMIT = 255;
const ACTION_LIMITS = { label: 20, description: 40, identifier: 20 } as const;
/** Runs of one name in one suite; older ones go. */
const SAME_NAME_LIMIT = 1000;

const invalid = (field: string, message: string): HubError =>
  new HubError(422, {
    message: `Invalid request.\n\n${message}`,
    errors: [{ resource: 'CheckRun', field, code: 'invalid', message }],
    status: '422',
  });

interface Output {
  readonly title?: string;
  readonly summary?: string;
  readonly text?: string;
  readonly annotations?: readonly Json[];
}

const checkLimits = (body: Json): void => {
  const output = (body['output'] ?? {}) as Output;
  for (const field of ['summary', 'text'] as const) {
    if (Buffer.byteLength(output[field] ?? '') > TEXT_LIMIT) {
      throw invalid(field, `Only ${TEXT_LIMIT} characters are allowed; ${field} is too long.`);
    }
  }
  const annotations = output.annotations ?? [];
  if (annotations.length > ANNOTATIONS_LIMIT) {
    throw invalid(
      'annotations',
      `No more than ${ANNOTATIONS_LIMIT} items are allowed; ${annotations.length} were supplied.`,
    );
  }
  for (const item of annotations) checkAnnotation(item);
  const actions = (body['actions'] ?? []) as readonly Record<string, string>[];
  if (actions.length > ACTIONS_LIMIT) {
    throw invalid('actions', `No more than ${ACTIONS_LIMIT} items are allowed.`);
  }
  for (const action of actions) {
    for (const [field, limit] of Object.entries(ACTION_LIMITS)) {
      if ((action[field] ?? '').length > limit) {
        throw invalid(field, `${field} is too long (maximum is ${limit} characters).`);
      }
    }
  }
};

const checkAnnotation = (item: Json): void => {
  for (const field of ['message', 'raw_details']) {
    if (Buffer.byteLength(textOf(item[field])) > ANNOTATION_BYTES) {
      throw invalid(field, `${field} exceeds a maximum size of 64 KB.`);
    }
  }
  if (textOf(item['title']).length > ANNOTATION_TITLE_LIMIT) {
    throw invalid('title', `title is too long (maximum is ${ANNOTATION_TITLE_LIMIT} characters).`);
  }
  if (Number(item['end_line']) < Number(item['start_line'])) {
    throw invalid('end_line', 'end_line must not be before start_line.');
  }
  const column = item['start_column'] ?? item['end_column'];
  if (column !== undefined && item['start_line'] !== item['end_line']) {
    throw invalid('start_column', 'columns are allowed on one line only.');
  }
};

/** Purser's own, or a new one of the same App and commit. */
const suiteFor = (place: Place, app: App, sha: string): Suite => {
  const { hub, repo } = place;
  const old = [...repo.suites.values()].find((each) => each.app === app && each.sha === sha);
  if (old !== undefined) return old;
  const nowMs = hub.now();
  const suite: Suite = {
    id: hub.nextId(),
    app,
    sha,
    branch: [...repo.pulls.values()].find(({ head }) => head.sha === sha)?.head.ref ?? null,
    before: null,
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
    status: 'queued',
    conclusion: null,
  };
  repo.suites.set(suite.id, suite);
  return suite;
};

/** Fields of a request go into the run, as GitHub understands them together. */
const change = (run: CheckRun, body: Json, nowMs: number): void => {
  const text = (key: string): string | undefined =>
    typeof body[key] === 'string' ? body[key] : undefined;
  const conclusion = text('conclusion') ?? null;
  const status = text('status') ?? (conclusion === null ? run.status : 'completed');
  if (conclusion === 'stale') {
    throw invalid('conclusion', 'You cannot change a check run conclusion to `stale`.');
  }
  if (text('status') === 'completed' && conclusion === null) {
    throw invalid('conclusion', 'conclusion is required when status is completed.');
  }
  const output = body['output'] as Output | undefined;
  if (output !== undefined && output.summary === undefined) {
    throw invalid('summary', '"summary" wasn\'t supplied.');
  }
  run.status = conclusion === null ? status : 'completed';
  run.conclusion = run.status === 'completed' ? (conclusion ?? run.conclusion) : null;
  run.completedAt =
    run.status === 'completed' ? (text('completed_at') ?? run.completedAt ?? isoTime(nowMs)) : null;
  run.name = text('name') ?? run.name;
  run.externalId = text('external_id') ?? run.externalId;
  run.detailsUrl = text('details_url') ?? run.detailsUrl;
  run.startedAt = text('started_at') ?? run.startedAt;
  if (body['actions'] !== undefined) run.actions = body['actions'] as CheckRun['actions'];
  if (output === undefined) return;
  run.output = {
    title: output.title ?? run.output.title,
    summary: output.summary ?? run.output.summary,
    text: output.text ?? run.output.text,
  };
  run.annotations.push(...(output.annotations ?? []));
};

const create = async (call: Call): Promise<Answer> => {
  const place = placeOf(call);
  const { hub, repo } = place;
  const app = ownApp(call);
  checkLimits(call.body);
  const sha = await shaOf(repo, textOf(call.body['head_sha']));
  const nowMs = hub.now();
  const run: CheckRun = {
    id: hub.nextId(),
    suite: suiteFor(place, app, sha),
    name: '',
    sha,
    externalId: '',
    detailsUrl: null,
    status: 'queued',
    conclusion: null,
    startedAt: isoTime(nowMs),
    completedAt: null,
    output: { title: null, summary: null, text: null },
    annotations: [],
    actions: [],
  };
  change(run, call.body, nowMs);
  repo.checks.set(run.id, run);
  const same = runsOf(repo, run.suite).filter(({ name }) => name === run.name);
  for (const old of same.slice(0, -SAME_NAME_LIMIT)) repo.checks.delete(old.id);
  tellRun(place, run, 'created');
  if (run.status === 'completed') tellRun(place, run, 'completed');
  await settleSuite(place, run.suite);
  return ok(checkShape(hub, repo, run), 201);
};

const update = async (call: Call): Promise<Answer> => {
  const place = placeOf(call);
  const run = recordOf(place.repo.checks, call.path['check_run_id']);
  if (run.suite.app !== ownApp(call)) {
    throw new HubError(403, {
      message: `Invalid app_id \`${ownApp(call).id}\` - check run can only be modified by the GitHub App that created it.`,
      status: '403',
    });
  }
  checkLimits(call.body);
  const wasCompleted = run.status === 'completed';
  change(run, call.body, call.hub.now());
  if (run.status === 'completed' && !wasCompleted) tellRun(place, run, 'completed');
  await settleSuite(place, run.suite);
  return ok(checkShape(call.hub, place.repo, run));
};

/** Apps hear of checks that they or others wrote. */
const tellRun = (place: Place, run: CheckRun, action: 'created' | 'completed'): void =>
  tell(place, 'check_run', {
    payload: checkPayload(place, run, action),
    sender: botOf(run.suite.app),
  });

const WORST = ['failure', 'timed_out', 'cancelled', 'action_required', 'stale', 'success'];

/** A suite is what its runs are, and is told when all are through. */
const settleSuite = async (place: Place, suite: Suite): Promise<void> => {
  const runs = runsOf(place.repo, suite);
  const was = suite.status;
  const isDone = runs.every(({ status }) => status === 'completed');
  suite.status = isDone ? 'completed' : 'in_progress';
  const found = WORST.find((word) => runs.some(({ conclusion }) => conclusion === word));
  suite.conclusion = isDone ? (found ?? 'neutral') : null;
  suite.updatedAtMs = place.hub.now();
  if (!isDone || was === 'completed') return;
  const commit = await commitOf(place.repo.folder, suite.sha);
  const payload = suitePayload(place, suite, { action: 'completed', commit });
  tell(place, 'check_suite', { payload, sender: botOf(suite.app) });
};

/** Somebody presses a button of a check: only its App hears of it. */
export const pressButton = (
  place: Place,
  run: CheckRun,
  ask: { button: string; by: Account },
): void => {
  if (!run.actions.some(({ identifier }) => identifier === ask.button)) {
    throw unprocessable('CheckRun', 'identifier', { code: 'missing' });
  }
  tell(place, 'check_run', {
    payload: checkPayload(place, run, { button: ask.button }),
    sender: ask.by,
    only: run.suite.app,
  });
};

/** The button as it is there now; what it carries stands behind its name. */
export const pressNamed = (
  place: Place,
  run: CheckRun,
  ask: { button: string; by: Account },
): void => {
  const there = run.actions.find(({ identifier }) => identifier.startsWith(`${ask.button}-`));
  pressButton(place, run, { ...ask, button: there?.identifier ?? ask.button });
};

/** "Re-run": the App is asked; nothing else changes. */
export const askAgain = (place: Place, run: CheckRun, by: Account): void => {
  const payload = checkPayload(place, run, 'rerequested');
  tell(place, 'check_run', { payload, sender: by, only: run.suite.app });
};

const askSuiteAgain = async (call: Call): Promise<Answer> => {
  const place = placeOf(call);
  const suite = recordOf(place.repo.suites, call.path['check_suite_id']);
  const commit = await commitOf(place.repo.folder, suite.sha);
  const payload = suitePayload(place, suite, { action: 'rerequested', commit });
  tell(place, 'check_suite', { payload, sender: actorOf(call.caller), only: suite.app });
  return ok({}, 201);
};

/** `filter=latest` (the default): the newest of each name and App. */
const listRuns = (call: Call, all: readonly CheckRun[]): Answer => {
  const { hub, query } = call;
  const [name, status, app] = ['check_name', 'status', 'app_id'].map((key) => query.get(key));
  const latest = new Map<string, CheckRun>();
  for (const run of all) latest.set(`${run.suite.app.id} ${run.name}`, run);
  const shown = query.get('filter') === 'all' ? all : [...latest.values()];
  const found = shown
    .filter((run) => name === null || run.name === name)
    .filter((run) => status === null || run.status === status)
    .filter((run) => app === null || run.suite.app.id === Number(app))
    .toReversed();
  return {
    kind: 'list',
    items: found.map((run) => checkShape(hub, repoOf(call), run)),
    wrap: (page, total) => ({ total_count: total, check_runs: page }),
  };
};

const listSuites = async (call: Call): Promise<Answer> => {
  const place = placeOf(call);
  const sha = await shaOf(place.repo, call.path['ref'] ?? '');
  const app = call.query.get('app_id');
  const suites = [...place.repo.suites.values()]
    .filter((suite) => suite.sha === sha)
    .filter((suite) => app === null || suite.app.id === Number(app));
  const commit = await commitOf(place.repo.folder, sha);
  return {
    kind: 'list',
    items: suites.map((suite) => suiteShape(place, suite, commit)),
    wrap: (page, total) => ({ total_count: total, check_suites: page }),
  };
};

const createSuite = async (call: Call): Promise<Answer> => {
  const place = placeOf(call);
  const sha = await shaOf(place.repo, textOf(call.body['head_sha']));
  const app = ownApp(call);
  const isOld = [...place.repo.suites.values()].some(
    (each) => each.app === app && each.sha === sha,
  );
  const suite = suiteFor(place, app, sha);
  const commit = await commitOf(place.repo.folder, sha);
  return ok(suiteShape(place, suite, commit), isOld ? 200 : 201);
};

const annotationShape = (call: Call, repo: Repo, run: CheckRun, item: Json): Json => ({
  path: item['path'],
  blob_href: `${repoPage(call.hub, repo)}/blob/${run.sha}/${String(item['path'])}`,
  start_line: item['start_line'],
  end_line: item['end_line'],
  start_column: item['start_column'] ?? null,
  end_column: item['end_column'] ?? null,
  annotation_level: item['annotation_level'],
  title: item['title'] ?? null,
  message: item['message'],
  raw_details: item['raw_details'] ?? null,
});

export const checkRoutes: Routes = {
  'POST /repos/{owner}/{repo}/check-runs': create,
  'PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}': update,
  'GET /repos/{owner}/{repo}/check-runs/{check_run_id}': (call) => {
    const repo = repoOf(call);
    return ok(checkShape(call.hub, repo, recordOf(repo.checks, call.path['check_run_id'])));
  },
  'GET /repos/{owner}/{repo}/check-runs/{check_run_id}/annotations': (call) => {
    const repo = repoOf(call);
    const run = recordOf(repo.checks, call.path['check_run_id']);
    return list(run.annotations.map((item) => annotationShape(call, repo, run, item)));
  },
  'POST /repos/{owner}/{repo}/check-runs/{check_run_id}/rerequest': (call) => {
    const place = placeOf(call);
    const run = recordOf(place.repo.checks, call.path['check_run_id']);
    askAgain(place, run, actorOf(call.caller));
    return ok({}, 201);
  },
  'GET /repos/{owner}/{repo}/commits/{ref}/check-runs': async (call) => {
    const repo = repoOf(call);
    const sha = await shaOf(repo, call.path['ref'] ?? '');
    return listRuns(
      call,
      [...repo.checks.values()].filter((run) => run.sha === sha),
    );
  },
  'GET /repos/{owner}/{repo}/commits/{ref}/check-suites': listSuites,
  'POST /repos/{owner}/{repo}/check-suites': createSuite,
  'GET /repos/{owner}/{repo}/check-suites/{check_suite_id}': async (call) => {
    const place = placeOf(call);
    const suite = place.repo.suites.get(Number(call.path['check_suite_id']));
    if (suite === undefined) throw notFound();
    return ok(suiteShape(place, suite, await commitOf(place.repo.folder, suite.sha)));
  },
  'POST /repos/{owner}/{repo}/check-suites/{check_suite_id}/rerequest': askSuiteAgain,
  'GET /repos/{owner}/{repo}/check-suites/{check_suite_id}/check-runs': (call) => {
    const repo = repoOf(call);
    return listRuns(call, runsOf(repo, recordOf(repo.suites, call.path['check_suite_id'])));
  },
};
