// A create that its user gives up leaves nothing, however it is given up.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Started, eventually, startBanger, useSandbox } from '../support/machine/e2e.ts';
import { PACE } from '../support/machine/pace.ts';
import { startOnTerminal } from '../support/user/pty.ts';
import { vmmsOf } from '../support/vmm/vmms.ts';

const sandbox = useSandbox();

/** Starts a create and returns while the guest boots. */
async function createUntilBoot(name: string): Promise<Started> {
  const create = startBanger(sandbox(), ['vm', 'create', '--name', name, '--progress', 'plain']);
  await eventually('the boot', create.stderr, (text) => text.includes('✓ boot'));
  return create;
}

const countVmms = (): number => vmmsOf(sandbox().scope).length;

/** Everything that a VM has on this host, by what banger lists and by what is there. */
async function remains(): Promise<string[]> {
  const files = readdirSync(join(sandbox().directory, 'state/vms'));
  return [...(await sandbox().must(['vm', 'list', '-q'])).split('\n').filter((name) => name !== ''), ...files];
}

test('SIGINT in vm create rolls back, and ends with 130 when all is gone (1.4, 3.3)', async () => {
  const create = await createUntilBoot('interrupted');
  assert.equal(countVmms(), 1);
  create.child.kill('SIGINT');
  assert.deepEqual(await create.ended, { status: 130, signal: null }, create.stderr());
  assert.deepEqual([await remains(), countVmms()], [[], 0]);
  assert.match(create.stderr(), /network undone\n(.*\n)*.*root overlay undone/);
});

test('Ctrl-C on a terminal does the same (1.4)', async () => {
  const terminal = startOnTerminal(sandbox(), ['vm', 'create', '--name', 'typed'], { columns: 100, rows: 30 });
  await terminal.waitFor('✓ boot');
  terminal.write('\u0003');
  const { exitCode, output } = await terminal.ended;
  assert.equal(exitCode, 130, output);
  assert.deepEqual([await remains(), countVmms()], [[], 0]);
});

test('if the CLI of a create is killed, the daemon rolls it back (1.4, 9.5)', async () => {
  const create = await createUntilBoot('orphaned');
  create.child.kill('SIGKILL');
  assert.deepEqual(await create.ended, { status: null, signal: 'SIGKILL' });
  assert.deepEqual(await eventually('the rollback', remains, (left) => left.length === 0), []);
  assert.equal(countVmms(), 0);
});

test('a detached create continues without its CLI, can be watched, and cancelled from elsewhere (1.4)', async () => {
  const id = (await sandbox().must(['vm', 'create', '--name', 'detached', '--detach'])).trim();
  const watch = startBanger(sandbox(), ['operation', 'watch', id]);
  await eventually('the boot', watch.stderr, (text) => text.includes('✓ boot'));
  await sandbox().must(['operation', 'cancel', id]);
  assert.equal((await watch.ended).status, 130, watch.stderr());
  assert.deepEqual([await remains(), countVmms()], [[], 0]);
});

test('a watcher that leaves does not cancel the operation (1.4)', async () => {
  const id = (await sandbox().must(['vm', 'create', '--name', 'watched', '--detach'])).trim();
  const watch = startBanger(sandbox(), ['operation', 'watch', id]);
  await eventually('the first stage', watch.stderr, (text) => text.includes('✓'));
  watch.child.kill('SIGKILL');
  await watch.ended;
  await sandbox().must(['vm', 'wait', 'watched', '--for', 'running', '--timeout', `${60 * PACE}s`]);
});
