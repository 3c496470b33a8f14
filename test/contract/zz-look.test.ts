import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'vitest';
import { github } from '../../cli/github.ts';
import { PERMISSIONS } from '../../reconciler/edge/forge/permissions.ts';
import * as changes from '../support/github/changes.ts';
import { startGitHub, type GitHub } from '../support/github/github.ts';

const TROUBLES: [string, (hub: GitHub) => void, true?][] = [
  ['fine', () => undefined],
  ['lacks', (hub) => hub.permit({ metadata: 'read', contents: 'write', checks: 'read' })],
  ['suspended', (hub) => changes.suspend(hub, true)],
  ['uninstalled', (hub) => hub.uninstall()],
  ['reinstalled', (hub) => { hub.uninstall(); changes.installHere(hub); }],
  ['not selected', (hub) => changes.select(hub, false)],
  ['private not selected', (hub) => { changes.setRepo(hub, { private: true }); changes.select(hub, false); }],
  ['deleted app', (hub) => { hub.uninstall(); hub.hub.apps.splice(0); }],
  ['archived', (hub) => changes.setRepo(hub, { archived: true })],
  ['renamed', (hub) => hub.rename('two')],
  ['transferred', (hub) => changes.transfer(hub, 'mall')],
  ['transferred+installed', (hub) => { changes.transfer(hub, 'mall'); changes.installHere(hub); }],
  ['token fine', () => undefined, true],
  ['token revoked', (hub) => hub.hub.tokens.clear(), true],
  ['token closed', (hub) => { changes.setRepo(hub, { private: true }); hub.person('grace', 'none'); }, true],
  ['token read', (hub) => { hub.person('grace', 'read'); }, true],
  ['token archived', (hub) => changes.setRepo(hub, { archived: true }), true],
];
void PERMISSIONS;
test.each(TROUBLES)('%s', async (name, act, byToken) => {
  const hub = await startGitHub();
  const root = mkdtempSync(join(tmpdir(), 'purser-look-'));
  const printed: string[] = [];
  const say = (line: string) => void printed.push(line);
  const io = { out: say, err: say, tty: false, columns: 100, rows: 40, signal: new AbortController().signal };
  const common = { root, socket: join(root, 'control.sock'), json: false };
  writeFileSync(join(root, 'key.pem'), hub.app.privateKey);
  writeFileSync(join(root, 'tok'), hub.person('grace', 'write').token);
  const login = byToken ? { tokenFile: join(root, 'tok') } : { appId: String(hub.app.id), keyFile: join(root, 'key.pem') };
  await github.run({ args: ['setup'], options: { repository: 'shop/cluster', url: hub.url, branch: 'main', ...login }, common, io });
  printed.length = 0;
  act(hub);
  const code = await github.run({ args: ['setup'], options: { branch: 'main' }, common, io }).catch((error: unknown) => String(error));
  console.log(`=== ${name}: ${code}\n${printed.join('\n')}`);
  rmSync(root, { recursive: true });
  hub.takeProblems();
  await hub.close();
});
