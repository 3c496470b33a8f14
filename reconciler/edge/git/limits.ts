// Every limit of the Git edge, with its reason.
// In: nothing. Out: numbers.
// Not here: what happens when one is reached (each module says so in its message).

/**
 * A file that forms a version must fit a runner's order body of 256 KiB; four times that leaves
 * room for comments.
 */
export const FILE_BYTES = 1024 * 1024;
/** A folder of 100,000 files is 4 MB of tree; more is not a repository of jobs. */
export const TREE_BYTES = 16 * 1024 * 1024;
/** One job's ledger file: 40,000 records. */
export const LEDGER_FILE_BYTES = 16 * 1024 * 1024;
/** Commit objects: a message of a megabyte is a mistake, and is never read. */
export const COMMIT_BYTES = 1024 * 1024;
/** A signature of OpenPGP with a long key and its notations has some two kilobytes. */
export const SIGNATURE_BYTES = 32 * 1024;
/** Files of signers/ that are read: some more OpenPGP keys than are used, so that this is said. */
export const SIGNER_FILES = 300;
/** Commits back to a cluster.yaml that can be read: what it said of signatures goes on. */
export const POLICY_COMMITS = 50;
/** Commits back from the ledger's newest in which one of ours is looked for. */
export const LEDGER_COMMITS = 2000;
/** Foreign commits of the ledger that are told of: the newest say enough. */
export const FOREIGN_KEPT = 20;
/** Verdicts and lists of signers remembered: a line that is judged at once, and its merges. */
export const REMEMBERED_VERDICTS = 5000;
/** Refused commits that are told each by itself: the forge takes 80 writes a minute. */
export const REFUSED_TOLD = 20;
/** Files under the cluster's directory; ten times the largest cluster that was measured. */
export const FILES = 200_000;
/** Folders inside folders, so that a hostile tree cannot exhaust the stack. */
export const TREE_DEPTH = 16;
/** Entries of one path's history (rules 12.4). */
export const HISTORY_ENTRIES = 50;
/** Files of one commit that is to be reverted as a whole: more is not one person's change. */
export const CHANGE_FILES = 500;
/** Commits walked back for histories: some seconds of reading, once. */
export const HISTORY_COMMITS = 10_000;
/**
 * And bytes of trees: with 10,000 files in one folder, each commit has a tree of 400 KB, and the
 * walk stops after 600.
 */
export const HISTORY_TREE_BYTES = 256 * 1024 * 1024;
/** Commits walked to find out whether one commit contains another. */
export const ANCESTRY_COMMITS = 100_000;
/** The same for a local branch, where the answer is only a warning and the walk delays a plan. */
export const LOCAL_ANCESTRY_COMMITS = 1000;
/**
 * Commits since the synced one that are looked at for a revert of ours that is not on record: so
 * many are not pushed between its push and the next look.
 */
export const UNSYNCED_COMMITS = 100;
/** Remembered by id, two generations of this many: files, rows of folders, commits. */
export const REMEMBERED_FILES = 100_000;
export const REMEMBERED_ROWS = 300_000;
export const REMEMBERED_COMMITS = 5000;
/** Commits that change policy between two looks: more, and all jobs are looked at anew. */
export const SETTINGS_STATES = 50;
/** Commits with the paths that they changed: those between two looks at a busy branch. */
export const REMEMBERED_STEPS = 20_000;
/** Trees, as stored; parsed they take some four times as much. */
export const REMEMBERED_TREE_BYTES = 8 * 1024 * 1024;
export const TREE_OVERHEAD_BYTES = 200;
/** Somebody else pushes at the same time: tries before the act is given back. */
export const PUSH_ATTEMPTS = 5;
/** Packs that pile up in a mirror, one for each fetch, before it is thrown away and cloned anew. */
export const MIRROR_PACKS = 300;
/** Settled and failed records kept of a job that is no longer at HEAD. */
export const GONE_JOB_RECORDS = 50;
/** A used approval is of interest for as long as people talk about what it allowed. */
export const USED_APPROVAL_MS = 30 * 24 * 3600 * 1000;
/** Rewrites of a branch are rare; the newest of these names the one that counts. */
export const RESUMES_KEPT = 50;

/** Files in conflict that are named of one pull request: more fit in no check. */
export const MERGE_CONFLICTS = 100;
/**
 * Trees and files that merges made in memory: of a merge of 10,000 files in 100 folders these are
 * some 400 KB, and the newest ones are all that is read again.
 */
export const MERGE_MEMORY_BYTES = 32 * 1024 * 1024;
/**
 * What a pull request may bring along, as it is sent: anybody may open one. GitHub takes files of
 * 100 MB; a cluster's files are kilobytes.
 */
export const PULL_FETCH_BYTES = 64 * 1024 * 1024;
export const PULL_FETCH_MS = 30_000;

/** A note on a commit, which `git log` shows whole. */
export const NOTE_BYTES = 8 * 1024;

/** No answer, not even headers. */
export const HTTP_HEADERS_MS = 20_000;
/** Silence in the middle of a body. */
export const HTTP_IDLE_MS = 20_000;
/** A `git` command that was spawned: a clone over ssh is the longest. */
export const COMMAND_MS = 120_000;
/** Bytes kept of what a spawned command writes. */
export const COMMAND_OUTPUT_BYTES = 32 * 1024 * 1024;
/** Of a command that is started for its exit code: its remote may have it say what it likes. */
export const STARTED_OUTPUT_BYTES = 1024 * 1024;
/** `git cat-file` that says nothing for so long is killed and started again. */
export const BATCH_SILENT_MS = 30_000;
/** Another git holds a ref for some milliseconds at most; a crashed one for ever. */
export const REF_LOCK_MS = 1000;
/** A remote is asked this often when nobody announces pushes by webhook. */
export const POLL_MS = 10_000;
/** Watches may lose events: a local repository is looked at this often anyhow. */
export const LOOK_AGAIN_MS = 15_000;
