// Creations that neither boot nor restore: a clone that is finished waits for them.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { createVm, daemonStatus, eventually, useSandbox } from '../support/machine/e2e.ts';
import { hasOurTime } from '../support/guest/guest-clock.ts';

// Before the sandbox is closed: the machine that clones are made of outlives its daemon.
after(() => sandbox().banger(['template', 'delete', '--all']));
const sandbox = useSandbox({ env: { BANGER_TEMPLATES_ENABLED: 'true', BANGER_TEMPLATES_POOL: '2' } });
const skip = process.env['BANGER_HYPERVISOR'] === 'firecracker-jailed' ? 'a jailed VMM has no snapshots' : false;
/** On a busy host, what yields to everyone takes long. */
const FILL_MS = 300_000;

const ready = async (): Promise<number> => (await daemonStatus(sandbox())).spares.ready;

/** @returns the stages that a creation told */
async function stagesOf(name: string): Promise<string> {
  const { stderr, status } = await sandbox().banger(['vm', 'create', '--name', name]);
  assert.equal(status, 0, stderr);
  return stderr;
}

test('a VM from the pool is a machine of its own: name, ids, keys, clock, ssh and ports (10.2, 10.3)', { skip }, async () => {
  await sandbox().must(['image', 'warm', 'default'], { timeoutMs: FILL_MS });
  await eventually('the pool', ready, (count) => count === 2, FILL_MS);
  assert.equal((await sandbox().must(['vm', 'list', '-q'])).trim(), '');
  const vms = [await createVm(sandbox(), 'one'), await createVm(sandbox(), 'two')];
  const facts = await Promise.all(
    vms.map((vm) =>
      vm.sh(
        'hostname; cat /etc/machine-id /proc/sys/kernel/random/boot_id /etc/ssh/ssh_host_ed25519_key.pub; head -c 16 /dev/urandom | od -An -tx1',
      ),
    ),
  );
  const [one = [], two = []] = facts.map((text) => text.trim().split('\n'));
  for (const [at, line] of one.entries()) assert.notEqual(line, two[at], `line ${at} of ${facts.join('\n')}`);
  for (const [at, vm] of vms.entries()) {
    assert.deepEqual(facts[at]?.split('\n').slice(0, 2), [vm.name, (await vm.show()).id]);
    await hasOurTime(sandbox(), vm);
    assert.equal(await sandbox().must(['vm', 'ssh', vm.name, '--', 'hostname']), `${vm.name}\n`);
    await eventually(
      'its ports',
      () => sandbox().must(['vm', 'ports', vm.name]),
      (text) => /[( ]22 /.test(text),
      60_000,
    );
  }
  await sandbox().must(['vm', 'delete', '--force', 'one', 'two']);
});

test('ten creations in a row take what is ready, and do without it when there is nothing (10.2)', { skip }, async () => {
  await eventually('the pool', ready, (count) => count === 2, FILL_MS);
  const ways: string[] = [];
  for (let at = 0; at < 10; at++) {
    const name = `row-${at}`;
    ways.push(await stagesOf(name));
    assert.equal(await sandbox().must(['vm', 'exec', name, '--', 'hostname']), `${name}\n`);
    await sandbox().must(['vm', 'delete', '--force', name]);
  }
  for (const way of ways.slice(0, 2)) assert.match(way, /spare VM/);
  // A clone on a busy host may not answer in time; then a VM boots.
  for (const way of ways) assert.match(way, /spare VM|memory of a template|boot/);
});
