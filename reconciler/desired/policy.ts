// What a job may use, and what its fields may say together with the cluster's: checks across files.
// In: a draft, the cluster and the namespace of the same commit. Out: problems on the lines that
// cause them.
// Not here: checks of one file by itself (schema/check-job.ts), checks that need nodes
// (reconciler/plan).

import type { ClusterSpec } from '../../schema/desired.ts';
import { MAX_ORDERED_TASKS } from '../../schema/check-lifecycle.ts';
import { orderOf, stopMs } from '../../schema/lifecycle.ts';
import type { Problem } from '../../schema/problems.ts';
import { parseVolume } from '../../schema/references.ts';
import { formatDuration } from '../../schema/units.ts';
import type { VolumeMount } from '../../schema/spec.ts';
import type { WrittenGroup } from '../../schema/written-job.ts';
import type { Settings } from './cluster.ts';
import { jobNames, type Draft, type ImageUse } from './draft.ts';
import type { LongJob } from './long-form.ts';
import { problemAt, type Found } from './problem.ts';
import { durationMs } from './units.ts';

interface Policy extends Settings {
  readonly namespace: string;
}

/**
 * The draft as the settings of its commit see it: with their problems, and no content where one is
 * an error.
 */
export const judged = (draft: Draft, settings: Settings): Draft => {
  const problems = judge(draft, { ...settings, namespace: jobNames(draft.path).namespace });
  if (problems.length === 0) return draft;
  const refused = problems.some((problem) => problem.severity === 'error');
  return {
    ...draft,
    content: refused ? null : draft.content,
    problems: [...draft.problems, ...problems],
  };
};

const judge = (draft: Draft, policy: Policy): readonly Problem[] => {
  const { long } = draft;
  if (long === null) return [];
  return [
    ...draft.images.flatMap((use) => imageProblems(draft, use, policy)),
    ...long.groups.flatMap((group) => [
      ...stopAfterProblems(draft, group, policy),
      ...volumeProblems(draft, { long, group }, policy),
    ]),
  ];
};

const at = (use: ImageUse, draft: Draft) => ({
  file: draft.path,
  line: use.line,
  column: use.column,
});

/**
 * Rules 3: a plain tag is refused in a protected namespace; only registries that policy names are
 * ever asked.
 */
const imageProblems = (draft: Draft, use: ImageUse, policy: Policy): readonly Problem[] => {
  const problems: Problem[] = [];
  const { image, reference } = use;
  if (policy.protected && image.digest === null) {
    problems.push({
      ...at(use, draft),
      code: 'image-tag-protected',
      severity: 'error',
      message: `\`${reference}\` has no digest, and namespace \`${policy.namespace}\` is protected.`,
      advice: `Write \`${reference}@sha256:…\`, as \`purser deploy\` does.`,
    });
  }
  if (!policy.cluster.registries.includes(image.registry)) {
    problems.push({
      ...at(use, draft),
      code: 'registry-not-allowed',
      severity: 'error',
      message: `cluster.yaml does not allow images from \`${image.registry}\`.`,
      advice: `Add \`- ${image.registry}\` under \`policies.registries\` in cluster.yaml.`,
    });
  }
  return problems;
};

/**
 * Time that a runner needs beyond what is written, before the cluster may give the copy to another
 * node (rules 9.3).
 */
const STOP_MARGIN_MS = 5000;
const KILL_TIMEOUT_MS = 10_000;

/** Rules 9.3: the node must have stopped the copy before the reconciler calls the node lost. */
const stopAfterProblems = (
  draft: Draft,
  { group, tasks, pointer }: WrittenGroup,
  { cluster }: Policy,
): readonly Problem[] => {
  const stopAfterMs = optionalMs(group.stop_after, 0);
  if (stopAfterMs === 0) return [];
  const delayMs = optionalMs(group.shutdown_delay, 0);
  const timed = tasks.map(({ name, task: { lifecycle, depends_on: dependsOn, ...task } }) => ({
    name,
    ...(lifecycle === undefined ? {} : { lifecycle }),
    ...(dependsOn === undefined ? {} : { dependsOn }),
    killTimeoutMs: optionalMs(task.kill_timeout, KILL_TIMEOUT_MS),
  }));
  const isOrdered = timed.length <= MAX_ORDERED_TASKS && orderOf(timed) !== null;
  const killMs = isOrdered
    ? stopMs(timed)
    : Math.max(0, ...timed.map(({ killTimeoutMs }) => killTimeoutMs));
  const inTurn = isOrdered ? ' (of tasks that end one after the other)' : '';
  const needMs = stopAfterMs + delayMs + killMs + STOP_MARGIN_MS;
  if (needMs <= cluster.lostAfterMs) return [];
  const sum = [stopAfterMs, delayMs, killMs, STOP_MARGIN_MS].map(formatDuration).join(' + ');
  const most = cluster.lostAfterMs - (needMs - stopAfterMs);
  return [
    problemAt(draft.document, `${pointer}/stop_after`, {
      code: 'stop-after-too-long',
      message:
        `stop_after + shutdown_delay + kill_timeout${inTurn} + 5s is ${sum} = ${formatDuration(needMs)}, ` +
        `longer than lost_after (${formatDuration(cluster.lostAfterMs)}) in cluster.yaml.`,
      advice:
        most > 0
          ? `Write at most \`stop_after: ${formatDuration(most)}\`, or raise \`lost_after\`.`
          : `Raise \`lost_after\` in cluster.yaml to at least ${formatDuration(needMs)}.`,
    }),
  ];
};

interface InJob {
  readonly long: LongJob;
  readonly group: WrittenGroup;
}

/** Rules 14: two live copies never hold one volume. Host paths need the cluster's leave. */
const volumeProblems = (
  draft: Draft,
  { long, group }: InJob,
  policy: Policy,
): readonly Problem[] => {
  const problems: Problem[] = [];
  let named = false;
  for (const { task, pointer } of group.tasks) {
    for (const [index, volume] of (task.volumes ?? []).entries()) {
      const mount = parseVolume(volume);
      named ||= mount?.kind === 'named';
      if (mount?.kind !== 'host') continue;
      const path = `${pointer}/volumes/${index}`;
      const refused = hostPathProblem(mount, policy.cluster);
      if (refused !== null) problems.push(problemAt(draft.document, path, refused));
    }
  }
  // What the file itself says is checked with the file; here it is the cluster's default that asks
  // for canaries.
  if (named && (long.written.update?.canary ?? 0) > 0) {
    problems.push(
      problemAt(draft.document, group.pointer, {
        code: 'canary-with-volume',
        message: `Group \`${group.name}\` has a named volume, and cluster.yaml asks for canaries.`,
        advice: 'Write `update: {canary: 0}` in the job: two live copies never hold one volume.',
      }),
    );
  }
  return problems;
};

const hostPathProblem = (
  { source, readOnly }: Extract<VolumeMount, { kind: 'host' }>,
  cluster: ClusterSpec,
): Found | null => {
  const climbs = source.split('/').includes('..');
  const entry = climbs
    ? undefined
    : cluster.hostPaths.find(
        ({ path }) => source === path || source.startsWith(path === '/' ? '/' : `${path}/`),
      );
  if (entry === undefined) {
    return {
      code: 'host-path-not-allowed',
      message: `cluster.yaml does not allow jobs to mount \`${source}\`.`,
      advice: climbs
        ? 'Write the path without `..`.'
        : `Add \`- ${source}\` under \`policies.host_paths\` in cluster.yaml.`,
    };
  }
  if (!entry.readOnly || readOnly) return null;
  return {
    code: 'host-path-not-allowed',
    message: `cluster.yaml allows \`${entry.path}\` for reading only.`,
    advice: `Write \`:ro\` behind the volume, or take \`:ro\` off \`${entry.path}\` in cluster.yaml.`,
  };
};

const optionalMs = (written: string | undefined, fallbackMs: number): number =>
  written === undefined ? fallbackMs : durationMs(written);
