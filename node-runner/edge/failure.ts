// What was thrown, read as text or as an errno: for messages and for "absent is fine".
// In: anything that was caught. Out: text. Not here: the error that edges throw (runtime-error.ts).

/** The text of whatever was thrown. */
export const messageOf = (thrown: unknown): string =>
  thrown instanceof Error ? thrown.message : String(thrown);

/** The errno name (`ENOENT`) of a thrown value, or null. */
export const errnoOf = (thrown: unknown): string | null =>
  typeof thrown === 'object' &&
  thrown !== null &&
  'code' in thrown &&
  typeof thrown.code === 'string'
    ? thrown.code
    : null;
