// Who may come in: tokens that were given out, nodes that have joined, certificates that count no
// more.
// In: a file, times. Out: answers, and a file that is written before an answer counts. Of a token
// only its hash is kept. Not here: certificates (authority.ts).

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import type { Token } from '../../../schema/identity.ts';
import type { GivenToken, TokenAsk } from '../../../schema/control.ts';

export interface Membership {
  /** Makes a token. Throws Error when there are too many. */
  readonly give: (ask: TokenAsk) => Pick<Token, 'kind' | 'id' | 'secret'>;
  /** Those that still count. */
  readonly tokens: () => readonly GivenToken[];
  /** Ends a token; false when there is none of this id. */
  readonly end: (id: string) => boolean;
  /** The token as given out; or why it counts no more, for people. */
  readonly check: (token: Token) => Checked;
  /** A node joins by this token. Throws Error where `refusal` has one. */
  readonly join: (joining: Joining) => void;
  /** Why this node may not join by this token; null when it may. */
  readonly refusal: (joining: Joining) => string | null;
  /** Certificates of a node that were issued up to now count no more. */
  readonly expel: (node: string) => void;
  /** Whether a node's certificate that was issued then still counts. */
  readonly counts: (node: string, issuedMs: number) => boolean;
  /** The earliest time at which a node's new certificate may count as issued. */
  readonly issueMs: (node: string) => number;
  /** The whole of it, for the other reconcilers of the cluster. */
  readonly list: () => MemberList;
  /** Takes over another reconciler's list where it is newer. Nobody who was expelled comes back. */
  readonly adopt: (list: MemberList) => void;
  /** Calls back after every change. Returns the way to stop. */
  readonly watch: (listener: () => void) => () => void;
}

export interface Joining {
  readonly token: Token;
  readonly node: string;
  /** The key of its request. */
  readonly key: string;
  /** A runner speaks for this name already: of this machine it needs no certificate. */
  readonly isHeard: boolean;
}

export type Checked =
  | { readonly kind: 'good'; readonly given: GivenToken }
  | { readonly kind: 'refused'; readonly why: string };

export interface KeptToken extends Omit<GivenToken, 'left'> {
  /** SHA-256 of the secret, hex. */
  readonly hash: string;
  /** Who came by it: the same machine may ask once more, when an answer was lost. */
  readonly used: readonly { readonly node: string; readonly key: string }[];
}

/** How often a list was changed says which of two is the newer one. */
export interface MemberList {
  readonly version: number;
  readonly tokens: readonly KeptToken[];
  readonly joined: readonly string[];
  readonly expelled: Readonly<Record<string, number>>;
}

interface State {
  readonly version: number;
  readonly tokens: readonly KeptToken[];
  /** Nodes that hold a certificate. */
  readonly joined: readonly string[];
  /** To the second, as certificates have it. */
  readonly expelled: Readonly<Record<string, number>>;
}

/** A list that people look through, and a file that is read at every start. */
const TOKENS = 1000;
const SECOND_MS = 1000;
const EMPTY: State = { version: 0, tokens: [], joined: [], expelled: {} };

export const openMembership = (file: string, epochMs: () => number): Membership => {
  let state = read(file);
  const listeners = new Set<() => void>();
  const write = (next: State) => {
    fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
    writeFileAtomic.sync(file, `${JSON.stringify(next, null, 2)}\n`, { mode: 0o600 });
    state = next;
    for (const listener of listeners) listener();
  };
  const save = (next: Omit<State, 'version'>) => write({ ...next, version: state.version + 1 });
  const living = () => livingIn(state, epochMs());

  return {
    give: (ask) => {
      const tokens = living();
      if (tokens.length >= TOKENS) {
        throw new Error(`there are ${TOKENS} tokens: end some with \`purser node revoke ID\``);
      }
      const id = randomBytes(4).toString('hex');
      const secret = randomBytes(16).toString('hex');
      const { kind, node, uses, lastsMs } = ask;
      const kept = { id, kind, node, uses, endsAtMs: epochMs() + lastsMs };
      save({ ...state, tokens: [...tokens, { ...kept, hash: hashOf(secret), used: [] }] });
      return { kind, id, secret };
    },
    tokens: () => living().map(shown),
    end: (id) => {
      const tokens = living().filter((one) => one.id !== id);
      const found = tokens.length < living().length;
      if (found) save({ ...state, tokens });
      return found;
    },
    check: (token) => checkIn(state, token, epochMs()),
    refusal: (joining) => refusalIn(state, joining, epochMs()),
    join: (joining) => {
      const why = refusalIn(state, joining, epochMs());
      if (why !== null) throw new Error(why);
      const { token, node, key } = joining;
      const again = (one: KeptToken) =>
        one.used.some((use) => use.node === node && use.key === key);
      const tokens = living().map((one) =>
        one.id === token.id && !again(one) ? { ...one, used: [...one.used, { node, key }] } : one,
      );
      const bound = tokens.find(({ id }) => id === token.id)?.node === node;
      save({
        tokens,
        joined: [...new Set([...state.joined, node])].toSorted(),
        // Another machine takes its place: what the one before holds counts no more.
        expelled: bound ? expelledAt(state, node, epochMs() - SECOND_MS) : state.expelled,
      });
    },
    expel: (node) =>
      save({
        ...state,
        joined: state.joined.filter((one) => one !== node),
        expelled: expelledAt(state, node, epochMs()),
      }),
    counts: (node, issuedMs) =>
      joinedIn(state).has(node) && issuedMs > (state.expelled[node] ?? -Infinity),
    issueMs: (node) => Math.max(epochMs(), (state.expelled[node] ?? -Infinity) + SECOND_MS),
    list: () => state,
    adopt: (list) => void (list.version > state.version && write(merged(list, state))),
    watch: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
};

const livingIn = ({ tokens }: State, nowMs: number): readonly KeptToken[] =>
  tokens.filter(({ endsAtMs }) => endsAtMs > nowMs);

const merged = (list: MemberList, { expelled: ours }: State): State => {
  const expelled = { ...list.expelled };
  for (const [node, atMs] of Object.entries(ours)) {
    expelled[node] = Math.max(atMs, expelled[node] ?? -Infinity);
  }
  const { version, tokens, joined } = list;
  return { version, tokens, joined, expelled };
};

/** Asked at every report of every node: looked up, not searched for. */
const joinedIn = (state: State): ReadonlySet<string> => {
  const known = joinedSets.get(state);
  if (known !== undefined) return known;
  const made = new Set(state.joined);
  joinedSets.set(state, made);
  return made;
};

const joinedSets = new WeakMap<State, ReadonlySet<string>>();

const checkIn = ({ tokens }: State, token: Token, nowMs: number): Checked => {
  const kept = tokens.find(({ id }) => id === token.id);
  // The same words for a wrong secret and an unknown id: neither says what is there.
  if (
    kept === undefined ||
    !sameHash(kept.hash, hashOf(token.secret)) ||
    kept.kind !== token.kind
  ) {
    return refused('this token is not known here, or was ended');
  }
  if (kept.endsAtMs <= nowMs) return refused(`token ${kept.id} has ended: make a new one`);
  return { kind: 'good', given: shown(kept) };
};

const refusalIn = (state: State, joining: Joining, nowMs: number): string | null => {
  const { token, node, key, isHeard } = joining;
  const checked = checkIn(state, token, nowMs);
  if (checked.kind === 'refused') return checked.why;
  const kept = state.tokens.find(({ id }) => id === token.id);
  if (kept === undefined || kept.kind !== 'join') return 'this token is not one to join with';
  if (kept.used.some((one) => one.node === node && one.key === key)) return null;
  if (kept.used.length >= kept.uses) return `token ${kept.id} was used already: make a new one`;
  if (kept.node !== null && kept.node !== node) {
    return `token ${kept.id} is for node ${kept.node}, not for ${node}`;
  }
  if (kept.node === null && (isHeard || state.joined.includes(node))) {
    return (
      `there is a node ${node} already: take another name, or, where this machine takes its ` +
      `place, make a token for it: purser node token --node ${node}`
    );
  }
  return null;
};

const expelledAt = ({ expelled }: State, node: string, atMs: number) => ({
  ...expelled,
  [node]: Math.floor(atMs / SECOND_MS) * SECOND_MS,
});

const refused = (why: string): Checked => ({ kind: 'refused', why });

const shown = ({ id, kind, node, uses, endsAtMs, used }: KeptToken): GivenToken => ({
  id,
  kind,
  node,
  uses,
  left: Math.max(0, uses - used.length),
  endsAtMs,
});

const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('hex');

const sameHash = (a: string, b: string): boolean =>
  a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));

/** Throws Error when the file is damaged: forgetting who was expelled would let them in again. */
const read = (file: string): State => {
  let text: string;
  try {
    text = fs.readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return EMPTY;
    throw error;
  }
  try {
    return { ...EMPTY, ...(JSON.parse(text) as Partial<State>) };
  } catch (error) {
    throw new Error(`${file} is damaged (${String(error)}): bring it back from a backup`, {
      cause: error,
    });
  }
};
