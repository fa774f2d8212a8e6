import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OperationEvent } from '../api/schemas.ts';
import { runInProcess } from '../../test/support/user/run-cli.ts';
import { answer, BOOT_STAGES, endEvent, startStubDaemon, stream, stubOperation, stubVm } from '../../test/support/daemon/stub-daemon.ts';

const web = stubVm('web', 'aa');

test('create sends only what was given, shows finished stages as lines and prints the name (3.2, 3.3)', async () => {
  const stub = await startStubDaemon({
    routes: {
      'GET /v1/daemon/build': answer({}),
      'POST /v1/vms': answer(stubOperation('op1'), 202),
      'GET /v1/operations/op1/events': stream([...BOOT_STAGES, endEvent({ vm: web })]),
    },
  });
  try {
    const plain = await runInProcess(stub.env, ['vm', 'create']);
    assert.deepEqual([plain.exitCode, plain.stdout], [0, 'web\n']);
    assert.match(
      plain.stderr,
      /^✓ boot\\x1b\[31m {2}1\.4s\nrunning as web\.vm \(127\.213\.0\.2\) after .*; use it: banger vm ssh web\nits services may still be starting: banger vm wait web\n$/,
    );
    const argv = ['--name', 'db', '--vcpu', '4', '--memory', '2G', '--disk-size', '20G', '--no-nat', '--no-start', '-o', 'json'];
    const given = await runInProcess(stub.env, ['vm', 'create', ...argv, '--progress', 'none']);
    assert.equal((JSON.parse(given.stdout) as { name: string }).name, 'web');
    assert.equal(given.stderr, '');
    const posts = stub.seen.filter((entry) => entry.method === 'POST');
    assert.deepEqual(posts[0]?.body, {});
    assert.deepEqual(posts[1]?.body, {
      name: 'db',
      vcpuCount: 4,
      memoryMib: 2048,
      workDiskBytes: 20 * 1024 ** 3,
      nat: false,
      start: false,
    });
    assert.equal(posts[0]?.headers['banger-attach'], '1');
  } finally {
    await stub.close();
  }
});

test('create praises no ssh where the image has no server of it (3.3)', async () => {
  const stub = await startStubDaemon({
    routes: {
      'GET /v1/daemon/build': answer({}),
      'POST /v1/vms': answer(stubOperation('op1'), 202),
      'GET /v1/operations/op1/events': stream([endEvent({ vm: { ...web, hasSshServer: false } })]),
    },
  });
  try {
    const { stderr } = await runInProcess(stub.env, ['vm', 'create']);
    assert.match(stderr, /; use it: banger vm exec web -- COMMAND \(its image has no SSH server\)$/m);
    assert.doesNotMatch(stderr, /vm ssh/);
  } finally {
    await stub.close();
  }
});

test("create shows the URL of the image's service, and no port that does not speak HTTP (3.3, 6.3)", async () => {
  const port = { protocol: 'tcp', address: '0.0.0.0', pid: 1, process: 'x', command: 'x', hostAddress: '127.213.0.2', problem: null };
  const none = { scheme: null, url: null, nameUrl: null, localhostUrl: null, forwards: [] };
  const site = { scheme: 'http', url: 'http://127.213.0.2:8080/', localhostUrl: 'http://80.web.localhost:42080/' };
  const stub = await startStubDaemon({
    routes: {
      'GET /v1/daemon/build': answer({}),
      'POST /v1/vms': answer(stubOperation('op1'), 202),
      'GET /v1/operations/op1/events': stream([endEvent({ vm: web })]),
      'GET /v1/vms/web/ports': answer([
        { ...port, ...none, port: 22, hostPort: 10_022 },
        { ...port, ...none, ...site, port: 80, hostPort: 8080 },
        { ...port, ...none, ...site, address: '::', port: 80, hostPort: 8080 },
      ]),
    },
  });
  try {
    assert.match((await runInProcess(stub.env, ['vm', 'create'])).stderr, /\nin a browser: http:\/\/80\.web\.localhost:42080\/\n$/);
    assert.equal((await runInProcess(stub.env, ['vm', 'create', '-o', 'json', '--progress', 'none'])).stderr, '');
    const listed = await runInProcess(stub.env, ['vm', 'ports', 'web']);
    assert.equal(listed.stderr, 'by name: http://80.web.localhost:42080/\n');
  } finally {
    await stub.close();
  }
});

test('a machine that is not started is waited for by nobody: --wait beside --no-start is refused (3.3)', async () => {
  const stub = await startStubDaemon({ routes: {} });
  try {
    const { exitCode, stderr } = await runInProcess(stub.env, ['vm', 'create', '--wait', 'ssh', '--no-start']);
    assert.deepEqual([exitCode, stub.requests], [2, []]);
    assert.match(stderr, /^banger: option '--no-start' cannot be used with option '--wait <level>'/);
  } finally {
    await stub.close();
  }
});

test('a bad value is refused before anything is contacted, naming flag, value and range (3.2)', async () => {
  const stub = await startStubDaemon({ routes: {} });
  const bad = [
    ['--vcpu', '0'],
    ['--vcpu', '-1'],
    ['--vcpu', '1.5'],
    ['--vcpu', '33'],
    ['--vcpu', 'two'],
    ['--memory', '0'],
    ['--memory', '64M'],
    ['--memory', '1.0001G'],
    ['--memory', '9999999T'],
    ['--disk-size', '10'],
    ['--disk-size', '-5G'],
    ['--disk-size', '17T'],
    ['--system-overlay-size', 'big'],
    ['--name', 'Web'],
    ['--name', 'a.b'],
    ['--name', '-x'],
    ['--name', ''],
  ];
  try {
    for (const [flag = '', value = ''] of bad) {
      const { exitCode, stderr } = await runInProcess(stub.env, ['vm', 'create', `${flag}=${value}`]);
      assert.equal(exitCode, 2, `${flag}=${value}`);
      if (flag !== '--name')
        assert.match(stderr, new RegExp(`^banger: ${flag}: "${value}" is not allowed\n {2}try: give .* from .* to `), `${flag}=${value}`);
    }
    assert.deepEqual(stub.requests, []);
  } finally {
    await stub.close();
  }
});

test('a failed create tells the stage, the last serial lines, failed undos, remedy and log (3.3)', async () => {
  const error = {
    code: 'BOOT_FAILED' as const,
    message: 'no boot',
    remedy: 'look',
    details: { serialTail: ['panic\u0007'] },
    logPath: '/l',
    undo: ['stuck'],
  };
  const failed: OperationEvent = { type: 'stage', seq: 2, atMs: 9, stage: 'boot', title: 'boot', status: 'failed', durationMs: 30 };
  const undone: OperationEvent = { type: 'stage', seq: 3, atMs: 9, stage: 'disk', title: 'work disk', status: 'undone' };
  const stub = await startStubDaemon({
    routes: {
      'GET /v1/daemon/build': answer({}),
      'POST /v1/vms': answer(stubOperation('op1'), 202),
      'GET /v1/operations/op1/events': stream([failed, undone, endEvent({ state: 'failed', error })]),
    },
  });
  try {
    const { exitCode, stderr, stdout } = await runInProcess(stub.env, ['vm', 'create']);
    assert.deepEqual([exitCode, stdout], [1, '']);
    assert.equal(stderr, '✗ boot  30ms\n↩ work disk undone\nbanger: no boot\n  | panic\\x07\n  rollback: stuck\n  try: look\n  log: /l\n');
  } finally {
    await stub.close();
  }
});
