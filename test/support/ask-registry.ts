// Asks a registry as the reconciler and as a runner do, in a process of its own: which authorities
// Node knows is settled when it starts. In: `host:port`. Out: two lines.

import { createRegistry as createRunners } from '../../node-runner/edge/containerd/registry.ts';
import { createRegistry } from '../../reconciler/edge/registry.ts';
import { parseImageReference } from '../../schema/image-reference.ts';

const reference = `${process.argv[2]}/app:1`;
const ask = { job: '', group: '', task: '', commit: '', reference };
const answer = await createRegistry({ credentials: null, insecure: [] }).resolve(ask);
const ref = parseImageReference(reference);
if (ref === null) throw new Error(`${reference} is no reference`);
const registry = createRunners({ loginsPath: null, insecure: [] });
const said = await registry.manifest(ref, `sha256:${'0'.repeat(64)}`).then(String, String);
registry.close();
process.stdout.write(`${answer.kind === 'failed' ? answer.message : answer.digest}\n${said}\n`);
