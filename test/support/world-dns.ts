// A name server of the world, for programs that run inside a test's namespace: it knows one name.
// In: an address of the machine. Out: it answers at port 53 until it is closed.

import { createSocket, type Socket } from 'node:dgram';
import dnsPacket from 'dns-packet';

const NAME = 'world.example';

export const answerWorld = async (address: string): Promise<Socket> => {
  const world = createSocket('udp4').on('message', (message, from) => {
    const { id = 0, questions = [] } = dnsPacket.decode(message);
    const [{ name, type } = { name: '', type: 'A' }] = questions;
    const known = name === NAME && type === 'A';
    const answers = known ? [{ type: 'A', name, data: '198.51.100.99' } as const] : [];
    const flags = dnsPacket.RECURSION_AVAILABLE | (name === NAME ? 0 : 3);
    const reply = dnsPacket.encode({ type: 'response', id, flags, questions, answers });
    world.send(reply, from.port, from.address);
  });
  await new Promise<void>((resolve) => world.bind(53, address, resolve));
  return world;
};
