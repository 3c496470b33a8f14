// What counts as a secret, and that no text of strangers takes long to look at.

import { expect, test } from 'vitest';
import { looksSecret, maskedLine, secretsOf } from '../../../schema/secret-text.ts';

test.each([
  'password=hunter2',
  'connecting to postgres://ada:hunter2@db:5432/shop',
  'Authorization: Bearer abc',
  'ghp_0123456789abcdef',
  'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.x',
  'aB3aB3aB3aB3aB3aB3aB3aB3aB3',
  '-----BEGIN RSA PRIVATE KEY-----',
])('%s', (text) => {
  expect(looksSecret(text)).toBe(true);
  expect(maskedLine(text)).not.toContain(text);
});

test.each(['serving 4', 'listening on http://0.0.0.0:8080/', 'exit code 7', 'a'.repeat(500)])(
  '%s is none',
  (text) => expect(maskedLine(text)).toBe(text),
);

test('a text is looked at in no time, however it is made; a very long one counts as one', () => {
  const began = performance.now();
  for (const piece of ['a', 'eyJ-', 'eyJaaaaaaaa-', 'auth', 'a:', 'a://', 'b:', 'ghp', 'auth ']) {
    for (const length of [8000, 1_000_000]) {
      const text = piece.repeat(length / piece.length);
      expect(looksSecret(text) || length < 8192).toBe(true);
      looksSecret(`a://${text}`);
    }
  }
  // What is looked at again from each letter takes hours.
  expect(performance.now() - began).toBeLessThan(20_000);
});

test('a line that holds the value of a secret variable is masked, however plain it looks', () => {
  const environment = [
    ['API_TOKEN', 'blue horse'],
    ['DB_PASSWORD', 'one-line\nanother-line'],
    ['PIN_SECRET', '1234'],
    ['MODE', 'production'],
    ['DATABASE', 'postgres://ada:swordfish@db/shop'],
  ] as const;
  const spec = { groups: [{ tasks: [{ environment }] }] } as unknown as Parameters<
    typeof secretsOf
  >[0];
  const secrets = secretsOf(spec);
  for (const line of ['got blue horse', 'x another-line', 'at postgres://ada:swordfish@db/shop']) {
    expect(maskedLine(line, secrets)).toMatch(/^\*\*\*/);
  }
  for (const line of ['in production, 1234 times', 'blue', 'horse']) {
    expect(maskedLine(line, secrets)).toBe(line);
  }
});
