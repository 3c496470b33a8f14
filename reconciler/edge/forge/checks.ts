// Checks on commits: one check run for each (commit, kind), found again by its name and external
// id, made once, brought up to date when something differs.
// In: reports. Out: check runs, with a hidden mark that says what was written. Not here: commit
// statuses for want of an App (statuses), what a check says.

import type {
  Annotation,
  CheckKind,
  CheckReport,
  Conclusion,
  ForgeRequest,
} from '../../../schema/forge.ts';
import { ANNOTATIONS_A_REQUEST, BUTTONS_LIMIT, checkName } from '../../../schema/forge.ts';
import { hashOf } from '../../../schema/hash.ts';
import { shortened } from '../../../schema/plain.ts';
import type { ApiAnnotation, ApiCheck } from './answers.ts';
import { ForgeFailure } from './failure.ts';
import type { WriteOf } from './gate.ts';
import { NO_MARKS, splitMarks, withAnswer, withMarks, type Marks } from './mark.ts';
import { createTurns } from './turns.ts';
import type { Wire } from './wire.ts';

export interface Checks {
  readonly check: (kind: CheckKind, commit: string) => Promise<CheckReport | null>;
  /** `of`: how urgent it is; absent: by its kind. */
  readonly write: (report: CheckReport, of?: WriteOf) => Promise<void>;
  /** Writes an answer below the check; false: there is no such check. */
  readonly answer: (ask: AnswerAsk) => Promise<boolean>;
  /** Whether a request was answered below a check already. */
  readonly isAnswered: (ask: Omit<AnswerAsk, 'line'>) => Promise<boolean>;
  /**
   * Since when the check has said what may be approved, by GitHub's clock, in ms since 1970; null:
   * there is none.
   */
  readonly beganAt: (kind: CheckKind, commit: string) => Promise<number | null>;
  /** Says again what it says: a re-run opens the suite until its checks have answered. */
  readonly touch: (kind: CheckKind, commit: string) => Promise<void>;
}

export interface AnswerAsk {
  readonly kind: CheckKind;
  readonly commit: string;
  readonly id: ForgeRequest['id'];
  /** Of a click's delivery: the same one again under another id is answered too; '' for comments. */
  readonly seal: string;
  /** Markdown, one line. */
  readonly line: string;
}

/** What stands on GitHub. */
interface Known {
  readonly id: number;
  readonly status: ApiCheck['status'];
  readonly conclusion: string | null;
  readonly marks: Marks;
  /** Keys of annotations: GitHub adds those of an update to those that are there. */
  readonly annotations: ReadonlySet<string>;
}

/** Checks remembered: open pulls and recent commits many times over; others are looked up. */
const KNOWN_MAX = 2000;
/**
 * That there is no check yet: it is asked while the plan is made, and only we make one of our name.
 * As long as a plan takes that is not the first.
 */
const ABSENT_MS = 60_000;
/** Pages of check runs of one name on one commit, and of annotations of one check. */
const PAGES_MAX = 10;
const OUTPUT_TITLE_MAX = 255;
const ANNOTATION_MESSAGE_MAX = 16_000;

interface Where {
  readonly cluster: string;
  readonly appId: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

export const createChecks = (wire: Wire, where: Where): Checks => {
  const runs = createRuns(wire, where);
  const inTurn = createTurns();
  return {
    // In turn: an answer that there is none must not come after one was made.
    check: (kind, commit) => inTurn(`${kind} ${commit}`, () => check(runs, kind, commit)),
    write: (report, of = report.kind === 'plan' ? 'plan' : 'rest') =>
      inTurn(`${report.kind} ${report.commit}`, () => write(runs, report, of)),
    answer: (ask) => inTurn(`${ask.kind} ${ask.commit}`, () => answer(runs, ask)),
    isAnswered: async (ask) => {
      const there = await runs.recall(ask.kind, ask.commit);
      return there !== null && isIn(there.marks, ask);
    },
    beganAt: async (kind, commit) => {
      const began = (await runs.find(kind, commit))?.started_at ?? null;
      return began === null ? null : Date.parse(began);
    },
    touch: (kind, commit) => inTurn(`${kind} ${commit}`, () => touch(runs, kind, commit)),
  };
};

/** Check runs as they stand on GitHub, and what is remembered of them. */
interface Runs extends Where {
  readonly wire: Wire;
  /** The oldest of ours, should there ever be two. */
  readonly find: (kind: CheckKind, commit: string) => Promise<ApiCheck | null>;
  readonly annotations: (run: ApiCheck) => Promise<readonly Annotation[]>;
  readonly recall: (kind: CheckKind, commit: string) => Promise<Known | null>;
  /** null: what stands there is looked at again. */
  readonly remember: (kind: CheckKind, commit: string, one: Known | null) => void;
  /** GitHub has just said that there is none. */
  readonly isAbsent: (kind: CheckKind, commit: string) => boolean;
}

const createRuns = (wire: Wire, where: Where): Runs => {
  const { cluster, appId, now } = where;
  const known = wire.memory<string, Known>();
  /** When GitHub said so. */
  const absent = wire.memory<string, number>();

  const isAbsent: Runs['isAbsent'] = (kind, commit) =>
    (absent.get(`${kind} ${commit}`) ?? -Infinity) > now() - ABSENT_MS;

  const remember: Runs['remember'] = (kind, commit, one) => {
    known.delete(`${kind} ${commit}`);
    absent.delete(`${kind} ${commit}`);
    if (one !== null) known.set(`${kind} ${commit}`, one);
    const oldest = known.keys().next().value;
    if (known.size > KNOWN_MAX && oldest !== undefined) known.delete(oldest);
  };

  const find: Runs['find'] = async (kind, commit) => {
    const external = externalId(cluster, kind, commit);
    const found = await wire.pages<ApiCheck>(
      {
        route: 'GET /repos/{owner}/{repo}/commits/{ref}/check-runs',
        params: { ref: commit, check_name: checkName(kind, cluster), filter: 'all' },
        pick: (data) => (data as { readonly check_runs: readonly ApiCheck[] }).check_runs,
        once: true,
      },
      PAGES_MAX,
    );
    const ours = found.filter((run) => run.external_id === external && run.app?.id === appId);
    const [first] = ours.toSorted((a, b) => a.id - b.id);
    if (first !== undefined) return first;
    absent.set(`${kind} ${commit}`, now());
    const [oldest] = absent.keys();
    if (absent.size > KNOWN_MAX && oldest !== undefined) absent.delete(oldest);
    return null;
  };

  const annotations: Runs['annotations'] = async (run) => {
    if (run.output.annotations_count === 0) return [];
    const found = await wire.pages<ApiAnnotation>(
      {
        route: 'GET /repos/{owner}/{repo}/check-runs/{check_run_id}/annotations',
        params: { check_run_id: run.id },
        pick: (data) => data as readonly ApiAnnotation[],
        once: true,
      },
      PAGES_MAX,
    );
    return found.map(annotationOf);
  };

  const recall: Runs['recall'] = async (kind, commit) => {
    const remembered = known.get(`${kind} ${commit}`);
    if (remembered !== undefined) return remembered;
    if (isAbsent(kind, commit)) return null;
    const run = await find(kind, commit);
    if (run === null) return null;
    const one = knownOf(run, await annotations(run));
    remember(kind, commit, one);
    return one;
  };

  return { ...where, wire, find, annotations, recall, remember, isAbsent };
};

const check = async (runs: Runs, kind: CheckKind, commit: string): Promise<CheckReport | null> => {
  if (runs.isAbsent(kind, commit)) return null;
  const run = await runs.find(kind, commit);
  if (run === null) return null;
  const annotations = await runs.annotations(run);
  runs.remember(kind, commit, knownOf(run, annotations));
  return reportOf(run, { kind, commit, annotations });
};

const write = async (runs: Runs, report: CheckReport, of: WriteOf): Promise<void> => {
  const { wire, cluster } = runs;
  const { kind, commit } = report;
  const before = await runs.recall(kind, commit);
  const hash = hashOf(report).slice(0, 16);
  if (before !== null && isSame(before, report, hash)) return;
  const marks: Marks = { ...(before?.marks ?? NO_MARKS), hash, buttons: report.buttons };
  const there = before?.annotations ?? new Set<string>();
  const fresh = report.annotations.filter((one) => !there.has(keyOf(one)));
  const batches = batchesOf(fresh);
  // An approval by comment counts for what stood there before it.
  const isOther = coversIn(before?.marks.buttons ?? []) !== coversIn(report.buttons);
  const since = isOther ? { started_at: new Date(wire.epochMs()).toISOString() } : {};
  runs.remember(kind, commit, null);
  let id = before?.id ?? null;
  for (const [index, batch] of batches.entries()) {
    const isLast = index === batches.length - 1;
    // Until all is written the mark names nothing, so that a crash leaves it to be done again.
    const written = isLast ? marks : { ...marks, hash: '' };
    const body = { ...bodyOf(report, written, batch), ...since, name: checkName(kind, cluster) };
    const external = externalId(cluster, kind, commit);
    id = await put(wire, id, { ...body, commit, external, of });
  }
  if (id === null) return;
  const { status, conclusion } = report;
  const annotations = new Set([...there, ...fresh.map(keyOf)]);
  runs.remember(kind, commit, { id, status, conclusion, marks, annotations });
};

const answer = async (runs: Runs, ask: AnswerAsk): Promise<boolean> => {
  const { kind, commit, line } = ask;
  const run = await runs.find(kind, commit);
  if (run === null) return false;
  const { body, marks } = splitMarks(run.output.summary ?? '');
  if (isIn(marks, ask)) return true;
  const answered = withAnswer(marks, nameOf(ask), line);
  const { title, text } = run.output;
  runs.remember(kind, commit, null);
  await runs.wire.send(CHANGE, {
    check_run_id: run.id,
    output: { title, summary: withMarks(body, answered), ...(text ? { text } : {}) },
    ...standingOf(run),
    actions: actionsOf(marks.buttons),
  });
  return true;
};

const touch = async (runs: Runs, kind: CheckKind, commit: string): Promise<void> => {
  const run = await runs.find(kind, commit);
  if (run === null) return;
  const { marks } = splitMarks(run.output.summary ?? '');
  await runs.wire.send(CHANGE, {
    check_run_id: run.id,
    ...standingOf(run),
    actions: actionsOf(marks.buttons),
  });
};

const CHANGE = 'PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}';

const reportOf = (
  run: ApiCheck,
  of: Pick<CheckReport, 'kind' | 'commit' | 'annotations'>,
): CheckReport => {
  const { body, marks } = splitMarks(run.output.summary ?? '');
  return {
    ...of,
    status: run.status,
    conclusion: conclusionOf(run.conclusion),
    title: run.output.title ?? '',
    summary: body,
    text: run.output.text ?? '',
    buttons: marks.buttons,
  };
};

export const externalId = (cluster: string, kind: CheckKind, commit: string): string =>
  `purser:${cluster}:${kind}:${commit}`;

const nameOf = ({ id, seal }: Pick<AnswerAsk, 'id' | 'seal'>): string =>
  seal === '' ? id : `${id}/${seal}`;

const isIn = ({ answered }: Marks, { id, seal }: Pick<AnswerAsk, 'id' | 'seal'>): boolean =>
  answered.some((one) => {
    const [known, sealed] = one.split('/');
    return known === id || (seal !== '' && sealed === seal);
  });

/** As it stands. What was open for two weeks GitHub ends as `stale`, and takes that word of nobody. */
const standingOf = ({ status, conclusion }: ApiCheck) =>
  conclusion === 'stale' ? {} : { status, ...(conclusion === null ? {} : { conclusion }) };

const knownOf = (run: ApiCheck, annotations: readonly Annotation[]): Known => ({
  id: run.id,
  status: run.status,
  conclusion: run.conclusion,
  marks: splitMarks(run.output.summary ?? '').marks,
  annotations: new Set(annotations.map(keyOf)),
});

const isSame = (known: Known, report: CheckReport, hash: string): boolean =>
  known.marks.hash === hash &&
  known.status === report.status &&
  known.conclusion === report.conclusion;

/** At least one batch, also without annotations. */
const batchesOf = (annotations: readonly Annotation[]): readonly (readonly Annotation[])[] => {
  const count = Math.max(1, Math.ceil(annotations.length / ANNOTATIONS_A_REQUEST));
  return Array.from({ length: count }, (_, index) =>
    annotations.slice(index * ANNOTATIONS_A_REQUEST, (index + 1) * ANNOTATIONS_A_REQUEST),
  );
};

const bodyOf = (report: CheckReport, marks: Marks, annotations: readonly Annotation[]) => ({
  status: report.status,
  ...(report.conclusion === null ? {} : { conclusion: report.conclusion }),
  output: {
    title: shortened(report.title, OUTPUT_TITLE_MAX),
    summary: withMarks(report.summary, marks),
    ...(report.text === '' ? {} : { text: report.text }),
    ...(annotations.length === 0 ? {} : { annotations: annotations.map(apiAnnotation) }),
  },
  actions: actionsOf(report.buttons),
});

const actionsOf = (buttons: CheckReport['buttons']) =>
  buttons.slice(0, BUTTONS_LIMIT).map(({ id, label, description, covers }) => ({
    identifier: covers === undefined ? id : `${id}-${covers}`,
    label,
    description,
  }));

const coversIn = (buttons: CheckReport['buttons']): string | undefined =>
  buttons.find(({ covers }) => covers !== undefined)?.covers;

interface Put {
  readonly name: string;
  readonly commit: string;
  readonly external: string;
  readonly of: WriteOf;
  readonly [field: string]: unknown;
}

/** Makes it, or changes the one that is there; makes it anew when GitHub has thrown it away. */
const put = async (wire: Wire, id: number | null, ask: Put): Promise<number> => {
  const { commit, external, of, ...body } = ask;
  if (id !== null) {
    try {
      const params = { ...body, check_run_id: id };
      await wire.send(CHANGE, params, of);
      return id;
    } catch (error) {
      if (!(error instanceof ForgeFailure) || error.status !== 404) throw error;
    }
  }
  const params = { ...body, head_sha: commit, external_id: external };
  const made = await wire.send('POST /repos/{owner}/{repo}/check-runs', params, of);
  return (made as ApiCheck).id;
};

const apiAnnotation = (one: Annotation) => ({
  path: one.path,
  start_line: one.startLine,
  end_line: one.endLine,
  annotation_level: one.level,
  title: one.title,
  message: shortened(one.message, ANNOTATION_MESSAGE_MAX),
});

const annotationOf = (one: ApiAnnotation): Annotation => ({
  path: one.path,
  startLine: one.start_line,
  endLine: one.end_line,
  level: one.annotation_level ?? 'notice',
  title: one.title ?? '',
  message: one.message ?? '',
});

const keyOf = (one: Annotation): string =>
  [one.path, one.startLine, one.endLine, one.level, one.title, one.message].join('\n');

const CONCLUSIONS: readonly Conclusion[] = ['success', 'failure', 'action_required', 'cancelled'];

/** Ours are these four; GitHub itself ends forgotten ones as `stale`. */
const conclusionOf = (conclusion: string | null): Conclusion | null =>
  CONCLUSIONS.find((one) => one === conclusion) ?? (conclusion === null ? null : 'cancelled');
