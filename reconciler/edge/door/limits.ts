// Every limit of the door to other machines, with its reason.
// In: nothing. Out: numbers. A machine that works stays far below each of them; whoever is beyond
// one is slowed down or cut off, with a line in the log. Not here: who counts (the files beside).

import { MESSAGE_BYTES } from '../../../schema/wire.ts';

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const MIB = 1024 * 1024;

/** All connections: clusters are made for 10,000 nodes, which may come anew while the old end. */
export const CONNECTIONS = 25_000;
/**
 * Connections without a certificate that counts: machines that join, people, and whoever else
 * comes. One that does nothing holds some 60 KiB, so these are 120 MiB at most.
 */
export const STRANGERS = 2048;
/** Of these, those of one address: a room full of people, or a rack that joins. */
export const STRANGERS_PER_ADDRESS = 512;
/** A runner has one connection, and one more while it renews its certificate. */
export const CONNECTIONS_PER_NODE = 8;
/** TLS takes two round trips; ten seconds are those of a satellite, ten times. */
export const HANDSHAKE_MS = 10 * SECOND_MS;
/** Who has no certificate shows a token by then, or was a probe, or means no good. */
export const SPEAK_MS = 10 * SECOND_MS;
/** Calls that were refused on one connection: a machine that works stops at the first. */
export const REFUSED_CALLS = 20;

/**
 * Connections and calls of one address that came to nothing. At first a burst, then so many a
 * minute: a rack of runners whose certificates have ended knocks 12 times a minute each.
 */
export const FAULTS_PER_ADDRESS = { burst: 200, perMs: 200 / MINUTE_MS };
/**
 * Connections of one address that spoke TLS and asked nothing, as a machine does once that joins,
 * to learn whom it may trust: a whole cluster behind one address, then a tenth of a core.
 */
export const LOOKS_PER_ADDRESS = { burst: 5000, perMs: 100 / SECOND_MS };
/**
 * Of all addresses together: each costs some milliseconds of work. Beyond it only machines that
 * were in before may come.
 */
export const FAULTS = { burst: 2000, perMs: 2000 / MINUTE_MS };
/** Addresses that are remembered, each with a few numbers. */
export const ADDRESSES = 20_000;

/** Pings and settings of one connection: a runner pings every five seconds. */
export const PINGS = { burst: 100, perMs: 5 / SECOND_MS };
/** Calls that one connection begins: a runner begins one for each log that people look at. */
export const CALLS_PER_CONNECTION = { burst: 2000, perMs: 100 / SECOND_MS };
/** Calls that one connection takes back: people who have seen enough of a log. */
export const RESETS = { burst: 200, perMs: 10 / SECOND_MS };
/**
 * What a connection sends beside what its calls say, and beside as much again for what carries it:
 * headers, acknowledgements. HTTP/2 reads frames of its own, and headers that are too many, and
 * tells nobody; each costs work.
 */
export const BESIDE_BYTES = { burst: 8 * MIB, perMs: MIB / SECOND_MS };
/** What somebody sends who has not shown who it is: a handshake, and what it calls at once. */
export const UNSHOWN_BYTES = MIB;
/** What was sent is looked at so often. */
export const SENT_LOOK_MS = 500;
/** Calls of one connection at once: a runner has one, and one for each log that it sends. */
export const CALLS_AT_ONCE = 1000;
/** Sessions of one node at once: the newest counts, the one before ends meanwhile. */
export const SESSIONS_PER_NODE = 4;

/** Headers of a call: a token and gRPC's own are ten. Of their bytes nghttp2 takes 64 KiB. */
export const HEADERS = 32;
/** What a call sends in one message, but for a session: pieces of logs, edits of files. */
export const CALL_BYTES = 32 * MIB;
/** What a stranger sends: a word about who it is, to be told why that does not count. */
export const STRANGER_BYTES = 64 * 1024;
/** What a session sends in one message. */
export const SESSION_BYTES = MESSAGE_BYTES;
/**
 * Messages that have begun to arrive and are not whole, of one bearer: the largest report, and
 * pieces of logs beside it.
 */
export const PARTIAL_BYTES_PER_BEARER = MESSAGE_BYTES + 64 * MIB;
/** Of all bearers: four of the largest reports that there can be, at the same moment. */
export const PARTIAL_BYTES = 4 * MESSAGE_BYTES;
/** What one piece of a message costs beside its bytes: whoever sends single bytes pays for it. */
export const PIECE_BYTES = 256;
/** What a bearer sends: two of the largest reports at once, then a steady stream of logs. */
export const SENT_BYTES = { burst: 2 * MESSAGE_BYTES, perMs: (64 * MIB) / SECOND_MS };

/**
 * Answers that wait for whoever asked, of one bearer: beyond it the one that waits longest is
 * ended, but never the only one, however large it is. A person reads one or two at once.
 */
export const UNREAD_BYTES_PER_BEARER = 64 * MIB;
/** Of all bearers. */
export const UNREAD_BYTES = 512 * MIB;
/** Who takes less than the trickle in this time takes nothing: a kilobyte a second. */
export const UNREAD_MS = MINUTE_MS;
export const UNREAD_TRICKLE_BYTES = 64 * 1024;
/** What waits is looked at so often; what waits for runners, so many times as seldom. */
export const UNREAD_LOOK_MS = 25;
export const UNREAD_SESSION_LOOKS = 40;

/**
 * Reports of one runner. It tells at most 20 times a second what changed; beyond this it is heard
 * later, and what it sends meanwhile waits on its own side.
 */
export const REPORTS = { burst: 500, perMs: 50 / SECOND_MS };

/**
 * Calls of one token that are worked on at once, and those that may wait for it: a script that
 * asks in parallel is served, one that asks without end is told so.
 */
export const CALLS_WORKED_ON = 4;
export const CALLS_WAITING = 64;
/** After a call its place rests so many times as long, so that others get their share. */
export const REST_TIMES = 3;
/** And no longer: what took a second waited for Git or a registry, and worked little. */
export const REST_MAX_MS = 100;
/** Calls of one token at once: followers of logs and watchers too. */
export const STREAMS_PER_TOKEN = 128;

/** Lines of one kind about one address, before they are counted and told as a number. */
export const LINES_PER_ADDRESS = { burst: 20, perMs: 1 / (10 * SECOND_MS) };
/** Lines about strangers in all. */
export const LINES = { burst: 500, perMs: 10 / SECOND_MS };

/** Connections of the API: followers, and as many that ask once. */
export const API_CONNECTIONS = 2000;
/** Callers that follow services at once; each holds one answer. */
export const FOLLOWERS = 1000;
/** Of these, those of one token: every load balancer of a rack with the same. */
export const FOLLOWERS_PER_TOKEN = 128;
