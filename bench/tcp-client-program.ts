// Measures one TCP connection and prints milliseconds: `fetch ADDRESS PORT` reads to the end, `ping ADDRESS PORT` is the median of
// the round trips of a byte.
import { once } from 'node:events';
import { connect } from 'node:net';
import { quantile } from './round-robin.ts';

const PINGS = 200;
const [mode, host = '', port] = process.argv.slice(2);
const begin = performance.now();
const socket = connect({ host, port: Number(port), noDelay: true });
let bytes = 0;
if (mode === 'fetch') {
  socket.on('data', (chunk) => (bytes += chunk.length));
  await once(socket, 'end');
  if (bytes === 0) throw new Error('nothing came');
  console.log(performance.now() - begin);
} else {
  const samples: number[] = [];
  for (let at = 0; at < PINGS; at++) {
    const sent = performance.now();
    socket.write('x');
    await once(socket, 'data');
    samples.push(performance.now() - sent);
  }
  socket.destroy();
  console.log(quantile(samples, 0.5));
}
