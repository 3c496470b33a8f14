// Whether it can be read who is in the teams that `owners` of the cluster names.
// In: the branch's cluster.yaml as GitHub shows it. Out: a finding where that may be missing, nothing
// where no team is named. Not here: whose approval counts (schema/behind).

import { ForgeFailure } from '../reconciler/edge/forge/failure.ts';
import { permissionWords } from '../reconciler/edge/forge/permissions.ts';
import { teamsIn } from '../schema/behind.ts';
import { parseOwners } from '../schema/owners.ts';
import { parseDocument } from '../schema/parse.ts';
import type { CheckAsk, Finding } from './github-finding.ts';

/** @param grant where an App is given the permission that it lacks; null: there is only a token */
export const teamFindings = async (
  ask: CheckAsk,
  grant: string | null,
): Promise<readonly Finding[]> => {
  const teams = await teamsOf(ask);
  if (teams.length === 0) return [];
  const name = 'permission members';
  const named = `\`owners\` names ${teams.join(', ')}`;
  if (grant === null) {
    const words = `${named}: whether the token may read who is in it is not known`;
    const fix =
      'give it the scope `read:org`, or to a fine-grained one ' +
      `${permissionWords('members', 'read')} of the organization`;
    return [{ name, state: 'unknown', words, fix }];
  }
  const words =
    `the App lacks ${permissionWords('members', 'read')}, and ${named}: ` +
    'who approves for a team cannot be known';
  return [{ name, state: 'missing', words, fix: grant }];
};

/** A branch or a file that is not there names none; what is wrong in it is told elsewhere. */
const teamsOf = async ({ wire, branch, directory }: CheckAsk): Promise<readonly string[]> => {
  const folder = directory.replaceAll(/^\/+|\/+$/g, '');
  const path = folder === '' ? FILE : `${folder}/${FILE}`;
  const text = await textAt(wire, path, branch);
  if (text === null) return [];
  const { value } = parseDocument('cluster', FILE, { kind: 'text', blob: '', text });
  const rules = parseOwners(value?.owners ?? '').rules;
  return teamsIn(rules.map(({ owners }) => ({ path: '', blob: null, owners })));
};

const FILE = 'cluster.yaml';

const textAt = async (
  wire: CheckAsk['wire'],
  path: string,
  ref: string,
): Promise<string | null> => {
  try {
    return await wire.poll({
      route: 'GET /repos/{owner}/{repo}/contents/{path}',
      params: { path, ref },
      pick: (data) => {
        const { content = '' } = data as { readonly content?: string };
        return Buffer.from(content, 'base64').toString('utf8');
      },
      once: true,
    });
  } catch (error) {
    if (error instanceof ForgeFailure && error.consequence !== 'retry') return null;
    throw error;
  }
};
