// A machine that nobody uses sleeps, and is there when it is touched.
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { test } from 'node:test';
import { createVm, daemonStatus, eventually, guest, type GuestHandle, useSandbox } from '../support/machine/e2e.ts';

const sandbox = useSandbox();

/** Reads a request whole, as a server does, and says which boot of the guest this is. */
const SERVER = String.raw`cat >/root/say <<'EOF'
#!/bin/sh
while read -r line && [ "$line" != "$(printf '\r')" ]; do :; done
printf 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n%s' "$(cat /proc/sys/kernel/random/boot_id)"
EOF
chmod +x /root/say
systemd-run --quiet --unit=say systemd-socket-activate --listen=0.0.0.0:8080 --accept --inetd /root/say`;

/** @returns what an HTTP server says */
function ask(address: string, port: number, host: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = request({ host: address, port, headers: { host }, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => (body += text));
      response.on('error', reject).on('end', () => resolve(body.trim()));
    });
    call.on('error', reject).end();
  });
}

async function asleep(state: 'paused' | 'suspended'): Promise<void> {
  const line = new RegExp(`^web +${state} \\d+ (s|min), idle `, 'm');
  const list = () => sandbox().must(['vm', 'list', '--no-headers']);
  await eventually(`web ${state}`, list, (text) => line.test(text), 300_000);
}

const BOOT = 'cat /proc/sys/kernel/random/boot_id';
const stateOf = async (vm: GuestHandle): Promise<string> => (await vm.show()).state;
const nextDaemon = async (): Promise<void> => {
  process.kill((await daemonStatus(sandbox())).pid, 'SIGKILL');
  await sandbox().must(['daemon', 'start']);
};

test('an idle VM is paused, and wakes for a command and ssh, also after the daemon died (10.6)', async () => {
  const vm = await createVm(sandbox(), 'web', '--pause-after', '3s');
  await vm.sh(SERVER);
  const boot = await vm.sh(BOOT);
  await asleep('paused');
  assert.equal(await sandbox().must(['vm', 'ssh', 'web', '--', 'hostname']), 'web\n');
  await asleep('paused');
  const { pid } = await vm.show();
  await nextDaemon();
  assert.deepEqual([await stateOf(vm), (await vm.show()).pid], ['paused', pid]);
  assert.equal(await vm.sh(BOOT), boot);
  const offMs = Math.abs(Number(await vm.sh('date +%s%3N')) - Date.now());
  assert.ok(offMs < 5000, `the clock is off by ${offMs} ms`);
});

test('a lease keeps a VM awake; one that a user paused stays so; a connection wakes one that is idle (10.6)', async () => {
  const vm = guest(sandbox(), 'web');
  await sandbox().must(['vm', 'keep-awake', 'web', '--for', '1h']);
  assert.match(await sandbox().must(['vm', 'show', 'web']), /^kept awake: +20/m);
  await sandbox().must(['vm', 'pause', 'web']);
  const refused = await sandbox().banger(['vm', 'exec', 'web', '--', 'true']);
  assert.match(refused.stderr, /web is paused[^]*banger vm resume web/);
  await sandbox().must(['vm', 'unpause', 'web']);
  assert.equal(await vm.sh('hostname'), 'web');
  await sandbox().must(['vm', 'keep-awake', 'web', '--release']);
  await asleep('paused');
  const { address } = await vm.show();
  assert.equal(await ask(address, 8080, 'web.vm'), await vm.sh(BOOT));
});

test('an idle VM is suspended, and wakes for HTTP by name, also after the daemon died (10.6, 10.5)', async (t) => {
  const vm = guest(sandbox(), 'web');
  if ((await vm.show()).hypervisor !== 'qemu') return t.skip('proven of the snapshots of QEMU');
  const boot = await vm.sh(BOOT);
  await sandbox().must(['vm', 'set', 'web', '--pause-after', 'never', '--suspend-after', '3s']);
  await asleep('suspended');
  await nextDaemon();
  assert.equal(await stateOf(vm), 'suspended');
  const port = Number(sandbox().env['BANGER_HTTP_PORT']);
  assert.equal(await ask('127.0.0.1', port, `8080.web.localhost:${port}`), boot);
});

test('a paused VM can be stopped, and deleted (10.6, 3.4)', async () => {
  const vm = guest(sandbox(), 'web');
  await sandbox().must(['vm', 'pause', 'web']);
  await sandbox().must(['vm', 'stop', 'web']);
  assert.equal(await stateOf(vm), 'stopped');
  await sandbox().must(['vm', 'start', 'web']);
  await sandbox().must(['vm', 'pause', 'web']);
  await sandbox().must(['vm', 'delete', '-f', 'web']);
});
