// Who is who between machines: names in certificates, and the text of tokens.
// In: names. Out: SPIFFE ids, tokens as people pass them on. Not here: keys, certificates, whether
// a token is good (reconciler/edge/authority).

/** The name that a reconciler's certificate carries, at whatever address it answers. */
export const RECONCILER_HOST = 'reconciler.purser';

/** `spiffe://shop/reconciler`. */
export const reconcilerId = (cluster: string): string => `spiffe://${cluster}/reconciler`;

/** `spiffe://shop/node/n1`. */
export const nodeId = (cluster: string, node: string): string => `spiffe://${cluster}/node/${node}`;

/** What a person's token allows; each may do what those before it may. */
export const ROLES = ['view', 'operate', 'admin'] as const;
export type Role = (typeof ROLES)[number];

/** `join` makes one node. */
export const TOKEN_KINDS = ['join', ...ROLES] as const;
export type TokenKind = (typeof TOKEN_KINDS)[number];

/** Keys of nodes and servers: ECDSA on P-256, signatures over SHA-256 (as WebCrypto names them). */
export const KEY_ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** What a token says of itself. */
export interface Token {
  readonly kind: TokenKind;
  /** SHA-256 of the authority's certificate, 64 hex digits: whom its holder may trust. */
  readonly authority: string;
  /** Names it, to people too: 8 hex digits. */
  readonly id: string;
  /** 32 hex digits; only its hash is kept. */
  readonly secret: string;
}

/** `purser-join-<authority>-<id>-<secret>`: one word, found whole by a double click or a scanner. */
export const formatToken = ({ kind, authority, id, secret }: Token): string =>
  `purser-${kind}-${authority}-${id}-${secret}`;

const TOKEN =
  /^purser-(?<kind>join|view|operate|admin)-(?<authority>[0-9a-f]{64})-(?<id>[0-9a-f]{8})-(?<secret>[0-9a-f]{32})$/;

/** null when it is no token, a part of one perhaps. */
export const parseToken = (text: string): Token | null => {
  const { kind, authority, id, secret } = TOKEN.exec(text.trim())?.groups ?? {};
  const known = TOKEN_KINDS.find((one) => one === kind);
  if (known === undefined || authority === undefined) return null;
  if (id === undefined || secret === undefined) return null;
  return { kind: known, authority, id, secret };
};

/** An address between machines is written `tls:HOST:PORT`. */
export const TLS_SCHEME = 'tls:';
