// A field of a value whose form nobody has looked at yet: what came over a link, or from a disk.
// In: any value. Out: the field; undefined where there is none. Not here: what it should be.

export const fieldOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
