import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { CommandFailure } from '../host/spawn.ts';
import { installSteps, readBuiltHelper, readJailPrograms, resolveUsers } from './install.ts';
import { setupMachine } from './machine.ts';
import { runSetup } from './steps.ts';
import { uninstallSteps } from './uninstall.ts';
import { HELPER_CONFIG_PATH } from '../model/root-helper.ts';
import { HELPER_PATH, helperConfig, serviceUnit, SOCKET_UNIT, socketUnit, unitPath } from './units.ts';

const HELPER = Buffer.from('the program');

/** A host in a directory, with a systemd that remembers what it was told. */
function makeHost(t: TestContext) {
  const root = mkdtempSync(join(tmpdir(), 'banger-setup-'));
  t.after(() => rmSync(root, { recursive: true }));
  const before = process.umask(0o022);
  t.after(() => process.umask(before));
  for (const directory of ['etc', 'run/systemd/system', 'usr/local/lib']) mkdirSync(join(root, directory), { recursive: true });
  const commands: string[] = [];
  let isEnabled = false;
  const machine = setupMachine(root, async (argv) => {
    const line = argv.join(' ');
    const outcome = { argv, exitCode: 1, signal: null, timedOut: false, cancelled: false, stdout: '', stderr: '' };
    if (argv[1]?.startsWith('is-') === true && !isEnabled) throw new CommandFailure(outcome);
    if (argv[0] === 'id' && argv[2] !== 'alice') throw new CommandFailure(outcome);
    if (argv[1] === 'enable' || argv[1] === 'disable') isEnabled = argv[1] === 'enable';
    if (argv[0] === 'systemctl' && argv[1]?.startsWith('is-') !== true) commands.push(line);
    return { ...outcome, exitCode: 0, stdout: '1000\n' };
  });
  const told: string[] = [];
  const install = async (options: { helper?: Buffer; uids?: number[]; dryRun?: boolean; withSystemd?: boolean } = {}): Promise<void> => {
    const steps = installSteps(machine, {
      helper: options.helper ?? HELPER,
      uids: options.uids ?? [1000],
      withSystemd: options.withSystemd ?? true,
    });
    await runSetup(steps, options.dryRun === true, (line) => told.push(line));
  };
  const uninstall = (ask: (request: string) => Promise<string | undefined> = () => Promise.resolve(undefined)): Promise<void> =>
    runSetup(uninstallSteps(machine, true, ask), false, (line) => told.push(line));
  const files = (): string[] =>
    readdirSync(root, { recursive: true, withFileTypes: true })
      .flatMap((entry) => (entry.isFile() ? [join(entry.parentPath, entry.name).slice(root.length)] : []))
      .toSorted();
  return { root, machine, commands, told, install, uninstall, files };
}

test('setup puts a copy of the helper, its configuration and its units in place, and starts the socket (6.2)', async (t) => {
  const { root, files, commands, install } = makeHost(t);
  await install();
  assert.deepEqual(files(), [HELPER_CONFIG_PATH, unitPath('banger-helper.service'), unitPath(SOCKET_UNIT), HELPER_PATH].toSorted());
  const { mode } = statSync(join(root, HELPER_PATH));
  assert.equal(mode & 0o7777, 0o755, 'no setuid, and only its owner may write it');
  assert.match(readFileSync(join(root, HELPER_CONFIG_PATH), 'utf8'), /^allow 1000$/m);
  assert.deepEqual(commands, [
    'systemctl daemon-reload',
    `systemctl enable --now ${SOCKET_UNIT}`,
    'systemctl try-restart banger-helper.service',
  ]);
});

test('setup again changes nothing and says so; a new program and a new user are taken in (6.2)', async (t) => {
  const { root, commands, told, install } = makeHost(t);
  await install();
  told.length = commands.length = 0;
  await install();
  assert.deepEqual(commands, []);
  assert.ok(
    told.every((line) => line.startsWith('done already')),
    told.join('\n'),
  );
  await install({ helper: Buffer.from('a newer program'), uids: [1001] });
  assert.deepEqual(commands, ['systemctl try-restart banger-helper.service']);
  assert.match(readFileSync(join(root, HELPER_CONFIG_PATH), 'utf8'), /^allow 1000\nallow 1001$/m);
});

test('a dry run tells each step and touches nothing (6.2)', async (t) => {
  const { files, commands, told, install } = makeHost(t);
  await install({ dryRun: true });
  assert.deepEqual([files(), commands], [[], []]);
  assert.deepEqual(told.filter((line) => line.startsWith('would be done')).length, 4);
});

test('without systemd the program and its configuration are enough (6.2)', async (t) => {
  const { files, commands, install } = makeHost(t);
  await install({ withSystemd: false });
  assert.deepEqual([files(), commands], [[HELPER_CONFIG_PATH, HELPER_PATH], []]);
});

test('uninstall removes exactly what setup made (6.2)', async (t) => {
  const { root, files, machine, commands, install, uninstall } = makeHost(t);
  writeFileSync(join(root, 'usr/local/lib/other'), '');
  await install();
  mkdirSync(join(root, 'run/banger'));
  writeFileSync(join(root, 'run/banger/record'), 'network 0 - uplink=eth0 forwarding=0\n');
  const asked: string[] = [];
  await uninstall(async (request) => {
    asked.push(request);
    return undefined;
  });
  assert.deepEqual([asked, files()], [['network down'], ['/usr/local/lib/other']]);
  assert.deepEqual([await machine.exists('/etc/banger'), await machine.exists('/run/banger')], [false, false]);
  assert.deepEqual(commands.slice(3), [
    `systemctl disable --now ${SOCKET_UNIT}`,
    'systemctl stop banger-helper.service',
    'systemctl daemon-reload',
  ]);
  commands.length = 0;
  await uninstall();
  assert.deepEqual(commands, [], 'twice is fine');
});

test('uninstall is refused while VMs have something from the helper, or its network stays (6.2)', async (t) => {
  const { root, files, install, uninstall } = makeHost(t);
  await install();
  const before = files();
  mkdirSync(join(root, 'run/banger'));
  writeFileSync(join(root, 'run/banger/record'), 'network 0 - uplink=-\ntap 1000 00000002 index=2 nat\n');
  await assert.rejects(uninstall(), { code: 'BUSY', message: 'the helper holds 1 object of virtual machines' });
  writeFileSync(join(root, 'run/banger/record'), 'network 0 - uplink=-\n');
  await assert.rejects(
    uninstall(() => Promise.resolve('no')),
    { code: 'BUSY' },
  );
  assert.deepEqual(files(), [...before, '/run/banger/record'].toSorted());
});

test('a directory that others may write is no place for what root runs (9.4)', async (t) => {
  const { root, files, install } = makeHost(t);
  rmSync(join(root, 'usr/local/lib'), { recursive: true });
  process.umask(0);
  mkdirSync(join(root, 'usr/local/lib'), { mode: 0o777 });
  process.umask(0o022);
  await assert.rejects(install(), { code: 'NOT_PERMITTED', remedy: /go-w/ });
  assert.deepEqual(files(), []);
});

test('users are names or numbers of this host, never root (6.2)', async (t) => {
  const { machine } = makeHost(t);
  assert.deepEqual(await resolveUsers(machine, ['alice', '1001']), [1000, 1001]);
  for (const name of ['bob', '0', 'root; reboot', '-u', ''])
    await assert.rejects(resolveUsers(machine, [name]), { code: 'INVALID_INPUT' }, name);
  await assert.rejects(readBuiltHelper('/nowhere/dist/banger'), {
    code: 'PREREQUISITE_MISSING',
    remedy: 'make -C /nowhere/native/helper',
  });
});

test("the administrator's own lines stay in the configuration (6.2)", () => {
  const mine = '# mine\njailer /opt/jailer\nallow 1000\n';
  assert.equal(helperConfig(mine, [1000, 1001, 1001]), `${mine}allow 1001\n`);
});

test('the units give the helper no more than its work takes (9.4)', () => {
  assert.match(socketUnit(), /^ListenStream=\/run\/banger\/helper\.sock$/m);
  const unit = serviceUnit();
  for (const line of [
    'NoNewPrivileges=yes',
    'ProtectSystem=full',
    'DevicePolicy=closed',
    'RestrictAddressFamilies=AF_UNIX AF_NETLINK AF_INET',
  ])
    assert.ok(unit.split('\n').includes(line), line);
  const bounding = /^CapabilityBoundingSet=(.*)$/m.exec(unit)?.[1]?.split(' ') ?? [];
  assert.ok(bounding.includes('CAP_NET_ADMIN'));
  for (const never of ['CAP_SYS_MODULE', 'CAP_SYS_RAWIO', 'CAP_SYS_BOOT', 'CAP_BPF', 'CAP_SETFCAP'])
    assert.ok(!bounding.includes(never), never);
});

test('root is asked for by one helper: no setuid bit, no capability on a file, no rule for sudo anywhere (9.4)', () => {
  const sources = ['src', 'native', 'bin'];
  const root = join(import.meta.dirname, '../..');
  const suspicious = /\bsetcap\b|\bNOPASSWD\b|\/etc\/sudoers|\bcap_set_file\b|chmod\s+(?:u\+s|0?[4-7][0-7]{3}\b)|0o[46]\d{3}\b/;
  for (const folder of sources) {
    for (const entry of readdirSync(join(root, folder), { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      if (!entry.isFile() || /\/(build|fixtures)\//.test(path) || entry.name.endsWith('.test.ts')) continue;
      assert.doesNotMatch(readFileSync(path, 'utf8'), suspicious, path);
      assert.equal(statSync(path).mode & 0o6000, 0, path);
    }
  }
});

test('programs for jails come in pairs, and a Firecracker with shared libraries is refused before it is installed (2.5, 4.1)', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'banger-setup-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const [jailer, text] = [join(directory, 'jailer'), join(directory, 'text')];
  writeFileSync(jailer, '\x7fELF');
  writeFileSync(text, '#!/bin/sh');
  const read = (firecracker?: string) => readJailPrograms({ firecracker, jailer });
  await assert.rejects(read(), { code: 'USAGE' });
  await assert.rejects(read(text), { code: 'PREREQUISITE_MISSING', message: /is not a program/ });
  await assert.rejects(read(join(directory, 'nothing')), { code: 'PREREQUISITE_MISSING', message: /cannot be read/ });
  await assert.rejects(read(process.execPath), { code: 'PREREQUISITE_MISSING', message: /needs shared libraries/ });
  assert.equal((await read(jailer))?.jailer.length, 4);
});
