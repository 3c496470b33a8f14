// Small texts with a form of their own: image references, volumes, constraints, host paths.
// In: text as written. Out: its parts, or null where it is none (constraints say why).
// Not here: whether policy allows them (reconciler/desired), messages with a line
// (schema/check-job.ts).

import { NAME_PATTERN } from './patterns.ts';
import type { VolumeFile } from './documents/task.ts';
import type { ConstraintSpec, VolumeMount } from './spec.ts';

export interface ImageReference {
  /** `registry.example:5000`; `docker.io` where none is written. */
  readonly registry: string;
  /** `registry/repository`, without tag and digest. */
  readonly repository: string;
  /** null where only a digest is written. */
  readonly tag: string | null;
  /** `sha256:…`, null where only a tag is written. */
  readonly digest: string | null;
}

const COMPONENT = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const IMAGE = new RegExp(
  `^(?:([a-zA-Z0-9.-]+(?::[0-9]{1,5})?)/)?(${COMPONENT}(?:/${COMPONENT})*)` +
    '(?::([A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(sha256:[0-9a-f]{64}))?$',
);

/**
 * The OCI form of a reference. The first part is a registry if it has a dot or a colon or is
 * `localhost`, as in
 * Docker; else the registry is docker.io, whose one-part names lie under `library/`. No tag and no
 * digest: `latest`.
 */
export const parseImage = (written: string): ImageReference | null => {
  const [first, ...rest] = written.split('/');
  const named = rest.length > 0 && /[.:]|^localhost$/.test(first ?? '');
  const match = IMAGE.exec(named ? written : `docker.io/${written}`);
  if (match === null) return null;
  const [, registry = '', path = '', tag = null, digest = null] = match;
  const library = !named && rest.length === 0 ? 'library/' : '';
  return {
    registry,
    repository: `${registry}/${library}${path}`,
    tag: tag ?? (digest === null ? 'latest' : null),
    digest,
  };
};

const NAME = new RegExp(NAME_PATTERN);

/**
 * `data:/var/lib/web`, `/srv/shared:/shared:ro`, or the long form of a named volume. null: no
 * volume.
 */
export const parseVolume = (written: VolumeFile): VolumeMount | null => {
  if (typeof written !== 'string') {
    return {
      kind: 'named',
      name: written.name,
      path: written.path,
      readOnly: written.read_only ?? false,
      onLoss: written.on_loss ?? 'wait',
    };
  }
  const [source = '', path = '', mode = 'rw', ...more] = written.split(':');
  const readOnly = mode === 'ro';
  const formed = path.startsWith('/') && (readOnly || mode === 'rw') && more.length === 0;
  if (!formed) return null;
  if (source.startsWith('/')) return { kind: 'host', source, path, readOnly };
  return NAME.test(source) ? { kind: 'named', name: source, path, readOnly, onLoss: 'wait' } : null;
};

/** `/srv/shared` or `/srv/shared:ro`: a path of nodes that cluster.yaml allows. */
export const parseHostPath = (
  written: string,
): { readonly path: string; readonly readOnly: boolean } => {
  const [path = '', mode = 'rw'] = written.split(':');
  return { path: path.length > 1 ? path.replace(/\/+$/, '') : path, readOnly: mode === 'ro' };
};

/** Operators of the long form that this release does not evaluate. */
const LATER_OPERATORS: readonly string[] = ['>=', '<=', '>', '<', '~', 'in', 'not in', 'contains'];

export type ConstraintReading =
  | { readonly kind: 'ok'; readonly constraint: ConstraintSpec }
  | { readonly kind: 'later'; readonly operator: string }
  | { readonly kind: 'malformed' };

const ATTRIBUTE = '(node\\.[A-Za-z0-9][A-Za-z0-9._/-]*)';
const CONSTRAINT = new RegExp(
  `^${ATTRIBUTE}\\s*(!=|>=|<=|==|=|>|<|~|\\bnot in\\b|\\bin\\b|\\bcontains\\b)\\s*(\\S.*)$`,
);

/** `node.pool = web`: attribute, operator, value. The value ends at the end of the text. */
export const parseConstraint = (written: string): ConstraintReading => {
  const match = CONSTRAINT.exec(written.trim());
  if (match === null) return { kind: 'malformed' };
  const [, attribute = '', operator = '', value = ''] = match;
  if (LATER_OPERATORS.includes(operator)) return { kind: 'later', operator };
  if (operator !== '=' && operator !== '!=') return { kind: 'malformed' };
  return { kind: 'ok', constraint: { attribute, operator, value, text: written } };
};

/** `node.zone`: an attribute of nodes, as in `spread`. */
export const isAttribute = (written: string): boolean => new RegExp(`^${ATTRIBUTE}$`).test(written);

/** A path inside the cluster's directory: relative, without `..`, without empty parts. */
export const isRepositoryPath = (written: string): boolean =>
  written !== '' &&
  written.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
