// The daemon may end at any moment, and be replaced by another: VMs go on, and the next daemon takes them over.
import assert from 'node:assert/strict';
import { cpSync, existsSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  createVm,
  daemonStatus,
  eventually,
  guest,
  hear,
  isAlive,
  killProcesses,
  startBanger,
  useSandbox,
  vmmPid,
} from '../support/machine/e2e.ts';
import { hasOurTime } from '../support/guest/guest-clock.ts';
import { processesOf } from '../support/machine/leak-check.ts';
import { startOnTerminal } from '../support/user/pty.ts';
import { PROGRAM } from '../support/machine/sandbox.ts';
import { bundleOfTests } from '../support/images/shared-bundle.ts';

const sandbox = useSandbox();
const vm = () => guest(sandbox(), 'web');

/** Ends the daemon as the kernel would when memory runs out. */
async function killDaemon(): Promise<number> {
  const { pid } = await daemonStatus(sandbox());
  await killProcesses([pid]);
  return pid;
}

test('a VM and its open port go on without a daemon, and the next command adopts it (1.2, 3.8, 9.5)', async () => {
  await createVm(sandbox(), 'web');
  const { pid, address } = await vm().show();
  await vm().sh('setsid systemd-socket-activate --listen=0.0.0.0:8000 --accept --inetd echo still here >/dev/null 2>&1 &');
  const ask = () => hear(sandbox(), address, 8000);
  await eventually('the forward', ask, (heard) => heard === 'still here');
  const killed = await killDaemon();
  assert.equal(await ask(), 'still here', 'without a daemon');
  assert.equal(await vm().sh('hostname'), 'web');
  assert.notEqual((await daemonStatus(sandbox())).pid, killed);
  assert.equal((await vm().show()).pid, pid);
  assert.equal(await ask(), 'still here', 'with the next daemon');
});

test('the next daemon follows the ports of an adopted VM, and its end (3.8, 6.1)', async () => {
  const { address } = await vm().show();
  await vm().sh('setsid systemd-socket-activate --listen=0.0.0.0:8001 --accept --inetd echo new >/dev/null 2>&1 &');
  await eventually(
    'the new forward',
    () => hear(sandbox(), address, 8001),
    (heard) => heard === 'new',
  );
  await killProcesses([await vmmPid(vm())]);
  await eventually('the end', vm().show, ({ state }) => state === 'stopped');
  assert.equal(await hear(sandbox(), address, 8001), '');
  await sandbox().must(['vm', 'start', 'web']);
});

test('a guest has the time of this machine after its start, a pause, a stopped VMM, and a `date -s` inside (10.8)', async () => {
  await hasOurTime(sandbox(), vm());
  const pid = await vmmPid(vm());
  process.kill(pid, 'SIGSTOP');
  await sleep(3000);
  process.kill(pid, 'SIGCONT');
  await hasOurTime(sandbox(), vm());
  // Its VMM takes orders from one at a time, and that is the daemon while there is one.
  await killDaemon();
  const socketPath = /path=([^,]*qmp\.sock)/.exec(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))?.[1] ?? '';
  await tellVmm(socketPath, 'stop');
  await sleep(3000);
  await tellVmm(socketPath, 'cont');
  await hasOurTime(sandbox(), vm());
  await vm().sh('date -s "-90 seconds"');
  await hasOurTime(sandbox(), vm());
});

/** Gives QEMU one order, and waits until it says that it is done. */
async function tellVmm(socketPath: string, command: string): Promise<void> {
  const socket = connect(socketPath);
  for (const execute of ['qmp_capabilities', command]) socket.write(`${JSON.stringify({ execute, id: execute })}\n`);
  let said = '';
  for await (const chunk of socket) {
    said += String(chunk);
    if (said.includes(`"id": "${command}"`)) break;
  }
}

test('the kernel tells of a jump of the clock without being asked (10.8)', async () => {
  // Here nobody may set the clock, so a guest plays the host. The daemon sets it back soon, which is a second jump.
  const shared = join(sandbox().directory, 'bundle');
  const bundle = existsSync(shared) ? shared : (bundleOfTests() ?? '');
  const program = readdirSync(bundle).find((name) => name.startsWith('banger-forwarder')) ?? '';
  await sandbox().must(['vm', 'cp', join(bundle, program), 'web:/run/forwarder']);
  const script = '(sleep 60 | /run/forwarder clock >/run/told) & sleep 0.5; date -s "+1 hour" >/dev/null; head -n 1 /run/told; kill $!';
  assert.equal(await vm().sh(script), 'jump');
  await sandbox().must(['daemon', 'restart']);
  await hasOurTime(sandbox(), vm());
});

test('a VM that died while no daemon ran is stopped, and says so (3.8)', async () => {
  const pid = await vmmPid(vm());
  await killDaemon();
  await killProcesses([pid]);
  const { state, lastError } = await vm().show();
  assert.deepEqual([state, lastError], ['stopped', 'the VM had ended when the daemon came back']);
  await sandbox().must(['vm', 'start', 'web']);
});

test('a create that the daemon did not survive is undone by the next one (9.5)', async () => {
  const create = startBanger(sandbox(), ['vm', 'create', '--name', 'half', '--progress', 'plain']);
  await eventually('the boot', create.stderr, (text) => text.includes('✓ boot'));
  const { pid } = await vm().show();
  await killDaemon();
  assert.equal((await create.ended).status, 1, create.stderr());
  assert.equal(await sandbox().must(['vm', 'list', '-q']), 'web\n');
  assert.equal(readdirSync(join(sandbox().directory, 'state/vms')).length, 1);
  assert.equal((await vm().show()).pid, pid);
  assert.equal(await vm().sh('hostname'), 'web');
});

test('a stop that the daemon did not survive is finished by the next one (9.5)', async () => {
  const stop = startBanger(sandbox(), ['vm', 'stop', 'web', '--progress', 'plain']);
  await eventually('the stop', stop.stderr, (text) => text.includes('release'));
  await killDaemon();
  await stop.ended;
  assert.equal((await vm().show()).state, 'stopped');
  await sandbox().must(['vm', 'start', 'web']);
});

test('a VM whose record is lost with the database continues, and a stopped one starts with its data (3.8, 9.5)', async () => {
  const lasting = async () => {
    const { name, id, spec, image, address, pid } = await vm().show();
    return { name, id, spec, image, address, pid };
  };
  const before = await lasting();
  await vm().sh('echo kept >/root/note; echo kept too >/etc/note; sync');
  await killDaemon();
  rmSync(join(sandbox().directory, 'state/banger.db'));
  assert.deepEqual(await lasting(), before, 'adopted');
  assert.match(await sandbox().must(['vm', 'ssh', 'web', '--', 'hostname']), /^web/);
  await sandbox().must(['vm', 'stop', 'web']);
  await sandbox().must(['daemon', 'stop']);
  rmSync(join(sandbox().directory, 'state/banger.db'));
  assert.deepEqual(await lasting(), { ...before, pid: null }, 'stopped');
  await sandbox().must(['vm', 'start', 'web']);
  assert.equal(await vm().sh('cat /root/note /etc/note'), 'kept\nkept too');
});

test('a CLI of another build replaces the daemon, and VMs go on (1.3)', async () => {
  const before = await daemonStatus(sandbox());
  const { pid } = await vm().show();
  const program = otherBuild(join(sandbox().directory, 'home/other'), before.build);
  assert.equal(await sandbox().must(['vm', 'exec', 'web', '--', 'hostname'], { program }), 'web\n');
  const status = JSON.parse(await sandbox().must(['daemon', 'status', '-o', 'json'], { program })) as typeof before;
  assert.deepEqual([status.build, status.vms.running], [OTHER_BUILD, 1]);
  assert.notEqual(status.pid, before.pid);
  assert.equal(await isAlive(before.pid), false);
  assert.equal((await vm().show()).pid, pid);
  assert.equal((await daemonStatus(sandbox())).build, before.build, 'and back');
});

test('an open session keeps its daemon over an upgrade, and over a restart without --yes (1.3)', async () => {
  const { pid, build } = await daemonStatus(sandbox());
  const program = otherBuild(join(sandbox().directory, 'home/later'), build);
  const session = startBanger(sandbox(), ['vm', 'exec', 'web', '--', 'sh', '-c', 'echo begun; exec sleep 1000']);
  await eventually('the session', session.stdout, (text) => text === 'begun\n');
  const upgrade = await sandbox().banger(['vm', 'list', '-q'], { program });
  assert.deepEqual([upgrade.status, upgrade.stdout], [0, 'web\n']);
  assert.match(upgrade.stderr, /it is replaced when this is over: vm exec: sh -c echo begun; exec sleep 1000 \(web\)/);
  const refused = await sandbox().banger(['daemon', 'restart']);
  assert.deepEqual([refused.status, /ends open sessions: vm exec: .*banger daemon restart --yes/s.test(refused.stderr)], [1, true]);
  assert.equal((await daemonStatus(sandbox())).pid, pid);
  session.child.kill('SIGKILL');
  await eventually(
    'the end of the session',
    () => sandbox().banger(['daemon', 'restart']),
    ({ status }) => status === 0,
  );
  assert.notEqual((await daemonStatus(sandbox())).pid, pid);
});

test('two CLIs of different builds at once do not leave two daemons (1.3, 2.1)', async () => {
  const { build } = await daemonStatus(sandbox());
  const program = otherBuild(join(sandbox().directory, 'home/third'), build);
  const outcomes = await Promise.all([0, 1, 2, 3].map((n) => sandbox().banger(['vm', 'list', '-q'], n % 2 === 0 ? {} : { program })));
  assert.ok(
    outcomes.some(({ status }) => status === 0),
    JSON.stringify(outcomes),
  );
  const daemons = () => processesOf(sandbox().scope).filter(({ command }) => command.includes('bangerd'));
  await eventually('a single daemon', daemons, ({ length }) => length === 1);
  assert.equal(await sandbox().must(['vm', 'list', '-q']), 'web\n');
});

test('daemon stop leaves VMs running, and daemon restart takes them over (1.2, 1.5)', async () => {
  const pid = await vmmPid(vm());
  const { address } = await vm().show();
  await sandbox().must(['daemon', 'stop']);
  assert.equal((await sandbox().banger(['daemon', 'status'])).status, 1);
  assert.equal(await isAlive(pid), true);
  await sandbox().must(['daemon', 'restart']);
  assert.deepEqual([(await vm().show()).pid, (await vm().show()).address], [pid, address]);
  assert.equal(await vm().sh('hostname'), 'web');
});

test('a VM continues while the bundle is away, under any daemon, and has its ports again afterwards (10.7)', async () => {
  const { pid, address } = await vm().show();
  await vm().sh(
    'echo in memory >/run/note; setsid systemd-socket-activate --listen=0.0.0.0:8002 --accept --inetd echo here >/dev/null 2>&1 &',
  );
  const away = { env: { BANGER_BUNDLE: join(sandbox().directory, 'nowhere') } };
  for (let daemon = 0; daemon < 2; daemon++) {
    await sandbox().must(['daemon', 'restart'], away);
    const { state, pid: present, lastError } = await vm().show();
    assert.deepEqual([state, present], ['running', pid]);
    assert.match(lastError ?? '', /its network could not be adopted: .*nowhere/);
    assert.equal(await vm().sh('cat /run/note'), 'in memory');
  }
  await sandbox().must(['daemon', 'restart']);
  await sandbox().must(['vm', 'start', 'web']);
  const { pid: kept, lastError } = await vm().show();
  assert.deepEqual([kept, lastError, await vm().sh('cat /run/note')], [pid, null, 'in memory']);
  await eventually(
    'the forward',
    () => hear(sandbox(), address, 8002),
    (heard) => heard === 'here',
  );
});

test('the next daemon leaves a frozen VMM alone, and the next command adopts it once it continues (10.7)', async () => {
  const pid = await vmmPid(vm());
  process.kill(pid, 'SIGSTOP');
  await sandbox().must(['daemon', 'restart']);
  assert.match((await vm().show()).lastError ?? '', /^not adopted: /);
  const stop = await sandbox().banger(['vm', 'stop', 'web']);
  assert.match(stop.stderr, /cannot ask its guest to shut down[^]*banger vm kill web/);
  process.kill(pid, 'SIGCONT');
  assert.equal(await vm().sh('cat /run/note'), 'in memory');
  assert.deepEqual([(await vm().show()).pid, (await vm().show()).lastError], [pid, null]);
});

test('a delete that is the first command to a fresh daemon leaves nothing (3.5, 9.5)', async () => {
  await sandbox().must(['vm', 'create', '--name', 'idle', '--no-start']);
  await sandbox().must(['daemon', 'stop']);
  await sandbox().must(['vm', 'delete', '--yes', 'idle']);
  assert.equal(await sandbox().must(['vm', 'list', '-q']), 'web\n');
  assert.equal(readdirSync(join(sandbox().directory, 'state/vms')).length, 1);
});

test('a daemon that was started from a terminal continues when the terminal closes (1.2)', async () => {
  const { pid } = await vm().show();
  await sandbox().must(['daemon', 'stop']);
  const terminal = startOnTerminal(sandbox(), ['vm', 'exec', '-it', 'web', 'sh'], { columns: 80, rows: 24 });
  await terminal.waitFor('#');
  const daemon = await daemonStatus(sandbox());
  // proc_pid_stat(5): after the name come state, parent, process group, session, terminal.
  const [, , , session, terminalNumber] = readFileSync(`/proc/${daemon.pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  assert.deepEqual([session, terminalNumber], [String(daemon.pid), '0']);
  terminal.hangUp();
  await terminal.ended;
  assert.equal((await daemonStatus(sandbox())).pid, daemon.pid);
  assert.equal((await vm().show()).pid, pid);
});

const OTHER_BUILD = '0123456789ab';

/** An installation elsewhere, the same but for its build id. @returns its `banger` */
function otherBuild(directory: string, build: string): string {
  const checkout = dirname(dirname(PROGRAM));
  cpSync(join(checkout, 'bin'), join(directory, 'bin'), { recursive: true });
  cpSync(join(checkout, 'dist'), join(directory, 'dist'), { recursive: true });
  symlinkSync(join(checkout, 'node_modules'), join(directory, 'node_modules'));
  const programs = readdirSync(join(directory, 'dist')).filter((name) => name === 'banger' || /\.(app|cjs)$/.test(name));
  const changed = programs.filter((name) => {
    const path = join(directory, 'dist', name);
    const text = readFileSync(path, 'latin1');
    writeFileSync(path, text.replaceAll(build, OTHER_BUILD), 'latin1');
    return text.includes(build);
  });
  for (const name of ['banger', 'bangerd.app']) assert.ok(changed.includes(name), `${name} carries the build id`);
  return join(directory, 'bin/banger');
}
