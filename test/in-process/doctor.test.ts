// What doctor finds of VMs, images and what belongs to none; what it mends; and that a command is refused by the same checks.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { DoctorReport, VmView } from '../../src/api/schemas.ts';
import { vmPaths } from '../../src/model/paths.ts';
import { assertSound } from '../support/daemon/soundness.ts';
import { runInProcess } from '../support/user/run-cli.ts';
import { created, daemonFor, done, ended, type TestDaemon } from '../support/daemon/test-daemon.ts';

const pathsOf = ({ world }: TestDaemon, vm: VmView) => vmPaths(world.directories, vm);
/** What is told of VMs, images and directories; the host of the test has no bundle. */
const problems = ({ findings }: DoctorReport) =>
  findings
    .filter(({ name, level }) => level !== 'pass' && name !== 'bundle')
    .map(({ name, level, vm, fixable }) => ({ name, level, vm, fixable }));
const doctor = ({ world }: TestDaemon, ...flags: string[]) => runInProcess(world.env, ['doctor', ...flags]);

test('doctor finds nothing wrong with intact VMs, and says so (9.3)', async (t) => {
  const daemon = await daemonFor(t);
  await created(daemon.api, 'runs');
  await created(daemon.api, 'rests', { start: false });
  const report = await daemon.api.doctor();
  assert.deepEqual(problems(report), []);
  assert.match(report.findings.find(({ name }) => name === 'vms')?.reason ?? '', /^2 VMs and 1 image checked/);
  assert.deepEqual((await daemon.api.doctorFix()).fixed, []);
});

test('lost disks are failures with a remedy, and a start is refused before anything is touched (9.2, 9.3)', async (t) => {
  const daemon = await daemonFor(t);
  const web = await created(daemon.api, 'web', { start: false });
  const { workDisk, rootOverlay, runtimeDirectory } = pathsOf(daemon, web);
  for (const [name, path] of Object.entries({ 'work-disk': workDisk, 'root-overlay': rootOverlay })) {
    renameSync(path, `${path}.away`);
    const report = await daemon.api.doctor();
    assert.deepEqual(problems(report), [{ name, level: 'fail', vm: 'web', fixable: undefined }]);
    const { exitCode, stdout } = await doctor(daemon);
    assert.equal(exitCode, 3);
    assert.match(stdout, new RegExp(`✗ fail +${name} .*web is missing \\(${path}\\)\\n +try: put it back from a backup, or delete the VM`));
    const operation = await ended(daemon.api, await daemon.api.beginVm('web', 'start'));
    assert.equal(operation.error?.code, 'STORAGE_FAILED');
    assert.match(operation.error?.message ?? '', /web is missing/);
    assert.deepEqual([operation.events.map(({ type }) => type), existsSync(runtimeDirectory)], [['end'], false]);
    assert.equal((await daemon.api.showVm('web')).state, 'stopped');
    // What a user made is never replaced.
    assert.deepEqual((await daemon.api.doctorFix()).fixed, []);
    renameSync(`${path}.away`, path);
  }
  await done(daemon.api, daemon.api.beginVm('web', 'start'));
});

test('a restart of a VM that could not start again leaves it running (9.2)', async (t) => {
  const daemon = await daemonFor(t);
  const { pid } = await created(daemon.api, 'web');
  renameSync(daemon.world.image.kernelPath, `${daemon.world.image.kernelPath}.away`);
  const operation = await ended(daemon.api, await daemon.api.beginVm('web', 'restart'));
  assert.match(operation.error?.message ?? '', /the image default, from which web boots, lacks .*vmlinux/);
  assert.equal((await daemon.api.showVm('web')).pid, pid);
  const create = daemon.api.createVm({ name: 'other' }, false);
  await assert.rejects(create, { code: 'NOT_FOUND', message: /the image default lacks .*vmlinux/, remedy: 'banger bundle build' });
  assert.equal((await daemon.api.listVms()).length, 1);
  assert.deepEqual(
    problems(await daemon.api.doctor()).map(({ name }) => name),
    ['image', 'image'],
  );
  renameSync(`${daemon.world.image.kernelPath}.away`, daemon.world.image.kernelPath);
});

test('doctor --fix restores lost keys and names, says what it did, and the VM can be used again (7.1, 9.3)', async (t) => {
  const daemon = await daemonFor(t);
  const [runs, rests] = [await created(daemon.api, 'runs'), await created(daemon.api, 'rests', { start: false })];
  const before = await daemon.api.sshAccess('rests');
  rmSync(pathsOf(daemon, runs).knownHosts);
  daemon.world.names.set('runs', '127.0.0.9');
  rmSync(pathsOf(daemon, rests).sshHostKey);
  truncateSync(pathsOf(daemon, rests).workDisk, 2 * 1024 ** 2);
  assert.deepEqual(problems(await daemon.api.doctor()), [
    { name: 'ssh', level: 'warn', vm: 'runs', fixable: true },
    { name: 'dns-name', level: 'warn', vm: 'runs', fixable: true },
    { name: 'work-disk', level: 'warn', vm: 'rests', fixable: true },
    { name: 'ssh', level: 'fail', vm: 'rests', fixable: true },
  ]);
  const { exitCode, stderr } = await doctor(daemon, '--fix');
  assert.match(stderr, /^fixed runs: ssh: wrote .*known_hosts$/m);
  assert.match(stderr, /^fixed runs: dns-name: published runs\.vm as 127\.213/m);
  assert.match(stderr, /^fixed rests: ssh: made a new key, which the guest gets at its next start$/m);
  assert.match(stderr, /^fixed rests: work-disk: made .* as long as recorded$/m);
  // The bundle that this host lacks fails still.
  assert.equal(exitCode, 3);
  assert.deepEqual(problems(await daemon.api.doctor()), []);
  assert.equal(daemon.world.names.get('runs'), runs.address);
  const after = await daemon.api.sshAccess('rests');
  assert.notEqual(after.hostPublicKey, before.hostPublicKey);
  assert.match(readFileSync(after.knownHostsPath, 'utf8'), new RegExp(after.hostPublicKey.replaceAll('+', '\\+')));
  assert.equal(statSync(pathsOf(daemon, rests).workDisk).size, rests.spec.workDiskBytes);
  await done(daemon.api, daemon.api.beginVm('rests', 'start'));
  await assertSound(daemon, 'mended');
});

test('the key of a running VM is not replaced (9.3)', async (t) => {
  const daemon = await daemonFor(t);
  const web = await created(daemon.api, 'web');
  rmSync(pathsOf(daemon, web).sshHostKey);
  assert.deepEqual(problems(await daemon.api.doctor()), [{ name: 'ssh', level: 'warn', vm: 'web', fixable: undefined }]);
  assert.deepEqual((await daemon.api.doctorFix()).fixed, []);
});

test('doctor reports a silent guest, a failed start and disks without a VM (9.3)', async (t) => {
  const daemon = await daemonFor(t);
  const { world, api } = daemon;
  await created(api, 'silent');
  await created(api, 'failed', { start: false });
  world.machines.inject('silent', 'never-answer-agent');
  world.machines.inject('failed', 'fail-at-start');
  await ended(api, await api.beginVm('failed', 'start'));
  const directory = join(world.directories.stateDirectory, 'vms', 'd'.repeat(32));
  mkdirSync(directory);
  writeFileSync(join(directory, 'work.raw'), 'somebody wrote this');
  const report = await api.doctor();
  assert.deepEqual(problems(report), [
    { name: 'agent', level: 'warn', vm: 'silent', fixable: undefined },
    { name: 'vm', level: 'warn', vm: 'failed', fixable: undefined },
    { name: 'directories', level: 'warn', vm: undefined, fixable: undefined },
  ]);
  for (const finding of report.findings) if (finding.level !== 'pass') assert.ok(finding.remedy !== undefined, finding.name);
  rmSync(directory, { recursive: true });
});

test('doctor names the commands that lack something on this host, and these commands are refused (9.2, 5.4)', async (t) => {
  const daemon = await daemonFor(t, { env: { BANGER_RESERVED_SPACE: String(2 ** 49) } });
  const { findings } = await daemon.api.doctor();
  const { reason, remedy } = findings.find(({ name }) => name === 'free-space') ?? {};
  assert.match(
    reason ?? '',
    /are free below .*; needed by banger vm create, banger vm set --disk-size, banger image build, banger image build --distribution, banger image import$/,
  );
  assert.match(remedy ?? '', /^delete VMs/);
  await assert.rejects(daemon.api.createVm({ name: 'web' }, false), { code: 'NO_SPACE' });
  daemon.services.world.processes.findProgram = () => Promise.resolve(undefined);
  const ssh = (await daemon.api.doctor()).findings.find(({ name }) => name === 'ssh-client');
  assert.deepEqual([ssh?.level, ssh?.remedy], ['fail', 'sudo apt-get install openssh-client']);
});

test("for services that do not listen, the command to look at them fits the image's init (9.3, 8.7)", async (t) => {
  const daemon = await daemonFor(t);
  await created(daemon.api, 'web');
  const looks = {
    systemd: 'banger vm exec web -- systemctl --failed',
    runit: "banger vm exec web -- sh -c 'sv status /etc/service/*'",
    none: 'banger vm logs web',
  };
  for (const [initSystem, remedy] of Object.entries(looks)) {
    daemon.services.images.records.save({ ...daemon.world.image, initSystem: initSystem as keyof typeof looks, servicePorts: [4096] });
    const found = (await daemon.api.doctor()).findings.find(({ name }) => name === 'services');
    assert.deepEqual([found?.level, found?.vm, found?.remedy], ['warn', 'web', remedy]);
  }
});
