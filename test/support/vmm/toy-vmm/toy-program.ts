// The toy VMM's process: a guest in memory behind one socket. The first line of a connection says what it is for.
import { appendFileSync } from 'node:fs';
import { access } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { parseArgs } from 'node:util';
import { ByteReader } from '../../../../src/drivers/hypervisor/fake/byte-reader.ts';
import { createFakeGuest, serveAgent } from '../../../../src/drivers/hypervisor/fake/guest.ts';

const { values } = parseArgs({
  options: { socket: { type: 'string' }, kernel: { type: 'string' }, serial: { type: 'string' } },
});
const { socket: socketPath = '', kernel = '', serial = '' } = values;
await access(kernel);
appendFileSync(serial, 'toy guest: up\n');

/** The daemon's connection; it is told why the machine ends before it ends. */
let control: Socket | undefined;
const end = (cause: string): void => {
  if (control === undefined) process.exit(0);
  control.end(`${cause}\n`, () => process.exit(0));
};
const guest = createFakeGuest('toy', (reboot) => end(reboot ? 'guest-reset' : 'guest-poweroff'));

const server = createServer((connection) => {
  connection.on('error', () => undefined);
  void new ByteReader(connection).line().then(async (purpose) => {
    connection.write('ready\n');
    if (purpose === 'agent') await serveAgent(connection, guest);
    else await followOrders(connection);
    connection.destroy();
  });
});
server.listen(socketPath);

async function followOrders(connection: Socket): Promise<void> {
  control = connection;
  const orders = new ByteReader(connection);
  for (let order = await orders.line(); order !== undefined; order = await orders.line()) if (order === 'shutdown') end('guest-poweroff');
  if (control === connection) control = undefined;
}
