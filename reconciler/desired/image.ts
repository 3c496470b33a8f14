// Image references: what is written is split into repository, tag and digest (rules 3).
// In: the text of `image:`. Out: its parts, with Docker's short forms written out, or why it is none.
// Not here: asking a registry (the loop does, at the edge), which digest a tag has (digests.ts).

export interface ImageReference {
  /** Host and port: `docker.io`, `registry.example:5000`. */
  readonly registry: string;
  /** `registry/repository`, without tag and digest. */
  readonly repository: string;
  /** null when neither tag nor digest is written would be `latest`; so null only beside a digest. */
  readonly tag: string | null;
  /** `sha256:…` where it is written. */
  readonly digest: string | null;
}

/** What Docker reads a name without a host as. */
const DEFAULT_REGISTRY = 'docker.io';
const HOST = /^([a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(:[0-9]{1,5})?$/i;
const PATH_PART = /^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** The parts of a reference, or null when it is none. */
export const parseReference = (reference: string): ImageReference | null => {
  const at = reference.indexOf('@');
  const digest = at < 0 ? null : reference.slice(at + 1);
  if (digest !== null && !DIGEST.test(digest)) return null;
  const named = at < 0 ? reference : reference.slice(0, at);
  const colon = named.lastIndexOf(':');
  const tagged = colon > named.lastIndexOf('/');
  const tag = tagged ? named.slice(colon + 1) : null;
  if (tag !== null && !TAG.test(tag)) return null;
  const name = splitName(tagged ? named.slice(0, colon) : named);
  if (name === null) return null;
  return {
    registry: name.registry,
    repository: `${name.registry}/${name.path}`,
    tag: tag ?? (digest === null ? 'latest' : null),
    digest,
  };
};

/** `nginx` is `docker.io/library/nginx`; a first part with a dot, a colon, or `localhost`, is a host. */
const splitName = (name: string): { registry: string; path: string } | null => {
  const slash = name.indexOf('/');
  const first = slash < 0 ? '' : name.slice(0, slash);
  const hosted = /[.:]/.test(first) || first === 'localhost';
  if (hosted && !HOST.test(first)) return null;
  const rest = hosted ? name.slice(slash + 1) : name;
  if (!rest.split('/').every((part) => PATH_PART.test(part))) return null;
  const registry = hosted ? first.toLowerCase() : DEFAULT_REGISTRY;
  const official = registry === DEFAULT_REGISTRY && !rest.includes('/');
  return { registry, path: official ? `library/${rest}` : rest };
};

/**
 * May the registry be asked? An entry of the policy is a host (`registry.example`), or a host and the beginning of a
 * path (`ghcr.io/acme`), which then covers what lies below it.
 */
export const isAllowed = (image: ImageReference, registries: readonly string[]): boolean =>
  registries.some((entry) => {
    const prefix = entry.replace(/\/+$/, '');
    return image.repository === prefix || image.repository.startsWith(`${prefix}/`);
  });
