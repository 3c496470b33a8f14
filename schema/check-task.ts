// Mistakes of meaning in one task that need no other file.
// In: a task with where it stands, the names of its group's ports. Out: findings.
// Not here: the group's own fields (schema/check-job.ts), whether policy allows image and paths
// (reconciler/desired).

import { checkResources } from './check-limits.ts';
import type { CheckFile } from './documents/task.ts';
import type { Finding } from './findings.ts';
import { pointerOf } from './places.ts';
import { isRepositoryPath, parseImage, parseVolume } from './references.ts';
import { parseDuration } from './units.ts';
import { joinWords, nearest } from './wording.ts';
import type { WrittenTask } from './written-job.ts';

/** Shortest time between two checks: below it the node works for the checks, not for the tasks. */
const MIN_INTERVAL_MS = 100;

/** Signals that may ask a task to end; Linux numbers them alike on all our machines. */
const SIGNALS: readonly string[] =
  'TERM INT QUIT HUP USR1 USR2 KILL ABRT ALRM CONT PIPE PWR STOP TSTP WINCH RTMIN RTMIN+3'
    .split(' ')
    .map((signal) => `SIG${signal}`);

export const checkTask = (written: WrittenTask, ports: readonly string[]): readonly Finding[] => [
  ...checkImage(written),
  ...checkEnvironment(written),
  ...checkFiles(written),
  ...checkMounts(written),
  ...checkHealth(written, ports),
  ...checkResources(written.task.resources, `${written.pointer}/resources`),
  ...checkSignal(written),
];

const checkImage = ({ name, task, pointer }: WrittenTask): readonly Finding[] => {
  if (task.image === undefined) {
    const message = `Task \`${name}\` has no \`image\`.`;
    const advice = 'Add `image: registry/repository:tag`.';
    return [{ pointer, at: 'key', code: 'field-missing', message, advice }];
  }
  const place = { pointer: `${pointer}/image`, at: 'value' as const };
  const image = parseImage(task.image);
  if (image === null) {
    const message = `${JSON.stringify(task.image)} is no image reference.`;
    return [{ ...place, code: 'image-invalid', message }];
  }
  if (image.digest !== null) return [];
  const message = `The image is named by the tag \`${image.tag}\` alone, which may move.`;
  return [{ ...place, code: 'image-tag', message }];
};

const checkEnvironment = ({ task, pointer }: WrittenTask): readonly Finding[] =>
  Object.keys(task.environment ?? {})
    .filter((name) => name.startsWith('PURSER_'))
    .map((name) => ({
      pointer: `${pointer}/environment/${name}`,
      at: 'key',
      code: 'name-invalid',
      message: `\`${name}\`: variables that begin with PURSER_ are set by Purser.`,
      advice: 'Choose another name.',
    }));

const checkFiles = ({ task, pointer }: WrittenTask): readonly Finding[] => {
  const files = Object.entries(task.files ?? {}).map(
    ([path, source]) => [`${pointer}/files${pointerOf([path])}`, source] as const,
  );
  const single = typeof task.env_file === 'string';
  const envFiles = [task.env_file ?? []]
    .flat()
    .map((file, index) => [`${pointer}/env_file${single ? '' : `/${index}`}`, file] as const);
  return [...files, ...envFiles]
    .filter(([, source]) => !isRepositoryPath(source))
    .map(([place, source]) => ({
      pointer: place,
      at: 'value',
      code: 'value-form',
      message: `${JSON.stringify(source)} is no path inside the repository.`,
      advice: "Write it from the cluster's directory on, such as `configs/web.toml`.",
    }));
};

/** Every path in the container is mounted once. */
const checkMounts = ({ task, pointer }: WrittenTask): readonly Finding[] => {
  const findings: Finding[] = [];
  const taken = new Set([...Object.keys(task.files ?? {}), ...(task.tmpfs ?? [])]);
  for (const [index, written] of (task.volumes ?? []).entries()) {
    const place = { pointer: `${pointer}/volumes/${index}`, at: 'value' as const };
    const volume = parseVolume(written);
    if (volume === null) {
      findings.push({
        ...place,
        code: 'value-form',
        message: `${JSON.stringify(written)} is no volume.`,
        advice: 'Write `data:/var/lib/web` (the name in a to z, 0 to 9, `-`), or `/host:/path:ro`.',
      });
      continue;
    }
    if (taken.has(volume.path)) {
      const message = `Something else is mounted at ${volume.path} already.`;
      findings.push({ ...place, code: 'volume-twice', message });
    }
    taken.add(volume.path);
  }
  return findings;
};

const checkHealth = (
  { task, pointer }: WrittenTask,
  ports: readonly string[],
): readonly Finding[] => {
  const findings: Finding[] = [];
  const checks = Object.entries(task.checks ?? {}).map(
    ([name, check]): readonly [string, CheckFile] => [`${pointer}/checks/${name}`, check],
  );
  const short = task.healthcheck;
  if (short !== undefined) checks.push([`${pointer}/healthcheck`, short]);
  if (short !== undefined && (task.checks?.ready ?? task.checks?.live) !== undefined) {
    findings.push({
      pointer: `${pointer}/healthcheck`,
      at: 'key',
      code: 'limits-disagree',
      message: '`healthcheck` is the short form of `checks.ready` and `checks.live`.',
      advice: 'Keep one of the two.',
    });
  }
  return [...findings, ...checks.flatMap(([place, check]) => checkProbe(place, check, ports))];
};

const checkProbe = (
  pointer: string,
  check: CheckFile,
  ports: readonly string[],
): readonly Finding[] => {
  const kinds = (['http', 'tcp', 'exec'] as const).filter((kind) => check[kind] !== undefined);
  if (kinds.length !== 1) {
    const message =
      kinds.length === 0
        ? 'The check asks for nothing.'
        : `The check asks for ${joinWords(kinds, 'and')} at once.`;
    return [{ pointer, at: 'key', code: 'check-kind', message }];
  }
  const findings: Finding[] = [];
  if (check.interval !== undefined && (parseDuration(check.interval) ?? 0) < MIN_INTERVAL_MS) {
    const message = `\`interval\` must be at least 100ms; it is ${check.interval}.`;
    findings.push({ pointer: `${pointer}/interval`, at: 'value', code: 'value-range', message });
  }
  if (check.timeout !== undefined && parseDuration(check.timeout) === 0) {
    const message = '`timeout` must be more than 0s.';
    findings.push({ pointer: `${pointer}/timeout`, at: 'value', code: 'value-range', message });
  }
  return [...findings, ...checkProbePort(pointer, check, ports)];
};

const checkProbePort = (
  pointer: string,
  check: CheckFile,
  ports: readonly string[],
): readonly Finding[] => {
  if (check.port !== undefined && check.http === undefined) {
    const message = '`port` belongs to an `http` check.';
    const advice = check.tcp === undefined ? 'Leave it out.' : 'Write `tcp: name` alone.';
    return [{ pointer: `${pointer}/port`, at: 'key', code: 'check-kind', message, advice }];
  }
  if (check.exec !== undefined) return [];
  const field = check.tcp === undefined ? 'port' : 'tcp';
  const named = check[field];
  if (named === undefined) {
    if (ports.length === 1) return [];
    const message = `The check does not say which port it asks; the group has ${ports.length}.`;
    const advice = ports.length === 0 ? 'Add a port under `ports`.' : `Add \`port: ${ports[0]}\`.`;
    return [{ pointer, at: 'key', code: 'port-unknown', message, advice }];
  }
  if (ports.includes(named)) return [];
  const near = nearest(named, ports);
  const message = `The check names the port \`${named}\`, which is not in \`ports\`.`;
  const advice =
    near !== null
      ? `Did you mean \`${near}\`?`
      : ports.length === 0
        ? `Add it to the group: \`ports: {${named}: 8080}\`.`
        : `Ports of the group: ${ports.join(', ')}.`;
  return [{ pointer: `${pointer}/${field}`, at: 'value', code: 'port-unknown', message, advice }];
};

const checkSignal = ({ task, pointer }: WrittenTask): readonly Finding[] => {
  const signal = task.kill_signal;
  if (signal === undefined || SIGNALS.includes(signal)) return [];
  const near = nearest(
    signal,
    SIGNALS.map((known) => known.toLowerCase()),
  )?.toUpperCase();
  const message = `${JSON.stringify(signal)} is no signal that can end a task.`;
  const advice =
    near === undefined ? 'Write a signal such as `SIGTERM`.' : `Did you mean \`${near}\`?`;
  return [{ pointer: `${pointer}/kill_signal`, at: 'value', code: 'value-range', message, advice }];
};
