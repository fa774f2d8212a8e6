// Creating must not fail or hang once in a while: the same thing twenty times in a row, each from nothing.
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createVm, guest, useSandbox } from '../support/machine/e2e.ts';

/** Stands before QEMU in the PATH: two processors without a timer hang as a boot does whose kernel measured nonsense, the first time. */
const HANGING_QEMU = `#!/bin/bash
words=("$@")
if [[ "$*" == *"guest=hung "* ]] && /bin/rmdir "\${0%/*}/once" 2>/dev/null; then
  for i in "\${!words[@]}"; do
    [[ \${words[i]} == *banger.root=* ]] && words[i]+=" nolapic_timer"
  done
fi
exec ${programPath('qemu-system-x86_64')} "\${words[@]}"
`;
function programPath(name: string): string {
  const directories = (process.env['PATH'] ?? '').split(':');
  return directories.map((directory) => join(directory, name)).find((path) => existsSync(path)) ?? name;
}

const programs = mkdtempSync(join(tmpdir(), 'bgr-qemu-'));
after(() => rmSync(programs, { recursive: true }));

const sandbox = useSandbox(() => {
  writeFileSync(join(programs, 'qemu-system-x86_64'), HANGING_QEMU);
  for (const path of [programs, join(programs, 'qemu-system-x86_64')]) chmodSync(path, 0o777);
  return { env: { PATH: `${programs}:${process.env['PATH'] ?? ''}` } };
});
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

test('a boot that hangs is started again by itself, where people see it, and the VM comes up (3.3, 4.2)', async (t) => {
  mkdirSync(join(programs, 'once'));
  const { status, stderr } = await sandbox().banger(['vm', 'create', '--name', 'hung', '--vcpu', '2']);
  if (JSON.parse(await sandbox().must(['vm', 'show', 'hung', '-o', 'json'])).accelerator === 'kvm')
    return t.skip('boots hang under emulation only');
  assert.equal(status, 0, stderr);
  assert.match(stderr, /the boot hung \(it (computed for \d+ seconds and said nothing|did nothing for 8 seconds)\); it is started again/);
  assert.equal(await guest(sandbox(), 'hung').sh('hostname'), 'hung');
  await sandbox().must(['vm', 'delete', 'hung']);
});

test('two VMs are created at the same time (3.4)', async () => {
  await Promise.all(['left', 'right'].map((name) => createVm(sandbox(), name)));
  assert.deepEqual((await sandbox().must(['vm', 'list', '-q'])).trim().split('\n').toSorted(), ['left', 'right']);
});

test('of two simultaneous creates with one name, one succeeds and the other is refused (3.2)', async () => {
  const outcomes = await Promise.all([1, 2].map(() => sandbox().banger(['vm', 'create', '--name', 'only', '--no-start'])));
  assert.deepEqual(new Set(outcomes.map(({ status }) => status)), new Set([0, 1]));
  assert.match(outcomes.map(({ stderr }) => stderr).join(''), /^banger: there is already a VM named only\n {2}try: /m);
});
