// A link or a submodule where documents lay in a folder: it hides them, and takes nothing away.
// Rules 1.3, 8.3.

import { describe, expect, it } from 'vitest';
import { createMemo } from '../../../reconciler/desired/memo.ts';
import { digestOf, ready, story } from '../../support/tree.ts';

const WEB = 'jobs/shop/web.yaml';
const image = (word: string) => `image: r.example/web:${word}@${digestOf(word)}\n`;
const both = {
  'cluster.yaml': 'name: home\npolicies: {registries: [r.example]}\n',
  'jobs/shop/api.yaml': image('1'),
  [WEB]: image('1'),
};

describe('a link or a submodule where a folder was (rules 1.3, 8.3)', () => {
  const link = { kind: 'refused', blob: 'b', why: 'symlink', size: null } as const;
  const submodule = { ...link, why: 'submodule' } as const;
  const gone = { 'jobs/shop/api.yaml': null, [WEB]: null };

  it.each([
    ['jobs', { ...gone, jobs: link }, 'symbolic link'],
    ['jobs/shop', { ...gone, 'jobs/shop': submodule }, 'submodule'],
    ['nodes', { 'nodes/n1.yaml': null, nodes: link }, 'symbolic link'],
    ['jobs/shop', { ...gone, 'jobs/shop': link, 'jobs/a/b.yaml': image('1') }, 'symbolic link'],
  ])('%s: nothing is done, and it is said where', (path, change, what) => {
    const commits = story({ ...both, 'nodes/n1.yaml': 'pool: web\n' }, change);
    const { desired } = ready(commits, { lastSynced: 0 });
    expect(desired.standing).toMatchObject({ kind: 'stopped' });
    const why = desired.standing.kind === 'stopped' ? desired.standing.why : '';
    expect(why).toContain(`${path} is a link or a submodule now`);
    expect(desired.problems).toMatchObject([
      { file: path, code: 'folder-refused', message: `${path} is a ${what}, not a folder.` },
    ]);
    expect(desired.jobs.map(({ standing }) => standing.kind)).not.toContain('removed');
  });

  it('is a problem and no more where nothing had been behind it', () => {
    const commits = story(both, { 'jobs/other': link, 'configs/other': link, 'jobs/A B': link });
    const { desired } = ready(commits, { lastSynced: 0 });
    expect(desired.standing).toEqual({ kind: 'ok' });
    expect(desired.problems.map(({ file, code }) => `${file} ${code}`)).toEqual([
      'jobs/other folder-refused',
    ]);
  });

  it('is seen, and seen to be gone, by a compile that remembers the tree before', () => {
    const commits = story({ ...both, 'jobs/other': 'no link' }, { 'jobs/other': link });
    const memo = createMemo();
    const codesAt = (count: number) =>
      ready(commits.slice(0, count), { memo }).desired.problems.map(({ code }) => code);
    expect([codesAt(1), codesAt(2), codesAt(1)]).toEqual([[], ['folder-refused'], []]);
  });
});
