// What an image reference means and how a registry is spoken to: the parts that need no network,
// for both programs. In: references, headers, manifests as text. Out: parts, addresses, choices;
// null where the text is not valid. Not here: any request (each program has its own edge for that).

/** A reference in full; at least one of `tag` and `digest` is set. */
export interface ImageReference {
  /** Host with port as written, `docker.io` when none was. */
  readonly registry: string;
  /** Path without the registry: `library/nginx`. */
  readonly path: string;
  readonly tag: string | null;
  /** `sha256:` and 64 hex characters. */
  readonly digest: string | null;
}

/** One entry of an index or a manifest (OCI descriptor). */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly sizeBytes: number;
}

/** A platform as OCI names it: `linux`, `amd64`, and for arm a variant. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant: string | null;
}

export type ImageDocument =
  | {
      readonly kind: 'index';
      readonly manifests: readonly (Descriptor & { readonly platform: Platform | null })[];
    }
  | {
      readonly kind: 'manifest';
      readonly config: Descriptor;
      readonly layers: readonly Descriptor[];
    };

/** A question that a registry answers 401 with. */
export type AuthChallenge =
  | { readonly kind: 'basic' }
  | {
      readonly kind: 'bearer';
      readonly realm: string;
      readonly service: string | null;
      readonly scope: string | null;
    };

export interface RegistryLogin {
  readonly username: string;
  readonly password: string;
}

export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json';
export const OCI_LAYER_GZIP = 'application/vnd.oci.image.layer.v1.tar+gzip';
const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json';
const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';

/**
 * `Accept` of a request for a manifest: an index first, so that one digest serves every platform.
 */
export const MANIFEST_ACCEPT = [OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST].join(', ');

/** A manifest or index larger than this is refused (the registries' own limit is 4 MiB). */
export const MANIFEST_MAX_BYTES = 4 * 1024 * 1024;
/** Layers of one image (overlayfs mounts at most 500 lower folders, Docker makes at most 127). */
export const LAYERS_MAX = 256;
/** Entries of one index: real ones have about 20. */
export const INDEX_MAX = 256;

const DOCKER_HUB = 'docker.io';
const DIGEST = /^sha256:[0-9a-f]{64}$/;
const TAG = /^\w[\w.-]{0,127}$/;
const PATH =
  /^[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*$/;
const REGISTRY = /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::\d{1,5})?$/;
/** As in the distribution specification. */
const NAME_MAX = 255;

/** Whether the text is a digest that Purser accepts. */
export const isDigest = (text: string): boolean => DIGEST.test(text);

/**
 * Reads `[registry/]path[:tag][@digest]` as Docker does: the part before the first slash is a
 * registry if it holds a dot or a colon or is `localhost`; `nginx` is `docker.io/library/nginx`;
 * without tag and digest the tag is `latest`. Returns null when it is not a valid reference.
 */
export const parseImageReference = (text: string): ImageReference | null => {
  const at = text.indexOf('@');
  const digest = at < 0 ? null : text.slice(at + 1);
  if (digest !== null && !DIGEST.test(digest)) return null;
  const name = at < 0 ? text : text.slice(0, at);
  const slash = name.indexOf('/');
  const first = slash < 0 ? '' : name.slice(0, slash);
  const hasRegistry = /[.:]/.test(first) || first === 'localhost';
  const rest = hasRegistry ? name.slice(slash + 1) : name;
  const colon = rest.lastIndexOf(':');
  const tag = colon < 0 ? null : rest.slice(colon + 1);
  if (tag !== null && !TAG.test(tag)) return null;
  const path = colon < 0 ? rest : rest.slice(0, colon);
  const written = hasRegistry ? first : DOCKER_HUB;
  const registry = written === 'index.docker.io' ? DOCKER_HUB : written;
  const full = registry === DOCKER_HUB && !path.includes('/') ? `library/${path}` : path;
  if (!PATH.test(full) || !REGISTRY.test(registry)) return null;
  if (registry.length + full.length + 1 > NAME_MAX) return null;
  return { registry, path: full, tag: tag ?? (digest === null ? 'latest' : null), digest };
};

/** `registry/path`, as ImageSpec.repository has it. */
export const repositoryOf = (reference: ImageReference): string =>
  `${reference.registry}/${reference.path}`;

/** Where the registry is spoken to: `https://host/v2/path`; plain http only where `insecure`. */
export const registryUrl = (reference: ImageReference, insecure: boolean): string => {
  const host = reference.registry === DOCKER_HUB ? 'registry-1.docker.io' : reference.registry;
  return `${insecure ? 'http' : 'https'}://${host}/v2/${reference.path}`;
};

/** Plain http is spoken to loopback, and to the registries that the operator listed. */
export const isInsecure = (registry: string, listed: readonly string[]): boolean => {
  const host = registry.replace(/:\d+$/, '');
  const loopback = host === 'localhost' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);
  return loopback || listed.includes(registry);
};

/** What OpenSSL calls a certificate whose authority is not known. */
const UNKNOWN_AUTHORITY: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** Why a registry cannot be reached, by what Node threw; of an unknown authority what to do. */
export const unreachableWords = ({ message, ...rest }: Error): string => {
  const code = 'code' in rest ? rest.code : undefined;
  if (typeof code !== 'string' || !UNKNOWN_AUTHORITY.has(code)) return message;
  return (
    `its certificate is of an authority that this machine does not know (${message}): put the ` +
    "authority's certificate into /usr/local/share/ca-certificates, run update-ca-certificates, " +
    'and start Purser again'
  );
};

/** Reads a `WWW-Authenticate` header; null when it asks for a scheme that Purser does not speak. */
export const parseChallenge = (header: string): AuthChallenge | null => {
  const [, scheme, rest] = /^\s*(\w+)\s*(.*)$/s.exec(header) ?? [];
  if (scheme?.toLowerCase() === 'basic') return { kind: 'basic' };
  if (scheme?.toLowerCase() !== 'bearer' || rest === undefined) return null;
  const values = new Map<string, string>();
  for (const [, key, quoted, plain] of rest.matchAll(/(\w+)\s*=\s*(?:"([^"]*)"|([^\s,]+))/g))
    if (key !== undefined) values.set(key.toLowerCase(), quoted ?? plain ?? '');
  const realm = values.get('realm');
  if (realm === undefined || !/^https?:\/\//.test(realm)) return null;
  return {
    kind: 'bearer',
    realm,
    service: values.get('service') ?? null,
    scope: values.get('scope') ?? null,
  };
};

/** Where a bearer token is asked for; without a scope in the challenge, to pull this repository. */
export const tokenUrl = (
  challenge: AuthChallenge & { readonly kind: 'bearer' },
  reference: ImageReference,
): string => {
  const scope = challenge.scope ?? `repository:${reference.path}:pull`;
  const service =
    challenge.service === null ? '' : `service=${encodeURIComponent(challenge.service)}&`;
  const joint = challenge.realm.includes('?') ? '&' : '?';
  return `${challenge.realm}${joint}${service}scope=${encodeURIComponent(scope)}`;
};

/** The token in an answer of a token server; null when there is none. */
export const readToken = (answer: unknown): string | null => {
  const fields = record(answer);
  const token = fields['token'] ?? fields['access_token'];
  return typeof token === 'string' && token !== '' ? token : null;
};

/**
 * The login for a registry in a file of the form that `docker login` writes: `{"auths": {"host":
 * {"auth": base64("user:password")}}}`, or with `username` and `password`. Docker Hub is also found
 * under the name that docker gives it. null when there is none.
 */
export const loginFor = (file: unknown, registry: string): RegistryLogin | null => {
  const auths = record(record(file)['auths']);
  const names =
    registry === DOCKER_HUB
      ? [registry, 'https://index.docker.io/v1/', 'index.docker.io']
      : [registry];
  for (const name of names.flatMap((host) => [host, `https://${host}`, `https://${host}/v2/`])) {
    const { auth, username, password } = record(auths[name]);
    if (typeof username === 'string' && typeof password === 'string') return { username, password };
    if (typeof auth !== 'string') continue;
    const [, user, secret] = /^([^:]*):(.*)$/s.exec(decodeBase64(auth)) ?? [];
    if (user !== undefined && secret !== undefined) return { username: user, password: secret };
  }
  return null;
};

/**
 * Reads a manifest or an index (OCI or Docker); null when the bytes are neither, or over a limit.
 */
export const parseImageDocument = (json: unknown): ImageDocument | null => {
  const fields = record(json);
  const { manifests, layers } = fields;
  if (Array.isArray(manifests) && manifests.length <= INDEX_MAX) {
    const entries = manifests.map((entry) => ({
      descriptor: readDescriptor(entry),
      platform: readPlatform(record(entry)['platform']),
    }));
    if (entries.some(({ descriptor }) => descriptor === null)) return null;
    return {
      kind: 'index',
      manifests: entries.flatMap(({ descriptor, platform }) =>
        descriptor === null ? [] : [{ ...descriptor, platform }],
      ),
    };
  }
  const config = readDescriptor(fields['config']);
  if (config === null || !Array.isArray(layers) || layers.length > LAYERS_MAX) return null;
  const read = layers.map(readDescriptor);
  if (read.includes(null)) return null;
  return { kind: 'manifest', config, layers: read.filter((layer) => layer !== null) };
};

/**
 * The manifest of an index for a platform: same system and architecture; of those the same variant,
 * else one without a variant, else the first. Attestations stand under `unknown/unknown` and never
 * match.
 */
export const choosePlatform = (
  index: ImageDocument & { readonly kind: 'index' },
  wanted: Platform,
): Descriptor | null => {
  const fitting = index.manifests.filter(
    ({ platform }) => platform?.os === wanted.os && platform.architecture === wanted.architecture,
  );
  return (
    fitting.find(({ platform }) => platform?.variant === wanted.variant) ??
    fitting.find(({ platform }) => platform?.variant === null) ??
    fitting[0] ??
    null
  );
};

/** `linux/amd64, linux/arm64/v8`: what an index offers, for messages. */
export const platformsOf = (index: ImageDocument & { readonly kind: 'index' }): string =>
  index.manifests
    .flatMap(({ platform }) => (platform === null || platform.os === 'unknown' ? [] : [platform]))
    .map(({ os, architecture, variant }) =>
      [os, architecture, ...(variant === null ? [] : [variant])].join('/'),
    )
    .join(', ');

const readDescriptor = (value: unknown): Descriptor | null => {
  const { mediaType, digest, size } = record(value);
  if (typeof mediaType !== 'string' || typeof digest !== 'string' || !DIGEST.test(digest))
    return null;
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) return null;
  return { mediaType, digest, sizeBytes: size };
};

const readPlatform = (value: unknown): Platform | null => {
  const { os, architecture, variant } = record(value);
  if (typeof os !== 'string' || typeof architecture !== 'string') return null;
  return { os, architecture, variant: typeof variant === 'string' ? variant : null };
};

const record = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? { ...value } : {};

/** atob gives bytes as characters; logins are UTF-8. Text that is not base64 gives ''. */
const decodeBase64 = (text: string): string => {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text.trim())) return '';
  return new TextDecoder().decode(Uint8Array.from(atob(text.trim()), (c) => c.charCodeAt(0)));
};
