// The file that lists a machine, where Purser writes it. In: a name. Out: text. Not here: what such
// a file may say (documents).

export const nodeFile = (node: string): string => `# A machine of this cluster.\nnode: ${node}\n`;

/** Subject of the commit. */
export const nodesMessage = (added: readonly string[]): string =>
  `Add node${added.length === 1 ? '' : 's'} ${added.join(', ')}`;
