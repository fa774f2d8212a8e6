import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { writeFileSync } from 'node:fs';
import type { ExecBody } from '../api/schemas.ts';
import { runInProcess } from '../../test/support/user/run-cli.ts';
import { answer, startStubDaemon, type StubDaemon, stubVm } from '../../test/support/daemon/stub-daemon.ts';
import { runAsGuest } from '../../test/support/guest/stub-guest.ts';

let stub: StubDaemon;
let vms = [stubVm('web', 'aa')];
before(async () => {
  stub = await startStubDaemon({
    routes: {
      'GET /v1/daemon/build': answer({}),
      'GET /v1/vms': (response, seen) => answer(vms)(response, seen),
      'GET /v1/vms/web/health': answer({ vm: 'web', state: 'running', agent: 'ok', init: null, uptimeMs: 1 }),
    },
    onUpgrade: (socket) => void runAsGuest(socket, ['true']),
  });
});
after(() => stub.close());

const run = (typed: string) => runInProcess(stub.env, typed.split(' '));
async function executed(typed: string): Promise<{ url: string; body: ExecBody; stderr: string }> {
  const { exitCode, stderr } = await run(typed);
  assert.equal(exitCode, 0, `${typed}: ${stderr}`);
  const { url = '', body } = stub.seen.at(-1) ?? {};
  return { url, body: body as ExecBody, stderr };
}

test('a single VM need not be named, and stderr says which was taken (3.1)', async () => {
  vms = [stubVm('web', 'aa')];
  for (const typed of ['show -q', 'inspect -q', 'health -q']) {
    assert.deepEqual(await run(typed), { exitCode: 0, stdout: 'web\n', stderr: 'taking web, the only VM\n' }, typed);
  }
  const { url, body, stderr } = await executed('exec -- uname -a');
  assert.deepEqual(
    { url, argv: body.argv, stderr },
    { url: '/v1/vms/web/exec', argv: ['uname', '-a'], stderr: 'taking web, the only VM\n' },
  );
  assert.deepEqual((await executed('exec -u dev -- ls -- -x')).body, { argv: ['ls', '--', '-x'], user: 'dev' });
  assert.equal((await executed('exec -- web ls')).stderr, '', 'its name may follow, as docker has it');
});

test('what ends or changes a VM wants its name, and of several one must be named (3.1)', async () => {
  vms = [stubVm('web', 'aa')];
  for (const verb of ['stop', 'restart', 'kill', 'delete', 'rm -f', 'set --vcpu 2']) {
    const { exitCode, stderr } = await run(verb);
    assert.equal(exitCode, 2, verb);
    assert.match(stderr, /no VM given/, verb);
  }
  vms = [stubVm('web', 'aa'), stubVm('db', 'ab')];
  for (const typed of ['logs', 'show', 'ports', 'health', 'start', 'wait', 'exec -- ls', 'ssh']) {
    const { exitCode, stderr } = await run(typed);
    assert.equal(exitCode, 2, typed);
    assert.match(stderr, /^banger: no VM given(, and there are 2)?\n {2}try: name /, typed);
  }
  vms = [];
  assert.deepEqual(await run('logs'), {
    exitCode: 3,
    stdout: '',
    stderr: 'banger: there is no VM\n  try: banger vm create\n',
  });
});

test('a VM may be named as ssh names it, and the user in front of it runs the command (3.1)', async () => {
  vms = [stubVm('web', 'aa'), stubVm('db', 'ab')];
  for (const name of ['web.vm', 'root@web', 'dev@web.vm', 'web.vm.', `root@${'aa'.padEnd(32, '0')}`]) {
    assert.equal((await run(`show -q ${name}`)).stdout, 'web\n', name);
  }
  assert.deepEqual((await executed('exec dev@web id')).body, { argv: ['id'], user: 'dev' });
  assert.deepEqual((await executed('exec -u root dev@web.vm id')).body, { argv: ['id'], user: 'root' });
  assert.match((await run('cp ./a dev@web:/a')).stderr, /^banger: vm cp works as root in the guest, not as dev\n/);
  for (const typed of ['exec @web id', 'exec a@b@web id', 'ssh $(id)@web']) assert.equal((await run(typed)).exitCode, 2, typed);
});

test('exec takes what docker exec takes: a file of variables, --workdir, -d without pipes (3.13)', async () => {
  const file = `${stub.directory}/env`;
  writeFileSync(file, '# none\n\nA=1\nB="q" # kept\n  C=\nPASSED\n');
  const env = { ...stub.env, PASSED: 'p' };
  await runInProcess(env, ['exec', '--env-file', file, '-e', 'A=2', '--workdir', '/srv', 'web', 'env']);
  assert.deepEqual(stub.seen.at(-1)?.body, { argv: ['env'], env: { A: '2', B: '"q" # kept', C: '', PASSED: 'p' }, cwd: '/srv' });
  const { body } = await executed('exec -dit web -- sleep 60');
  assert.deepEqual([body.argv.slice(-3), body.tty], [['sh', 'sleep', '60'], undefined]);
  assert.match((await runInProcess(env, ['exec', '--env-file', '/none', 'web', 'env'])).stderr, /^banger: --env-file: ENOENT/);
  for (const typed of ['exec', 'exec web', 'exec web --']) {
    assert.deepEqual(await run(typed), {
      exitCode: 2,
      stdout: '',
      stderr: 'banger: no command\n  try: banger vm exec NAME -- COMMAND\n',
    });
  }
});

test('create takes its name as a word, and two that differ are refused (3.2)', async () => {
  for (const typed of ['create web --name shop', 'create Web', 'create web db', 'create -l']) {
    const count = stub.requests.length;
    assert.equal((await run(typed)).exitCode, 2, typed);
    assert.equal(stub.requests.length, count, 'nothing was contacted');
  }
  await run('create shop --name shop');
  assert.deepEqual(stub.seen.find(({ method, url }) => method === 'POST' && url === '/v1/vms')?.body, { name: 'shop' });
});
