// Path rules: which line of CODEOWNERS' syntax owns a path, what is wrong on which line, and whose
// approval lets a change through.

import { describe, expect, test } from 'vitest';
import { openChanges, ownedName, teamsIn, type Person } from '../../../schema/behind.ts';
import { ownersOf, parseOwners } from '../../../schema/owners.ts';
import { parseDocument } from '../../../schema/parse.ts';
import { textFile } from '../../support/tree.ts';

const ownersBy = (text: string, path: string): string =>
  ownersOf(parseOwners(text).rules)(path).join(' ');

describe('patterns', () => {
  // The examples of GitHub's own page on CODEOWNERS, and where they end.
  test.each<[string, string, boolean]>([
    ['*', 'jobs/shop/web.yaml', true],
    ['*.yaml', 'jobs/shop/web.yaml', true],
    ['*.yaml', 'jobs/shop/web.YAML', false],
    ['/jobs/shop/', 'jobs/shop/web.yaml', true],
    ['/jobs/shop/', 'jobs/shopping/web.yaml', false],
    ['jobs/shop/', 'jobs/shop/web.yaml', true],
    ['jobs/shop/*', 'jobs/shop/web.yaml', true],
    ['configs/*', 'configs/web.env', true],
    ['configs/*', 'configs/shop/web.env', false],
    ['/*', 'cluster.yaml', true],
    ['/*', 'jobs/shop/web.yaml', false],
    ['shop/', 'jobs/shop/web.yaml', true],
    ['/shop/', 'jobs/shop/web.yaml', false],
    ['**/shop', 'jobs/shop/web.yaml', true],
    ['jobs/**/web.yaml', 'jobs/shop/web.yaml', true],
    ['/jobs/shop/web.yaml', 'jobs/shop/web.yaml', true],
    ['/jobs/shop/web', 'jobs/shop/web.yaml', false],
    ['configs/a\\ b.env', 'configs/a b.env', true],
    ['jobs/*/web.yaml', 'jobs/shop/web.yaml', true],
    ['jobs/?hop/', 'jobs/shop/web.yaml', true],
  ])('%s and %s: %s', (pattern, path, owned) => {
    expect(ownersBy(`${pattern} @ada`, path)).toBe(owned ? '@ada' : '');
  });

  test('the last line that matches wins, and one without owners leaves a path to anybody', () => {
    const text =
      '# all\n* @shop/platform\n\njobs/shop/ @shop/team ada@example.org # ours\nconfigs/\n';
    expect(ownersBy(text, 'cluster.yaml')).toBe('@shop/platform');
    expect(ownersBy(text, 'jobs/shop/web.yaml')).toBe('@shop/team ada@example.org');
    expect(ownersBy(text, 'configs/web.env')).toBe('');
  });
});

describe('what is wrong', () => {
  test.each([
    ['!jobs/ @ada', 'negates'],
    ['jobs/[ab]/ @ada', 'range'],
    ['jobs/ ada', 'is no owner'],
    ['jobs/ @', 'is no owner'],
    ['jobs/ @shop/team/x', 'is no owner'],
    ['@ada jobs/', 'begins with @ada'],
    ['ada@example.org', 'begins with'],
  ])('%s', (line, said) => {
    const { rules, faults } = parseOwners(`* @ada\n${line}\n`);
    expect(rules).toHaveLength(1);
    expect(faults).toEqual([expect.objectContaining({ line: 1 })]);
    expect(faults[0]?.message).toContain(said);
  });

  test('is told on its line of cluster.yaml, and the file counts as invalid', () => {
    const text = 'name: shop\nowners: |\n  # who\n  /cluster.yaml @ada\n  jobs/ bob\n';
    const { value, problems } = parseDocument('cluster', 'cluster.yaml', textFile(text));
    expect(value).toBeNull();
    expect(problems).toEqual([
      expect.objectContaining({ code: 'owners-syntax', line: 5, severity: 'error' }),
    ]);
  });

  test('rules that leave cluster.yaml to anybody are a warning', () => {
    const text = 'name: shop\nowners: |\n  jobs/ @ada\n';
    const { value, problems } = parseDocument('cluster', 'cluster.yaml', textFile(text));
    expect(value).not.toBeNull();
    expect(problems).toEqual([expect.objectContaining({ code: 'owners-open', line: 2 })]);
  });

  test('more rules than are kept', () => {
    const text = Array.from({ length: 502 }, (_, at) => `jobs/n${at}/ @ada`).join('\n');
    const { rules, faults } = parseOwners(text);
    expect(rules).toHaveLength(500);
    expect(faults).toEqual([expect.objectContaining({ line: 500 })]);
  });
});

describe('approvals', () => {
  const someone = (name: string, ...as: readonly string[]): Person => ({ name, as });
  const ada = someone('ada', '@ada', '@shop/team');
  const grace = someone('Grace', '@grace', '@shop/team');
  const mallory = someone('mallory', '@mallory');
  const change = { path: 'jobs/shop/web.yaml', blob: 'b1', owners: ['@Shop/Team'] };
  const own = { ownApproval: true, given: [] };
  const strict = { ownApproval: false, given: [] };

  test.each<[string, readonly Person[], readonly Person[], typeof own, boolean]>([
    ['nobody approved', [mallory], [], strict, true],
    ['an owner approved', [mallory], [ada], strict, false],
    ['somebody else approved', [ada], [mallory], strict, true],
    ['the author is an owner', [ada], [], strict, true],
    ['… whose own approval counts', [ada], [], own, false],
    ['one of two authors is an owner', [ada, mallory], [], own, true],
    ['both are', [ada, grace], [], own, false],
    ['an author approved', [ada, mallory], [someone('ADA', '@ada', '@shop/team')], strict, true],
    ['… whose own approval counts, for the other too', [ada, mallory], [ada], own, false],
    ['nobody is known to have written it', [], [], own, true],
  ])('%s', (_, authors, approvals, judging, open) => {
    expect(openChanges([change], { authors, approvals }, judging)).toEqual(open ? [change] : []);
  });

  test('what nobody owns waits for nobody', () => {
    const free = { ...change, owners: [] };
    expect(openChanges([free], { authors: [mallory], approvals: [] }, strict)).toEqual([]);
  });

  test('an approval in the ledger is of a content', () => {
    const given = [
      { by: 'ada <1+ada@forge>', as: ['@shop/team'], files: [{ path: change.path, blob: 'b1' }] },
    ];
    const behind = { authors: [mallory], approvals: [] };
    expect(openChanges([change], behind, { ...strict, given })).toEqual([]);
    const other = { ...change, blob: 'b2' };
    expect(openChanges([other], behind, { ...strict, given })).toEqual([other]);
    const theirs = { authors: [ada], approvals: [] };
    expect(openChanges([change], theirs, { ...strict, given })).toEqual([change]);
  });

  test('names for people, teams to ask about', () => {
    expect(ownedName('jobs/shop/web.yaml')).toBe('shop/web');
    expect(ownedName('cluster.yaml')).toBe('cluster.yaml');
    const owners = ['@ada', '@Shop/Team', '@shop/team', 'a@b.c'];
    expect(teamsIn([{ ...change, owners }])).toEqual(['@shop/team']);
  });
});
