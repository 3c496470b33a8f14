// `purser services [SERVICE]`: the names under which copies are found, and where they answer.

import { addressKind } from '../schema/ip-address.ts';
import type { ServiceInstance, ServicesAnswer, ShownService } from '../schema/services.ts';
import { SERVICE_DOMAIN, serviceId } from '../schema/services.ts';
import { connect } from './client.ts';
import { pc } from './colours.ts';
import type { CommandSpec, Io } from './command.ts';
import { CommandError } from './command-error.ts';
import { createScreen } from './screen.ts';
import { table } from './table.ts';

export const services: CommandSpec = {
  usage: 'services [service]',
  summary: 'show services: where they answer, and which copies are not ready',
  examples: [
    ['purser services', 'all of the cluster'],
    ['purser services web', 'one of them, with the names to ask for'],
    ['purser services --watch --json', 'for programs: a line for each change'],
  ],
  define: (command) => command.option('-w, --watch', 'redraw on every change until Ctrl-C'),
  run: async ({ args, options, common, io }) => {
    const name = args[0] ?? null;
    const control = await connect(common.socket);
    const isLive = options['watch'] === true;
    const show = (all: ServicesAnswer): string => {
      const answer = { ...all, services: named(all, name) };
      if (!common.json) return textOf(answer, name !== null, io);
      return isLive ? JSON.stringify(answer) : JSON.stringify(answer, null, 2);
    };
    const screen = isLive && io.tty && !common.json ? createScreen(io) : null;
    try {
      if (!isLive) io.out(show(await control.call<ServicesAnswer>('services')));
      else {
        for await (const answer of control.watch<ServicesAnswer>('services', io.signal)) {
          const shown = show(answer);
          if (screen === null) io.out(shown);
          else screen.draw(shown);
        }
      }
    } finally {
      screen?.close();
      control.close();
    }
    return 0;
  },
};

/** By name, by `<namespace>/<name>`, or by what DNS calls it. Throws CommandError. */
const named = ({ services: all }: ServicesAnswer, name: string | null): readonly ShownService[] => {
  if (name === null) return all;
  const found = all.filter((service) =>
    [service.name, serviceId(service), dnsName(service)].includes(name),
  );
  if (found.length > 0) return found;
  throw new CommandError(`there is no service ${name}: \`purser services\` lists them`, 1);
};

const dnsName = ({ namespace, name }: Pick<ShownService, 'namespace' | 'name'>): string =>
  `${name}.${namespace}.${SERVICE_DOMAIN}`;

const textOf = ({ services: all, leftOut }: ServicesAnswer, isOne: boolean, io: Io): string => {
  if (all.length === 0) {
    return 'No services: write `services: [{name: web, port: http}]` into a group.';
  }
  const head = ['SERVICE', 'READY', 'COPY', 'NODE', 'ADDRESS', 'TAGS', 'NOT READY'];
  const rows = all.flatMap(serviceRows);
  const beyond = `${leftOut} ready copies are beyond what a catalogue holds, and not found.`;
  return [
    table([head, ...rows], { columns: io.columns, droppable: ['TAGS', 'COPY'] }),
    ...(leftOut === 0 ? [] : [pc.red(`! ${beyond}`)]),
    ...(isOne ? ['', ...all.map((service) => pc.dim(`In DNS: ${dnsName(service)}`))] : []),
  ].join('\n');
};

/** The service's own words stand on its first row alone. */
const serviceRows = (service: ShownService): readonly (readonly string[])[] => {
  const { instances, waiting } = service;
  const rows = [
    ...instances.map((one) => [
      one.allocation ?? 'outside',
      one.node ?? '',
      placeOf(one),
      one.tags.join(','),
      '',
    ]),
    ...waiting.map(({ allocation, node, tags, why }) => [
      allocation,
      node,
      '',
      tags.join(','),
      pc.yellow(why),
    ]),
  ];
  const none = ['', '', '', '', pc.yellow('it has no copies')];
  const count = `${instances.length}/${instances.length + waiting.length}`;
  const [first = none, ...rest] = rows;
  const coloured = instances.length > 0 ? pc.green(count) : pc.red(count);
  return [[serviceId(service), coloured, ...first], ...rest.map((row) => ['', '', ...row])];
};

const placeOf = ({ address, port }: ServiceInstance): string =>
  addressKind(address) === 'ipv6' ? `[${address}]:${port}` : `${address}:${port}`;
