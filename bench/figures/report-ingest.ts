// How fast the reconciler takes reports in: frames that a runner's own encoder made go through the
// product's end of the link, in a process that is started as a reconciler is, and the same bytes
// through a bare grpc-js stream of that process, turn by turn. Both are fed by one bare client, and
// answer each message. Two kinds: reports of nodes at rest, which is what nearly all are, and reports
// in which every copy changed, as of their first answer (link.proto, Ack).

import { once } from 'node:events';
import {
  SessionRequest,
  LinkServiceDefinition,
} from '../../schema/generated/purser/link/v1/link.ts';
import type { NodeReport } from '../../schema/orders.ts';
import { encodeReport, LINK_PROTOCOL, type SentReports } from '../../schema/wire.ts';
import { aged } from '../../schema/wire-ages.ts';
import { body, group } from '../../test/support/bodies.ts';
import type { IngestPorts } from '../ingest.ts';
import { BARE_PATH, type Feed, openFeed } from '../support/bare-stream.ts';
import { type Ends, withEnds } from '../support/ends.ts';
import { type Figure, type FigureOptions, median, type Row } from '../support/figure.ts';
import { freshReport, running } from '../support/model-nodes.ts';
import { endProgram, forkProgram } from '../support/program.ts';

const COPIES = 20;
/** In a round: so many that a pause of the machine does not decide it. */
const REPORTS = 8000;
const ROUNDS = 15;
const GOAL = 0.7;
const REPORT_EVERY_MS = 5000;

const LINK_PATH = `/${LinkServiceDefinition.fullName}/${LinkServiceDefinition.methods.session.name}`;

type Kind = 'at rest' | 'all changed';

export const reportIngest: Figure = {
  name: 'report-ingest',
  what: 'reports a second through the link, against a bare grpc-js stream of equal bytes',
  run: (options) => withEnds((ends) => run(ends, options)),
};

const run = async (ends: Ends, { count, say }: FigureOptions): Promise<readonly Row[]> => {
  const child = forkProgram({ entry: 'bench/ingest.ts', folder: ends.folder(), args: [] });
  ends.add(() => endProgram(child));
  const [ports] = (await once(child, 'message')) as [IngestPorts];
  const rows: Row[] = [];
  for (const kind of ['at rest', 'all changed'] as const) {
    const { first, next } = framesOf(kind);
    const link = await openFeed({ address: ports.link, path: LINK_PATH, first, firstAnswers: 1 });
    const bare = await openFeed({ address: ports.bare, path: BARE_PATH, first, firstAnswers: 2 });
    ends.add(link.close);
    ends.add(bare.close);
    const bytes = median(next.map(({ length }) => length));
    const rates = await compare({ link, bare }, next, count ?? ROUNDS);
    const ratio = median(rates.map(({ ours, floor }) => ours / floor));
    const [ours, floor] = [
      median(rates.map((one) => one.ours)),
      median(rates.map((one) => one.floor)),
    ];
    say(`${kind}: ${ours.toFixed(0)}/s of ${floor.toFixed(0)}/s, ${bytes} bytes`);
    rows.push({
      what: `reports taken in a second, ${COPIES} copies, ${kind}, ${bytes} bytes`,
      ours: `${ours.toFixed(0)}/s`,
      floor: `bare grpc-js stream ${floor.toFixed(0)}/s`,
      result: ratio.toFixed(2),
      goal: `≥ ${GOAL}`,
      met: ratio >= GOAL,
    });
  }
  return rows;
};

/** Turn by turn, so that a busy machine slows both; the first round of each is not counted. */
const compare = async (
  { link, bare }: { readonly link: Feed; readonly bare: Feed },
  frames: readonly Buffer[],
  rounds: number,
) => {
  const rates: { readonly ours: number; readonly floor: number }[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    const ours = (frames.length / (await link.send(frames))) * 1000;
    const floor = (frames.length / (await bare.send(frames))) * 1000;
    if (round > 0) rates.push({ ours, floor });
  }
  return rates;
};

/** What a runner of these copies sends: hello and a whole report, then one every five seconds. */
const framesOf = (kind: Kind) => {
  const node = kind.replace(' ', '-');
  let report = startOf(node);
  let sent: SentReports | null = null;
  const frames = Array.from({ length: REPORTS + 1 }, (_, at) => {
    const encoded = encodeReport(sent, report, at * REPORT_EVERY_MS);
    sent = { ...encoded.sent, takesPatches: true };
    report = later(report, { kind, at });
    const frame = Buffer.from(JSON.stringify(encoded.frame));
    return encode({ $case: 'report', value: { sequence: BigInt(at + 1), frame } });
  });
  const hello = { protocol: LINK_PROTOCOL, cluster: 'bench', node, release: '', term: 0n };
  const [whole = Buffer.alloc(0), ...next] = frames;
  return { first: [encode({ $case: 'hello', value: hello }), whole], next };
};

const encode = (frame: NonNullable<SessionRequest['frame']>): Buffer =>
  Buffer.from(SessionRequest.encode({ frame }).finish());

const startOf = (node: string): NodeReport => {
  const allocations = Array.from({ length: COPIES }, (_, index) => {
    const allocation = `${'a'.repeat(16)}-${String(index).padStart(2, '0')}-1`;
    return running(body({ allocation, node, cluster: 'bench', index, spec: group({}) }));
  });
  const accepted = allocations.map(({ allocation }) => allocation);
  return { ...freshReport(node), accepted, allocations };
};

/** Five seconds older, with another use; where all changed, each has its check said something new. */
const later = (report: NodeReport, { kind, at }: { kind: Kind; at: number }): NodeReport => ({
  ...report,
  allocations: report.allocations.map((one, index) => {
    const usage = { cpuMilli: 5 + ((at + index) % 7), memoryBytes: 1_000_000 + at };
    const older = aged(one, REPORT_EVERY_MS, usage);
    if (kind === 'at rest') return older;
    const lastCheck = `answered in ${at % 10} ms`;
    return { ...older, tasks: older.tasks.map((task) => ({ ...task, lastCheck })) };
  }),
});
