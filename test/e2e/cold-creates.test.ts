// Creating must not fail or hang once in a while: the same thing twenty times in a row, each from nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createVm, useSandbox } from '../support/e2e.ts';

const sandbox = useSandbox();
const COUNT = 20;

test(`${COUNT} VMs in a row boot, run a command and are deleted (3.3, 4.2)`, async () => {
  const timesMs: number[] = [];
  for (let n = 0; n < COUNT; n++) {
    const begin = performance.now();
    const vm = await createVm(sandbox(), `cold-${n}`);
    timesMs.push(Math.round(performance.now() - begin));
    assert.equal(await vm.sh('hostname; awk \'$2 == "/root" { print $1 }\' /proc/mounts'), `cold-${n}\n/dev/vdb`);
    await sandbox().must(['vm', 'delete', vm.name]);
  }
  console.log(`create took ${timesMs.join(' ')} ms`);
  assert.equal(await sandbox().must(['vm', 'list', '-q']), '');
});

test('two VMs are created at the same time (3.4)', async () => {
  await Promise.all(['left', 'right'].map((name) => createVm(sandbox(), name)));
  assert.deepEqual((await sandbox().must(['vm', 'list', '-q'])).trim().split('\n').toSorted(), ['left', 'right']);
});

test('of two creates of one name at the same time one wins, and the other is told (3.2)', async () => {
  const outcomes = await Promise.all([1, 2].map(() => sandbox().banger(['vm', 'create', '--name', 'only', '--no-start'])));
  assert.deepEqual(new Set(outcomes.map(({ status }) => status)), new Set([0, 1]));
  assert.match(outcomes.map(({ stderr }) => stderr).join(''), /^banger: there is a VM named only already\n {2}try: /m);
});
