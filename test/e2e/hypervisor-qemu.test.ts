// Runs the contract suite on real QEMU with the official bundle; takes about half a minute under emulation.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { startMachine } from '../../src/drivers/hypervisor/conformance-guest.ts';
import { socketPaths } from '../../src/drivers/hypervisor/qemu/machine-config.ts';
import { describeQemu } from '../support/vmm/qemu-contract.ts';

const bench = describeQemu('qemu', { accelerator: 'auto', bootLimitMs: 60_000 });

/** Hosts that send their first bytes as they connect: sooner than an event loop could. */
const HOSTS = `import os, socket, sys
for count in range(1000):
  host = socket.socket(socket.AF_UNIX)
  host.settimeout(float(sys.argv[2]))
  host.connect(sys.argv[1])
  for request in b"BANGER-SYNC %s\\n" % os.urandom(8).hex().encode(), b"GET /none HTTP/1.1\\r\\n\\r\\n":
    host.send(request)
    if not host.recv(65536): sys.exit("host %d was not answered" % count)
  host.close()`;

// The guest's kernel reports the change of hosts on a port apart from their bytes, on another processor sometimes after them.
test('a thousand hosts on one port, each right after the one before, are all answered (7.2)', async (t) => {
  const { machine, spec } = await startMachine(t, { ...bench, createSpec: (one) => ({ ...bench.createSpec(one), vcpuCount: 2 }) });
  const channel = await machine.openAgentChannel(AbortSignal.timeout(bench.bootLimitMs));
  channel.destroy();
  const port = socketPaths(spec).agents.at(-1) ?? '';
  const { stderr } = await promisify(execFile)('python3', ['-c', HOSTS, port, String(bench.bootLimitMs / 1000)]);
  assert.equal(stderr, '');
});
