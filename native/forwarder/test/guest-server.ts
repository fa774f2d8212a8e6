// Servers inside the namespace for forwarder.test.ts, on the bridge's address.
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

const address = process.argv[2] ?? '10.213.0.1';
// 9000 echoes; 9001 counts to the end of input and only then answers; 9002 says a word, then waits for ever; 9003 resets.
createServer({ allowHalfOpen: true }, (socket) => {
  socket.on('error', () => socket.destroy());
  socket.pipe(socket);
}).listen(9000, address, 2048);
createServer({ allowHalfOpen: true }, (socket) => {
  let bytes = 0;
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk) => (bytes += chunk.length));
  socket.on('end', () => socket.end(`${bytes}\n`));
}).listen(9001, address);
createServer((socket) => {
  socket.on('error', () => socket.destroy());
  socket.write('hello');
}).listen(9002, address);
createServer((socket) => socket.resetAndDestroy()).listen(9003, address);
const udp = createSocket('udp4');
udp.on('message', (message, peer) => udp.send(message, peer.port, peer.address));
udp.bind(9000, address, () => process.stdout.write('ready\n'));
