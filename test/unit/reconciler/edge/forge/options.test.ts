// Where GitHub's API is, and where its pages are: github.com and an Enterprise Server.

import { expect, test } from 'vitest';
import { addressOf, apiOf, siteOf } from '../../../../../reconciler/edge/forge/options.ts';

test('github.com has its API at a host of its own, whatever slashes are written', () => {
  for (const site of ['https://github.com', 'https://github.com/', 'https://github.com//']) {
    expect(apiOf(site)).toBe('https://api.github.com');
  }
  expect(siteOf('https://api.github.com')).toBe('https://github.com');
});

test('an Enterprise Server has its API below its own address', () => {
  expect(apiOf('https://git.example/')).toBe('https://git.example/api/v3');
  expect(apiOf('https://git.example:8443')).toBe('https://git.example:8443/api/v3');
  for (const api of ['https://git.example/api/v3', 'https://git.example/api/v3/']) {
    expect(siteOf(api)).toBe('https://git.example');
  }
  // A name that only looks like it.
  expect(apiOf('https://github.com.example')).toBe('https://github.com.example/api/v3');
});

test('there and back is the same site', () => {
  for (const site of ['https://github.com', 'https://git.example', 'http://127.0.0.1:3000']) {
    expect(siteOf(apiOf(site))).toBe(site);
  }
});

test('commits that a person asked for are known as theirs by the site’s own address', () => {
  const ada = { login: 'ada', id: 7 };
  expect(addressOf(apiOf('https://github.com'), ada)).toBe('7+ada@users.noreply.github.com');
  const server = apiOf('https://git.example:8443');
  expect(addressOf(server, ada)).toBe('7+ada@users.noreply.git.example');
});
