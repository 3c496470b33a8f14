// Which reconciler a runner dials next, and whom it follows no more, also after its own restart.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openPlaces } from '../../../../node-runner/edge/places.ts';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'pl-'));
  file = path.join(folder, 'reconcilers.json');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('one address stays the one, whatever happens', () => {
  const places = openPlaces(['unix:/run/link.sock'], null);
  places.next('');
  places.next('10.0.0.2:7420');
  expect(places.now()).toBe('unix:/run/link.sock');
  expect(places.followed()).toBe(0);
});

test('a leader’s term and places outlive the runner; a lower term is not followed', () => {
  const places = openPlaces(['tls:a:1'], file);
  expect(places.follow({ term: 7, reconcilers: ['a:1', 'b:1'] })).toBe(true);
  expect(places.follow({ term: 6, reconcilers: ['c:1'] })).toBe(false);
  const again = openPlaces(['tls:a:1'], file);
  expect(again.followed()).toBe(7);
  expect(again.all()).toEqual(['tls:a:1', 'tls:b:1']);
  expect(again.follow({ term: 7, reconcilers: ['b:1', 'c:1'] })).toBe(true);
  expect(openPlaces(['tls:a:1'], file).all()).toEqual(['tls:a:1', 'tls:b:1', 'tls:c:1']);
});

test('one after the other is dialled, or the one that is named; a dead one is named in vain', () => {
  const places = openPlaces(['tls:a:1', 'tls:b:1', 'tls:c:1'], file);
  places.next('');
  expect(places.now()).toBe('tls:b:1');
  places.next('a:1');
  expect(places.now()).toBe('tls:a:1');
  places.next('');
  places.next('');
  expect(places.now()).toBe('tls:c:1');
  places.next('');
  expect(places.now()).toBe('tls:a:1');
});

test('one that does not lead tells of others: they are tried last, and outlive the runner', () => {
  const places = openPlaces(['tls:a:1'], file);
  places.follow({ term: 7, reconcilers: ['a:1', 'b:1'] });
  places.learn(['c:1', 'a:1']);
  expect(places.all()).toEqual(['tls:a:1', 'tls:b:1', 'tls:c:1']);
  expect(openPlaces(['tls:a:1'], file).all()).toEqual(places.all());
  places.learn(Array.from({ length: 9 }, (_, at) => `d:${at}`));
  expect(places.all()).toHaveLength(8);
  expect(places.all().slice(0, 3)).toEqual(['tls:a:1', 'tls:b:1', 'tls:c:1']);
  expect(places.followed()).toBe(7);
});

test('a damaged file is an error: an old leader would be followed', () => {
  writeFileSync(file, '{"term":');
  expect(() => openPlaces(['tls:a:1'], file)).toThrow('is damaged');
});
