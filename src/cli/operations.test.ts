import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OperationEvent } from '../api/schemas.ts';
import { runInProcess } from '../../test/support/user/run-cli.ts';
import { answer, endEvent, startStubDaemon, stream, stubOperation, stubVm } from '../../test/support/daemon/stub-daemon.ts';

const web = stubVm('web', 'aa');
const STAGES: OperationEvent[] = [
  { type: 'stage', seq: 0, atMs: 0, stage: 'boot', title: 'boot', status: 'started' },
  { type: 'progress', seq: 1, atMs: 1, stage: 'boot', text: 'kernel' },
  { type: 'stage', seq: 2, atMs: 1400, stage: 'boot', title: 'boot\u001b[31m', status: 'done', durationMs: 1400 },
];

test('create sends only what was given, shows finished stages as lines and prints the name (3.2, 3.3)', async () => {
  const stub = await startStubDaemon({
    routes: {
      'GET /v1/daemon/build': answer({}),
      'POST /v1/vms': answer(stubOperation('op1'), 202),
      'GET /v1/operations/op1/events': stream([...STAGES, endEvent({ vm: web })]),
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

test('create tells where what the image serves opens in a browser, and no port that speaks no HTTP (3.3, 6.3)', async () => {
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

test('--detach prints the operation and does not tie it to this client; another terminal watches from the start (1.4)', async () => {
  const stub = await startStubDaemon({
    routes: {
      'GET /v1/daemon/build': answer({}),
      'POST /v1/vms': answer(stubOperation('op1'), 202),
      'GET /v1/operations/op1/events': stream([...STAGES, endEvent({ vm: web })]),
    },
  });
  try {
    assert.equal((await runInProcess(stub.env, ['vm', 'create', '-d'])).stdout, 'op1\n');
    assert.equal(stub.seen.at(-1)?.headers['banger-attach'], undefined);
    const watched = await runInProcess(stub.env, ['operation', 'watch', 'op1']);
    assert.deepEqual([watched.exitCode, watched.stdout], [0, 'web\n']);
    assert.match(watched.stderr, /✓ boot/);
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

test('Ctrl-C cancels the operation, waits for the rollback and ends with 130 (1.4)', async () => {
  const watching = Promise.withResolvers<void>();
  const cancelled = Promise.withResolvers<void>();
  const stub = await startStubDaemon({
    routes: {
      'GET /v1/daemon/build': answer({}),
      'POST /v1/vms': answer(stubOperation('op1'), 202),
      'GET /v1/operations/op1/events': async (response) => {
        response.writeHead(200).write(`${JSON.stringify(STAGES[0])}\n`);
        watching.resolve();
        await cancelled.promise;
        const undone: OperationEvent = { type: 'stage', seq: 3, atMs: 9, stage: 'disk', title: 'work disk', status: 'undone' };
        response.end(`${JSON.stringify(undone)}\n${JSON.stringify(endEvent({ state: 'cancelled' }))}\n`);
      },
      'DELETE /v1/operations/op1': (response) => {
        cancelled.resolve();
        response.writeHead(202).end('{}');
      },
    },
  });
  try {
    const outcome = runInProcess(stub.env, ['vm', 'create']);
    await watching.promise;
    process.emit('SIGINT');
    const { exitCode, stderr, stdout } = await outcome;
    assert.equal(exitCode, 130);
    assert.equal(stdout, '');
    assert.match(stderr, /^cancelling, rolling back…\n↩ work disk undone\nbanger: cancelled/);
    assert.equal(process.listenerCount('SIGINT'), 0);
  } finally {
    await stub.close();
  }
});

test('Ctrl-C leaves what takes a machine down to the daemon, and says that it goes on (1.4)', async () => {
  for (const [argv, method, path] of [
    [['stop', 'web'], 'POST', `/${web.id}/stop`],
    [['restart', 'web'], 'POST', `/${web.id}/restart`],
    [['rm', '-f', 'web'], 'DELETE', `/${web.id}`],
  ] as const) {
    const watching = Promise.withResolvers<void>();
    const stub = await startStubDaemon({
      routes: {
        'GET /v1/daemon/build': answer({}),
        'GET /v1/vms': answer([web]),
        [`${method} /v1/vms${path}`]: answer({ ...stubOperation('op1', 'vm.stop'), vmName: 'web' }, 202),
        'GET /v1/operations/op1/events': (response) => {
          response.writeHead(200).write(`${JSON.stringify(STAGES[0])}\n`);
          watching.resolve();
        },
      },
    });
    try {
      const outcome = runInProcess(stub.env, argv);
      await watching.promise;
      process.emit('SIGINT');
      assert.deepEqual(await outcome, {
        exitCode: 130,
        stdout: '',
        stderr: 'banger: left; the stop of web goes on\n  try: banger operation watch op1\n',
      });
      assert.ok(!stub.requests.includes('DELETE /v1/operations/op1'), 'nothing is cancelled');
      assert.equal(process.listenerCount('SIGINT'), 0);
    } finally {
      await stub.close();
    }
  }
});

test('a daemon that dies while it works is told with how to go on (1.4)', async () => {
  const stub = await startStubDaemon({
    routes: {
      'GET /v1/daemon/build': answer({}),
      'POST /v1/bundle/build': answer(stubOperation('op7'), 202),
      'GET /v1/operations/op7/events': stream(STAGES),
    },
  });
  try {
    const { exitCode, stderr } = await runInProcess(stub.env, ['bundle', 'build']);
    assert.equal(exitCode, 1);
    assert.match(stderr, /went away while it worked\n {2}try: banger operation watch op7/);
  } finally {
    await stub.close();
  }
});

test('several machines are worked on at once, told in the order they were named, the unknown among them (3.4)', async () => {
  const dbStarted = Promise.withResolvers<void>();
  const vms = [web, stubVm('db', 'abcd1'), stubVm('db2', 'abcd2'), stubVm('old', 'cc')];
  const stub = await startStubDaemon({
    routes: {
      'GET /v1/daemon/build': answer({}),
      'GET /v1/vms': answer(vms),
      // Ends only when the other one has begun: one after the other would hang.
      [`POST /v1/vms/${web.id}/start`]: async (response, seen) => {
        await dbStarted.promise;
        await answer(stubOperation('op-web'), 202)(response, seen);
      },
      [`POST /v1/vms/${vms[1]?.id}/start`]: (response, seen) => {
        dbStarted.resolve();
        return answer(stubOperation('op-db'), 202)(response, seen);
      },
      'GET /v1/operations/op-web/events': stream([endEvent()]),
      'GET /v1/operations/op-db/events': stream([endEvent()]),
    },
  });
  try {
    const { exitCode, stdout, stderr } = await runInProcess(stub.env, [
      'vm',
      'start',
      'web',
      'nobody',
      'abcd',
      'abcd1',
      web.id.slice(0, 4),
      'web',
    ]);
    assert.equal(stdout, 'web\ndb\n');
    assert.match(stderr, /^banger: there is no VM "nobody"[\s\S]*banger: abcd could be db or db2\n {2}try: use a name: db, db2/);
    assert.equal(exitCode, 3);
    assert.equal(stub.requests.filter((line) => line.endsWith('/start')).length, 2);
  } finally {
    await stub.close();
  }
});

test('delete does not ask where nobody can answer, and a failure of one is the status of all (3.4, 3.5)', async () => {
  const other = stubVm('db', 'bb');
  const stub = await startStubDaemon({
    routes: {
      'GET /v1/daemon/build': answer({}),
      'GET /v1/vms': answer([web, other]),
      [`DELETE /v1/vms/${web.id}`]: answer(stubOperation('op-web'), 202),
      [`DELETE /v1/vms/${other.id}`]: answer({ code: 'BUSY', message: 'db is busy' }, 409),
      'GET /v1/operations/op-web/events': stream([endEvent()]),
    },
  });
  try {
    const { exitCode, stdout, stderr } = await runInProcess(stub.env, ['vm', 'rm', '--all']);
    assert.deepEqual([exitCode, stdout, stderr], [1, 'web\n', 'banger: db is busy\n']);
  } finally {
    await stub.close();
  }
});

test('waiting in vain ends with 124 (3.1)', async () => {
  const stub = await startStubDaemon({
    routes: {
      'GET /v1/vms': answer([web]),
      [`GET /v1/vms/${web.id}/wait`]: answer({ code: 'TIMEOUT', message: 'web has no ssh' }, 504),
    },
  });
  try {
    const { exitCode } = await runInProcess(stub.env, ['vm', 'wait', 'web', '--for', 'ssh', '--timeout', '1m30s']);
    assert.equal(exitCode, 124);
    assert.equal(stub.requests.at(-1), `GET /v1/vms/${web.id}/wait?for=ssh&timeoutMs=90000`);
  } finally {
    await stub.close();
  }
});
