import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { DNSMASQ_ALONE } from '../../test/support/outside/dnsmasq.ts';
import { createDnsServer } from '../dns/server.ts';
import { endProcess } from '../host/processes.ts';
import { CommandFailure, run, spawnDetached } from '../host/spawn.ts';
import { BangerError } from '../model/errors.ts';
import { setupMachine } from './machine.ts';
import { dnsRemoveStep, dnsSetupStep } from './resolver-steps.ts';
import { RESOLVERS, findResolver, installedResolvers, refuseConflicts } from './resolvers.ts';
import { runSetup } from './steps.ts';

const SERVER = { address: '127.0.0.1', port: 42_069 };

/** A machine in a directory. @param files absolute path → text; a path that ends in a slash is a directory */
function machineWith(t: TestContext, files: Record<string, string>) {
  const root = mkdtempSync(join(tmpdir(), 'banger-resolver-'));
  t.after(() => rmSync(root, { recursive: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, `${path}x`)), { recursive: true, mode: 0o755 });
    if (!path.endsWith('/')) writeFileSync(join(root, path), text);
  }
  const commands: string[] = [];
  const machine = setupMachine(root, (argv) => {
    commands.push(argv.join(' '));
    return Promise.resolve({ stdout: '' });
  });
  return { root, machine, commands };
}

const STUB = { '/etc/resolv.conf': 'nameserver 127.0.0.53\noptions edns0\n', '/run/systemd/resolve/': '' };

test('the resolver that programs ask is found (6.3)', async (t) => {
  const found = async (files: Record<string, string>): Promise<string> => (await findResolver(machineWith(t, files).machine)).kind;
  assert.equal(await found(STUB), 'systemd-resolved');
  const uplink = { '/etc/resolv.conf': 'nameserver 192.0.2.1\n', '/run/systemd/resolve/': '' };
  assert.equal(await found({ ...uplink, '/etc/nsswitch.conf': 'hosts: files resolve [!UNAVAIL=return] dns\n' }), 'systemd-resolved');
  assert.equal(await found(uplink), 'none');
  const local = { '/etc/resolv.conf': 'nameserver 127.0.0.1\n' };
  assert.equal(await found({ ...local, '/etc/dnsmasq.d/': '' }), 'dnsmasq');
  const manager = {
    ...local,
    '/run/NetworkManager/': '',
    '/etc/NetworkManager/conf.d/dns.conf': '[main]\ndns=dnsmasq\n',
    '/etc/dnsmasq.d/': '',
  };
  assert.equal(await found(manager), 'networkmanager');
  assert.equal(await found(local), 'none');
  assert.equal(await found({}), 'none');
});

test('setup writes one file of its own and has it read; again it does nothing; remove is clean (6.3)', async (t) => {
  for (const kind of ['systemd-resolved', 'networkmanager', 'dnsmasq'] as const) {
    const { root, machine, commands } = machineWith(t, STUB);
    const before = process.umask(0o022);
    t.after(() => process.umask(before));
    const told: string[] = [];
    await runSetup([dnsSetupStep(machine, kind, SERVER)], true, (line) => told.push(line));
    assert.equal(existsSync(join(root, RESOLVERS[kind].file)), false, 'a dry run writes nothing');
    for (let twice = 0; twice < 2; twice++) await runSetup([dnsSetupStep(machine, kind, SERVER)], false, (line) => told.push(line));
    assert.deepEqual(commands, [RESOLVERS[kind].reload.join(' ')]);
    assert.match(readFileSync(join(root, RESOLVERS[kind].file), 'utf8'), /127\.0\.0\.1[:#]42069/);
    assert.deepEqual(await installedResolvers(machine, SERVER), [{ kind, isCurrent: true }]);
    assert.deepEqual(await installedResolvers(machine, { ...SERVER, port: 5 }), [{ kind, isCurrent: false }]);
    await runSetup([dnsRemoveStep(machine, kind)], false, (line) => told.push(line));
    assert.equal(existsSync(join(root, RESOLVERS[kind].file)), false);
    assert.equal(commands.length, 2);
    assert.deepEqual(await installedResolvers(machine, SERVER), []);
  }
});

test("foreign files stay, and servers that would mix with banger's are reported first (6.3)", async (t) => {
  const isRefused = (error: unknown): boolean => error instanceof BangerError && error.code === 'WRONG_STATE' && error.remedy !== undefined;
  const foreign = machineWith(t, { [RESOLVERS.dnsmasq.file]: 'server=/vm/192.0.2.7\n' });
  await assert.rejects(refuseConflicts(foreign.machine, 'dnsmasq'), isRefused);
  assert.deepEqual(await installedResolvers(foreign.machine, SERVER), [], 'it is not ours to remove');
  for (const file of ['/etc/systemd/resolved.conf', '/etc/systemd/resolved.conf.d/site.conf']) {
    await assert.rejects(refuseConflicts(machineWith(t, { [file]: '[Resolve]\nDNS=192.0.2.1\n' }).machine, 'systemd-resolved'), isRefused);
  }
  await refuseConflicts(machineWith(t, { '/etc/systemd/resolved.conf': '[Resolve]\n#DNS=\nDNS=\n' }).machine, 'systemd-resolved');
});

async function freePort(): Promise<number> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  return port;
}

test('a dnsmasq with that file asks banger for .vm, by UDP and TCP, forwards and backwards (6.3)', async (t) => {
  const server = await createDnsServer({ address: '127.0.0.1', port: 0, log: () => undefined });
  t.after(() => server.close());
  server.setRecords(new Map([['web', '127.213.0.2']]));
  const scratch = mkdtempSync(join(tmpdir(), 'banger-dnsmasq-'));
  t.after(() => rmSync(scratch, { recursive: true }));
  const [file, port] = [join(scratch, 'banger.conf'), await freePort()];
  writeFileSync(file, `${RESOLVERS.dnsmasq.content({ address: '127.0.0.1', port: server.port })}stop-dns-rebind\n`);
  const argv = ['/usr/sbin/dnsmasq', `--conf-file=${file}`, `--port=${port}`, `--pid-file=${join(scratch, 'pid')}`, ...DNSMASQ_ALONE];
  const dnsmasq = await spawnDetached(argv, { outputPath: join(scratch, 'log') });
  t.after(() => endProcess(dnsmasq.identity, 1000));
  const dig = async (...args: string[]): Promise<string> => {
    const words = ['dig', '@127.0.0.1', '-p', String(port), '+time=2', '+tries=2', '+noall', '+comments', '+answer', ...args];
    for (let attempt = 0; ; attempt++) {
      try {
        return (await run(words)).stdout;
      } catch (error) {
        // It takes a moment until it listens.
        if (!(error instanceof CommandFailure) || attempt > 50) throw error;
        await sleep(100);
      }
    }
  };
  for (const transport of ['+notcp', '+tcp']) {
    assert.match(await dig(transport, 'web.vm'), /^web\.vm\.\s+\d+\s+IN\s+A\s+127\.213\.0\.2$/m);
    assert.match(await dig(transport, '3000.web.vm'), /^3000\.web\.vm\.\s+\d+\s+IN\s+A\s+127\.213\.0\.2$/m);
    assert.match(await dig(transport, '-x', '127.213.0.2'), /IN\s+PTR\s+web\.vm\./);
    assert.match(await dig(transport, 'nobody.vm'), /status: NXDOMAIN/);
    assert.match(await dig(transport, 'web.vm', 'AAAA'), /status: NOERROR[^]*ANSWER: 0/);
  }
  assert.match(await dig('example.com'), /status: (REFUSED|SERVFAIL)/, 'and for nothing else');
});
