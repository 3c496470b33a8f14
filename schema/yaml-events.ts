// The parser of YAML, and what it says where it cannot go on, for people.
// In: text. Out: events, or one fault with its offset. Nesting is limited, so that no text exhausts
// the stack. Not here: trees (schema/yaml.ts).

import { parseEvents, YAMLException, type Event } from 'js-yaml';
import type { ProblemCode } from './problem-codes.ts';

export interface YamlFault {
  readonly offset: number;
  readonly code: ProblemCode;
  readonly message: string;
}

/** Deepest nesting: a job file needs eight levels. */
const MAX_DEPTH = 40;

/** What the parser finds in a text; or the fault that keeps it from going on. */
export const eventsOf = (text: string): { readonly events: readonly Event[] } | YamlFault => {
  try {
    return { events: parseEvents(text, { maxDepth: MAX_DEPTH }) };
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const offset = Math.min(text.length, error.mark?.position ?? 0);
    return { offset, ...explain(error.reason, text, offset) };
  }
};

/** The parser's words, said for people where the parser's are about its own inside. */
const explain = (reason: string, text: string, offset: number): Omit<YamlFault, 'offset'> => {
  if (/\btab\b/i.test(reason)) {
    return { code: 'yaml-tab', message: 'The line is indented with a tab.' };
  }
  if (/bad indentation of a mapping entry/.test(reason) && text[offset - 1] !== '\n') {
    const message = 'A text with `: ` in it needs quotes around it.';
    return { code: 'yaml-syntax', message };
  }
  if (/deficient indentation|unexpected end/.test(reason)) {
    const message = 'A bracket or a quote is opened and not closed before this line.';
    return { code: 'yaml-syntax', message };
  }
  return { code: 'yaml-syntax', message: `The file is not YAML: ${reason}.` };
};
