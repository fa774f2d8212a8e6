// Servers for the fake outside of network-lab.sh: a name server that answers every A question with 203.0.113.5, by UDP and TCP,
// and on port 7007 one that answers with the hash of all that was sent.
import { createHash } from 'node:crypto';
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

/** Malformed questions of rude guests get no answer. */
function attempt(work: () => Buffer): Buffer | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

const udp = createSocket('udp4');
udp.on('message', (message, peer) => {
  const reply = attempt(() => encode(answer(decode(message))));
  if (reply !== undefined) udp.send(reply, peer.port, peer.address);
});
udp.bind(53, '192.0.2.1');
createServer((socket) => {
  socket.on('error', () => socket.destroy());
  socket.once('data', (bytes: Buffer) => {
    const reply = attempt(() => streamEncode(answer(streamDecode(bytes))));
    if (reply === undefined) socket.destroy();
    else socket.end(reply);
  });
}).listen(53, '192.0.2.1');
createServer({ allowHalfOpen: true }, (socket) => {
  const hash = createHash('sha256');
  socket.on('error', () => socket.destroy());
  socket.on('data', (bytes) => hash.update(bytes));
  socket.on('end', () => socket.end(`${hash.digest('hex')}\n`));
}).listen(7007, '192.0.2.1', 512);
