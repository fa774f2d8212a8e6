import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runInProcess } from '../../test/support/user/run-cli.ts';
import { answer, endEvent, startStubDaemon, stream, stubOperation, stubVm } from '../../test/support/daemon/stub-daemon.ts';

const web = stubVm('web', 'aa');

test('several machines are handled at once and reported in the order of the command line, including unknown ones (3.4)', async () => {
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

test('delete does not ask without a terminal, and one failure decides the exit status (3.4, 3.5)', async () => {
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
