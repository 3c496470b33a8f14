// The size of bodies, without making the bytes.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { bodyBytes, utf8Bytes } from '../../../schema/body-size.ts';
import { body, group, task } from '../../support/bodies.ts';

it('counts what Buffer counts, lone surrogates included', () => {
  for (const text of ['', 'a', 'ä€𝄞', '\ud800', '\udc00a', '\ud834\ud834\udd1e', '𝄞\ud800']) {
    expect(utf8Bytes(text)).toBe(Buffer.byteLength(text));
  }
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(utf8Bytes(text)).toBe(Buffer.byteLength(text));
    }),
  );
});

it('is never less than the body as JSON', () => {
  const content = '"\n€𝄞'.repeat(1_000);
  const spec = group({ tasks: [task({ files: [{ path: '/f', source: 'f', content }] })] });
  const bytes = Buffer.byteLength(JSON.stringify(body({ spec })));
  expect(bodyBytes(spec)).toBeGreaterThanOrEqual(bytes);
  expect(bodyBytes(spec)).toBeLessThan(bytes + 2_000);
});
