// The few mutations of GitHub's GraphQL API that have no REST twin: folding a comment and back.
// In: a query with variables. Out: GitHub's answer, or its list of errors. The query is read just
// far enough to know which mutation it is; anything else is an error and a problem of the test.

import { commentShape } from './shapes-pulls.ts';
import { mayMinimize } from './access.ts';
import type { Caller, Comment, Hub, Json, Repo } from './state.ts';
import { textOf } from './state.ts';

const CLASSIFIERS = new Set(['ABUSE', 'DUPLICATE', 'OFF_TOPIC', 'OUTDATED', 'RESOLVED', 'SPAM']);

const failed = (type: string, message: string): Json => ({
  data: null,
  errors: [{ type, message, path: [], locations: [] }],
});

const findComment = (hub: Hub, id: string): { repo: Repo; comment: Comment } | null => {
  for (const repo of hub.repos.values()) {
    for (const comment of repo.comments.values()) {
      if (commentShape(hub, repo, comment)['node_id'] === id) return { repo, comment };
    }
  }
  return null;
};

/** The value of an argument, given in place or as a variable. */
const argument = (query: string, variables: Json, name: string): string | null => {
  const match = new RegExp(`\\b${name}\\s*:\\s*(?:"([^"]*)"|\\$(\\w+)|(\\w+))`).exec(query);
  if (match === null) return null;
  const [, text, variable, word] = match;
  const value = variable === undefined ? (text ?? word) : variables[variable];
  return typeof value === 'string' ? value : null;
};

/** Arguments may come one by one or as one variable `input`. */
const inputOf = (query: string, variables: Json): ((name: string) => string | null) => {
  const whole = /input\s*:\s*\$(\w+)/.exec(query)?.[1];
  const input = whole === undefined ? null : (variables[whole] as Json | undefined);
  return (name) => {
    const value = input?.[name];
    return typeof value === 'string' ? value : argument(query, variables, name);
  };
};

export const answerGraphql = (hub: Hub, caller: Caller, body: Json): Json => {
  const query = textOf(body['query']);
  const variables = (body['variables'] ?? {}) as Json;
  const mutation = /\b(minimizeComment|unminimizeComment)\b/.exec(query)?.[1];
  if (mutation === undefined) {
    hub.problems.push(`GraphQL that the local GitHub does not know: ${query.slice(0, 200)}`);
    return failed('undefinedField', 'the local GitHub knows minimizeComment and unminimizeComment');
  }
  const input = inputOf(query, variables);
  const [id, classifier] = [input('subjectId'), input('classifier')];
  const found = id === null ? null : findComment(hub, id);
  if (found === null) {
    return failed('NOT_FOUND', `Could not resolve to a node with the global id of '${id}'`);
  }
  if (!mayMinimize(found.repo, found.comment, caller)) {
    return failed('FORBIDDEN', 'Resource not accessible by integration');
  }
  if (mutation === 'minimizeComment' && !CLASSIFIERS.has(classifier ?? '')) {
    hub.problems.push(`GraphQL: classifier '${classifier}' is none of GitHub's`);
    return failed('argumentLiteralsIncompatible', `classifier '${classifier}' is not valid`);
  }
  found.comment.minimized = mutation === 'minimizeComment' ? classifier : null;
  const minimizedComment = {
    isMinimized: found.comment.minimized !== null,
    minimizedReason: found.comment.minimized?.toLowerCase() ?? null,
    id,
  };
  const key = mutation === 'minimizeComment' ? 'minimizedComment' : 'unminimizedComment';
  return { data: { [mutation]: { [key]: minimizedComment } } };
};
