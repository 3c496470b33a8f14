// The table of problem codes: what is wrong in general, and how it is fixed in general.
// In: nothing. Out: code → title and advice; docs/problems.md is written from it, and a test checks
// that they agree.
// A problem in hand may carry better advice than the table's, because it knows the field. Not here:
// who finds them.

interface CodeInfo {
  readonly title: string;
  readonly severity: 'error' | 'warning';
  /** General advice, printed where the finder has none that is better. */
  readonly advice: string;
}

/** Checked below to be complete; the keys are the codes. */
const table = {
  'file-refused': {
    title: 'The file cannot be read as a text file',
    severity: 'error',
    advice: 'Commit a plain UTF-8 text file of at most 1 MiB in its place.',
  },
  'file-unknown': {
    title: 'A file in a place that Purser knows, with a name that it does not',
    severity: 'warning',
    advice: 'Rename the file, or move it out of the folder.',
  },
  'folder-refused': {
    title: 'A link or a submodule where a folder of documents belongs',
    severity: 'error',
    advice: 'Commit the folder itself: links are not followed, submodules are not read.',
  },
  'signers-missing': {
    title: 'Signatures are asked for, and no signer is listed',
    severity: 'error',
    advice: 'List whose commits count in signers/allowed_signers, in the same commit.',
  },
  'signer-unusable': {
    title: 'A signer that cannot be used',
    severity: 'warning',
    advice: 'Correct the line as in ssh-keygen(1), ALLOWED SIGNERS, or take it out.',
  },
  'yaml-syntax': {
    title: 'The file is not YAML',
    severity: 'error',
    advice: 'Correct the line that is shown, or the one before it.',
  },
  'yaml-tab': {
    title: 'A tab where YAML wants spaces',
    severity: 'error',
    advice: 'Indent with spaces: YAML does not allow tabs there.',
  },
  'yaml-duplicate-key': {
    title: 'The same key twice in one map',
    severity: 'error',
    advice: 'Keep one of the two.',
  },
  'yaml-empty': {
    title: 'The file is empty',
    severity: 'error',
    advice: 'Write the document, or remove the file.',
  },
  'yaml-many-documents': {
    title: 'More than one YAML document in a file',
    severity: 'error',
    advice: 'Put each document into a file of its own: the path is its identity.',
  },
  'yaml-alias': {
    title: 'An alias that cannot be followed',
    severity: 'error',
    advice: 'Write the value out instead of `*name`.',
  },
  'yaml-alias-limit': {
    title: 'Aliases that would grow into too much',
    severity: 'error',
    advice: 'Write the values out instead of using anchors and aliases.',
  },
  'yaml-too-many': {
    title: 'More values than a document may have',
    severity: 'error',
    advice: 'Make the file smaller: what a program needs so much of goes into a mounted file.',
  },
  'yaml-tag': {
    title: 'A YAML tag or a key that is no plain text',
    severity: 'error',
    advice: 'Write the value without `!`; put quotes around a text.',
  },
  'yaml-number': {
    title: 'A number that cannot be kept exactly',
    severity: 'error',
    advice: 'Put quotes around it if it is a text, such as an id or a digest.',
  },
  'field-unknown': {
    title: 'A field that does not exist',
    severity: 'error',
    advice: 'Look the field up in docs/job-reference.md.',
  },
  'field-missing': {
    title: 'A field that must be there is missing',
    severity: 'error',
    advice: 'Add the field.',
  },
  'field-misplaced': {
    title: 'A field that stands at the wrong level',
    severity: 'error',
    advice: 'Move it into the group or task that it belongs to.',
  },
  'value-type': {
    title: 'A value of the wrong type',
    severity: 'error',
    advice: 'Write a value of the type that the field wants.',
  },
  'value-range': {
    title: 'A value that is out of range, or not one of those allowed',
    severity: 'error',
    advice: 'Choose a value that the field allows.',
  },
  'value-unit': {
    title: 'A duration, an amount of memory or of CPU without a unit, or with a wrong one',
    severity: 'error',
    advice: 'Durations: `500ms`, `30s`, `1h30m`. Memory: `128MiB`, `1GiB`. CPU: `250m`, `"1"`.',
  },
  'value-form': {
    title: 'A text that is not of the form that the field wants',
    severity: 'error',
    advice: 'Look the form up in docs/job-reference.md.',
  },
  'name-invalid': {
    title: 'A name that cannot be one',
    severity: 'error',
    advice:
      'Use at most 40 characters from a to z, 0 to 9 and `-`; start and end with a letter or digit.',
  },
  'identity-mismatch': {
    title: 'The file says another name than its path',
    severity: 'error',
    advice: 'The path is the identity: leave the key out, or make it agree with the path.',
  },
  'type-unsupported': {
    title: 'A type of job that this release does not run',
    severity: 'error',
    advice: 'Write `type: service`, or leave `type` out.',
  },
  'not-supported': {
    title: 'Something that this release does not do',
    severity: 'error',
    advice: 'Leave it out.',
  },
  'no-effect-yet': {
    title: 'A field that has no effect in this release',
    severity: 'warning',
    advice: 'It may stay; it will take effect in a later release.',
  },
  'port-twice': {
    title: 'The same port twice',
    severity: 'error',
    advice: 'Give each port a number of its own.',
  },
  'port-unknown': {
    title: 'A check or service names a port that the group does not have',
    severity: 'error',
    advice: 'Add the port under `ports`, or correct its name.',
  },
  'service-twice': {
    title: 'Two services of one name in one place',
    severity: 'error',
    advice: 'Give each service a `name` of its own.',
  },
  'address-form': {
    title: 'An address outside the cluster that cannot be read',
    severity: 'error',
    advice: 'Write an IPv4 address, an IPv6 address, or a host name.',
  },
  'check-kind': {
    title: 'A check that asks for nothing, or for several things',
    severity: 'error',
    advice: 'Give exactly one of `http`, `tcp` and `exec`.',
  },
  'volume-twice': {
    title: 'Two volumes at one path, or one name written in two ways',
    severity: 'error',
    advice: 'Mount each path once, and say the same of a volume everywhere.',
  },
  'constraint-form': {
    title: 'A constraint that cannot be read',
    severity: 'error',
    advice: 'Write attribute, operator, value, such as `node.pool = web`. Operators: `=`, `!=`.',
  },
  'limits-disagree': {
    title: 'Two fields that cannot both hold',
    severity: 'error',
    advice: 'Change one of the two.',
  },
  'depends-on-unknown': {
    title: '`depends_on` names a task that the group does not have',
    severity: 'error',
    advice: 'Correct the name, or add the task to the group.',
  },
  'depends-on-cycle': {
    title: 'Tasks that wait for each other in a circle',
    severity: 'error',
    advice: 'Take one of the names out of `depends_on`.',
  },
  'depends-on-order': {
    title: 'A task that waits for one which runs later by its kind',
    severity: 'error',
    advice: 'Take the name out of `depends_on`, or change the `lifecycle` of one of the two.',
  },
  'lifecycle-no-main': {
    title: 'A group without a main task',
    severity: 'error',
    advice: 'Leave `lifecycle` out of the task that the group is there for.',
  },
  'lifecycle-checks': {
    title: 'Checks of a task that runs to its end',
    severity: 'error',
    advice: 'Leave them out: its exit code says whether it succeeded.',
  },
  'canary-with-volume': {
    title: 'Canaries of a group with a named volume',
    severity: 'error',
    advice: 'Leave `update.canary` out: two live copies never hold one volume (rules 14).',
  },
  'order-forced': {
    title: 'A group that is replaced stop-first, whatever `order` says',
    severity: 'warning',
    advice: 'Write `order: stop-first`, or leave it out.',
  },
  'singleton-needs': {
    title: '`singleton` without what it needs',
    severity: 'error',
    advice: 'Set `stop_after`, such as `stop_after: 10s` (rules 9.3).',
  },
  'image-invalid': {
    title: 'No image reference',
    severity: 'error',
    advice: 'Write registry, repository and tag or digest: `registry.example/web:1.4.2`.',
  },
  'image-tag': {
    title: 'An image by tag alone: the tag may move',
    severity: 'warning',
    advice: 'Write `tag@sha256:…`, as `purser deploy` does; a tag is resolved once to a digest.',
  },
  'cluster-missing': {
    title: 'There is no cluster.yaml, or there never was a valid one',
    severity: 'error',
    advice: 'Write cluster.yaml with at least `name:`, as `purser init` does.',
  },
  'tree-empty': {
    title: 'No job is left where there were jobs',
    severity: 'error',
    advice:
      'Bring the jobs back. To remove all of them, first commit `allow_empty: true` in cluster.yaml.',
  },
  'source-missing': {
    title: 'A job uses a file that is not there',
    severity: 'error',
    advice: 'Add the file, or correct its path.',
  },
  'source-refused': {
    title: 'A job uses a file that cannot be read as text',
    severity: 'error',
    advice: 'Commit a plain UTF-8 text file in its place.',
  },
  'source-outside': {
    title: 'A job uses a file outside `configs/`',
    severity: 'error',
    advice: 'Move the file into `configs/`, and correct the path.',
  },
  'env-line': {
    title: 'A line of an env file that is no variable',
    severity: 'error',
    advice: 'Write `NAME=value` on each line; comments begin with `#`.',
  },
  'body-too-large': {
    title: 'The files and variables of a group are too large for a node to be told',
    severity: 'error',
    advice: 'Put large files into the image, or into a volume.',
  },
  'image-tag-protected': {
    title: 'An image by tag alone in a protected namespace',
    severity: 'error',
    advice: 'Write `tag@sha256:…`, as `purser deploy` does.',
  },
  'owners-syntax': {
    title: 'A line of `owners` that is not in the syntax of CODEOWNERS',
    severity: 'error',
    advice: 'Write a pattern, then its owners: `jobs/shop/ @shop/team ada@example.org`.',
  },
  'owners-open': {
    title: 'Path rules that anybody can change',
    severity: 'warning',
    advice: 'Add a line for the file that holds the rules: `/cluster.yaml @shop/platform`.',
  },
  'automation-paused': {
    title: 'A program that wrote again what was reverted',
    severity: 'warning',
    advice: 'Commit to the file yourself once it is right: `purser resume JOB` does.',
  },
  'owners-wait': {
    title: 'A change that no owner of the file has approved',
    severity: 'error',
    advice: 'An owner approves it (`purser approve`, or the button), or the change is reverted.',
  },
  'image-unresolved': {
    title: 'An image whose digest could not be looked up',
    severity: 'warning',
    advice: 'Correct the reference, or wait until the registry answers; it is asked again.',
  },
  'registry-not-allowed': {
    title: 'An image from a registry that policy does not name',
    severity: 'error',
    advice: 'Add the registry under `policies.registries` in cluster.yaml.',
  },
  'host-path-not-allowed': {
    title: 'A path of the node that policy does not let jobs mount',
    severity: 'error',
    advice: 'Add the path under `policies.host_paths` in cluster.yaml, or use a named volume.',
  },
  'stop-after-too-long': {
    title: 'A node would stop the copy later than the cluster replaces it',
    severity: 'error',
    advice: 'Shorten `stop_after`, or raise `lost_after` in cluster.yaml (rules 9.3).',
  },
  'scale-clamped': {
    title: 'A count in a scale file that is outside its bounds',
    severity: 'warning',
    advice: 'Write one inside them, or change `count: {min: …, max: …}` in the job (rules 7).',
  },
  'scale-unused': {
    title: 'A count in a scale file that nothing reads',
    severity: 'warning',
    advice: 'Remove it, or give the group `count: {min: …, max: …}` (rules 7).',
  },
} as const satisfies Readonly<Record<string, CodeInfo>>;

/** Codes that files by themselves can have. */
export type ProblemCode = keyof typeof table;

export const problemCodes: Readonly<Record<ProblemCode, CodeInfo>> = table;
