import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OperationEvent } from '../api/schemas.ts';
import { runInProcess } from '../../test/support/user/run-cli.ts';
import { answer, BOOT_STAGES, endEvent, startStubDaemon, stream, stubOperation, stubVm } from '../../test/support/daemon/stub-daemon.ts';

const web = stubVm('web', 'aa');

test('--detach prints the operation and does not tie it to this client; another terminal watches from the start (1.4)', async () => {
  const stub = await startStubDaemon({
    routes: {
      'GET /v1/daemon/build': answer({}),
      'POST /v1/vms': answer(stubOperation('op1'), 202),
      'GET /v1/operations/op1/events': stream([...BOOT_STAGES, endEvent({ vm: web })]),
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

test('Ctrl-C cancels the operation, waits for the rollback and ends with 130 (1.4)', async () => {
  const watching = Promise.withResolvers<void>();
  const cancelled = Promise.withResolvers<void>();
  const stub = await startStubDaemon({
    routes: {
      'GET /v1/daemon/build': answer({}),
      'POST /v1/vms': answer(stubOperation('op1'), 202),
      'GET /v1/operations/op1/events': async (response) => {
        response.writeHead(200).write(`${JSON.stringify(BOOT_STAGES[0])}\n`);
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

test('Ctrl-C leaves a stop or delete to the daemon, and says that it continues (1.4)', async () => {
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
          response.writeHead(200).write(`${JSON.stringify(BOOT_STAGES[0])}\n`);
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
        stderr: 'banger: stopped waiting; the stop of web continues\n  try: banger operation watch op1\n',
      });
      assert.ok(!stub.requests.includes('DELETE /v1/operations/op1'), 'nothing is cancelled');
      assert.equal(process.listenerCount('SIGINT'), 0);
    } finally {
      await stub.close();
    }
  }
});

test('if the daemon dies during an operation, the error says how to continue (1.4)', async () => {
  const stub = await startStubDaemon({
    routes: {
      'GET /v1/daemon/build': answer({}),
      'POST /v1/bundle/build': answer(stubOperation('op7'), 202),
      'GET /v1/operations/op7/events': stream(BOOT_STAGES),
    },
  });
  try {
    const { exitCode, stderr } = await runInProcess(stub.env, ['bundle', 'build']);
    assert.equal(exitCode, 1);
    assert.match(stderr, /the daemon ended during the operation\n {2}try: banger operation watch op7/);
  } finally {
    await stub.close();
  }
});
