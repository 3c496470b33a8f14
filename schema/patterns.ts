// Forms of names and quantities, as regular expressions, and the keywords of our own in schemas.
// In: nothing. Out: text. Apart from the schemas that use them, so that a program that only reads a
// quantity does not load what makes schemas. Not here: what the quantities mean (units.ts).

/** Keywords of ours in the schemas; ajv is told about them, editors skip them. */
export const OWN_KEYWORDS = ['x-class', 'x-default', 'x-unit', 'x-text'] as const;

/** Names of jobs, groups, tasks, ports, volumes, namespaces: at most 40 characters (rules 10.2). */
export const NAME_PATTERN = '^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$';
/** Node names may be host names, so they may hold dots. */
export const NODE_NAME_PATTERN = '^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$';
export const DURATION_PATTERN =
  '^(?=.)([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+(\\.[0-9]{1,3})?s)?([0-9]+ms)?$';
/** Bare `K`, `M`, `G` are left out: they are decimal in Kubernetes and binary in Docker. */
export const SIZE_PATTERN = '^[0-9]+(\\.[0-9]{1,6})?(B|[kKMGT](i|iB|B))$';
export const CPU_PATTERN = '^([0-9]+m|[0-9]+(\\.[0-9]{1,3})?)$';
export const PERCENT_PATTERN = '^([1-9][0-9]?|100)%$';
/** Tags of services: they stand in lists and in files of other programs. */
export const TAG_PATTERN = '^[A-Za-z0-9]([A-Za-z0-9._=:/-]{0,61}[A-Za-z0-9])?$';
/** A host name outside, in lower or upper case. */
export const HOST_NAME_PATTERN =
  '^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$';
