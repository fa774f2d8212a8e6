// The name server of the daemon, alone in a process, with as many names as the argument says. Prints its port.
import { createDnsServer } from '../src/dns/server.ts';

const count = Number(process.argv[2]);
const server = await createDnsServer({ address: '127.0.0.1', port: 0, log: () => undefined });
server.setRecords(new Map(Array.from({ length: count }, (_, at) => [`vm-${at}`, `127.213.${at >> 8}.${at & 255}`])));
process.stdout.write(`${server.port}\n`);
