// Root in the guest does what it can against its host: the daemon stays small, quick and whole.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { type GuestHandle, createVm, daemonStatus, eventually, guest, useSandbox } from '../support/machine/e2e.ts';

/** `FLOOD_SECONDS=60` for figures. An emulated line is slow; that its log is bounded by bytes is held by output-log.test.ts. */
const FLOOD_SECONDS = Number(process.env['FLOOD_SECONDS'] ?? 8);
const MIB = 1024 ** 2;
/** The log and its predecessor, of at most 1 MiB each, and what one write may be longer. */
const SERIAL_LIMIT_BYTES = 2.5 * MIB;
const MEMORY_GROWTH_LIMIT_BYTES = 64 * MIB;
const sandbox = useSandbox();

const residentBytes = (pid: number): number => Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
const sizeOf = (directory: string): number => readdirSync(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);

test('a flood on the serial line and terminal escapes leave logs, memory and tables bounded and plain (7.2, 5.4)', async (t) => {
  const vm = await createVm(sandbox(), 'web');
  const { pid } = await daemonStatus(sandbox());
  const { serialLog } = (await vm.show()).paths;
  const before = residentBytes(pid);
  // A program whose name is what a terminal would obey.
  const name = String.raw`"$(printf '/run/\033]0;owned')"`;
  await vm.sh(`cp "$(readlink -f /usr/bin/perl)" ${name}; chmod 755 ${name}; mount -o remount,exec /run`);
  await vm.sh(
    `setsid ${name} -MSocket -e 'socket(S, PF_INET, SOCK_STREAM, 0); bind(S, sockaddr_in(8081, INADDR_ANY)); listen(S, 5); sleep' >/dev/null 2>&1 </dev/null &`,
  );
  await vm.sh(`(timeout ${FLOOD_SECONDS} sh -c 'yes flood >/dev/ttyS0'; touch /run/flooded) >/dev/null 2>&1 </dev/null &`);
  let most = before;
  let asked = 0;
  while ((await vm.sh('test -e /run/flooded && echo over || echo on')) === 'on') {
    assert.equal((await vm.show()).state, 'running');
    most = Math.max(most, residentBytes(pid));
    asked++;
  }
  assert.ok(asked > 0, 'nothing was asked while it was flooded');
  const serial = sizeOf(dirname(serialLog));
  t.diagnostic(
    `${FLOOD_SECONDS} s of flood: logs ${(serial / MIB).toFixed(1)} MiB, daemon ${(before / MIB).toFixed(0)} to ${(most / MIB).toFixed(0)} MiB, ${asked} questions answered meanwhile`,
  );
  assert.ok(serial > MIB / 64, `only ${serial} bytes were flooded`);
  assert.ok(serial < SERIAL_LIMIT_BYTES, `${serial} bytes of logs`);
  assert.ok(most - before < MEMORY_GROWTH_LIMIT_BYTES, `the daemon grew from ${before} to ${most} bytes`);
  const ports = () => sandbox().banger(['vm', 'ports', 'web']);
  const { stdout, stderr } = await eventually('the listener', ports, (seen) => seen.stdout.includes('8081'));
  assert.match(stdout, /\\x1b\]0;owned/);
  assert.ok(!`${stdout}${stderr}`.includes('\u001B'), JSON.stringify(stdout));
});

const SIGNAL_PORT = 9000;
const SIGNALLER = `#!/bin/sh
read -r name
for path in $(grep -l '^@banger-agent' /proc/[0-9]*/cmdline); do path=\${path%/cmdline}; kill -$name \${path#/proc/}; done
echo done`;

/** @returns what sends a signal to every process of the agent, by a way that does without the agent; they have it when that ends */
async function signaller(vm: GuestHandle): Promise<(signal: 'STOP' | 'CONT' | 'KILL') => Promise<void>> {
  await vm.sh(`cat >/root/signal <<'END'\n${SIGNALLER}\nEND\nchmod +x /root/signal`);
  await vm.sh(`setsid systemd-socket-activate --listen=0.0.0.0:${SIGNAL_PORT} --accept --inetd /root/signal >/dev/null 2>&1 &`);
  const { address } = await vm.show();
  const ports = () => sandbox().must(['vm', 'ports', 'web']);
  await eventually('its forward', ports, (listed) => listed.includes(`${address}:${SIGNAL_PORT}`));
  return async (signal) => {
    const socket = connect(SIGNAL_PORT, address);
    socket.write(`${signal}\n`);
    assert.equal(await text(socket), 'done\n');
  };
}

test('a stopped or killed guest agent is reported in time, and its VM can be stopped and deleted (7.2, 3.5)', async () => {
  const vm = guest(sandbox(), 'web');
  const ask = () => sandbox().banger(['vm', 'exec', 'web', '--', 'true']);
  const lost = async (): Promise<void> => {
    const { stderr } = await eventually('an agent that is silent', ask, ({ status }) => status !== 0);
    assert.match(stderr, /the guest agent (failed|cannot be reached)|connection to the guest ended|session in the guest was lost/);
    assert.match((await sandbox().banger(['vm', 'ports', 'web'])).stderr, /the guest agent/);
    assert.match(await sandbox().must(['vm', 'list']), /web +running/);
  };
  const signal = await signaller(vm);
  await signal('STOP');
  await lost();
  await signal('CONT');
  await eventually('an agent that goes on', ask, ({ status }) => status === 0, 120_000);
  await signal('KILL');
  await sandbox().banger(['vm', 'exec', 'web', '--', 'true']);
  await sandbox().must(['vm', 'stop', 'web', '--grace', '5s']);
  assert.equal((await vm.show()).state, 'stopped');
  await sandbox().must(['vm', 'delete', 'web']);
});
