// A name server for the fake outside of network-lab.sh: answers every A question with 203.0.113.5, by UDP and TCP.
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { decode, encode, streamDecode, streamEncode } from 'dns-packet';
import type { Packet } from 'dns-packet';

function answer(query: Packet): Packet {
  const questions = query.questions ?? [];
  return {
    type: 'response',
    ...(query.id === undefined ? {} : { id: query.id }),
    questions,
    answers: questions.map(({ name }) => ({ type: 'A', name, ttl: 1, data: '203.0.113.5' })),
  };
}

const udp = createSocket('udp4');
udp.on('message', (message, peer) => udp.send(encode(answer(decode(message))), peer.port, peer.address));
udp.bind(53, '192.0.2.1');
createServer((socket) => {
  socket.on('error', () => socket.destroy());
  socket.once('data', (bytes: Buffer) => socket.end(streamEncode(answer(streamDecode(bytes)))));
}).listen(53, '192.0.2.1');
