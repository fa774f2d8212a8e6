import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { runInProcess } from '../../test/support/user/run-cli.ts';
import { answer, startStubDaemon, type StubDaemon, stubVm } from '../../test/support/daemon/stub-daemon.ts';
import { GROUPS, SHORTCUTS, TOP_VERBS } from './registry.ts';
import { environmentOfSwitches } from './switches.ts';
import { canonicalWords } from './words.ts';

let stub: StubDaemon;
let other: StubDaemon;
before(async () => {
  stub = await startStubDaemon({ routes: { 'GET /v1/vms': answer([stubVm('web', 'aa')]) } });
  other = await startStubDaemon({ routes: { 'GET /v1/vms': answer([stubVm('elsewhere', 'ab')]) } });
});
after(async () => {
  await stub.close();
  await other.close();
});

test('verbs of machines need no noun, and help can stand anywhere (1.7, 3.1)', () => {
  const cases: [string, string][] = [
    ['ps', 'vm ps'],
    ['ls -o json', 'vm ls -o json'],
    ['create web', 'vm create web'],
    ['--plain rm -f web', '--plain vm rm -f web'],
    ['shell web', 'vm shell web'],
    ['exec web ls help', 'vm exec web ls help'],
    ['images -q', 'image list -q'],
    ['help create', 'vm create --help'],
    ['help vm create', 'vm create --help'],
    ['vm help create', 'vm create --help'],
    ['image help build', 'image build --help'],
    ['help', '--help'],
    ['--context lab ps', '--context lab vm ps'],
    ['--context ps ps', '--context ps vm ps'],
    ['vm --context help list', 'vm --context help list'],
    ['kill -9 web', 'vm kill --signal=9 web'],
    ['vm kill web -KILL', 'vm kill web --signal=KILL'],
    ['kill -SIGTERM web db', 'vm kill --signal=SIGTERM web db'],
    ['kill -s TERM web', 'vm kill -s TERM web'],
    ['stop -9 web', 'vm stop -9 web'],
    ['nonsense', 'nonsense'],
    ['-- ps', '-- ps'],
    ['', ''],
  ];
  for (const [typed, expected] of cases) assert.equal(canonicalWords(typed.split(' ')).join(' '), expected, typed);
});

test('no shortcut hides a noun or a command, and the help lists them all (1.7)', async () => {
  const taken = new Set([...Object.keys(GROUPS), ...TOP_VERBS.flatMap(({ names }) => names), 'help']);
  assert.deepEqual(
    SHORTCUTS.filter((word) => taken.has(word)),
    [],
  );
  assert.equal(new Set(SHORTCUTS).size, SHORTCUTS.length);
  const { stdout } = await runInProcess(stub.env, ['--help']);
  const listed = /is `banger vm ps`\):\n((?: {2}.*\n)+)/
    .exec(stdout)?.[1]
    ?.split(/[\s,]+/)
    .filter((word) => word !== '');
  assert.deepEqual(listed, SHORTCUTS);
});

test('a shortcut does the same as the verb, and its help and errors name the verb (1.7)', async () => {
  assert.deepEqual(await runInProcess(stub.env, ['ps', '-q']), { exitCode: 0, stdout: 'web\n', stderr: '' });
  assert.match((await runInProcess(stub.env, ['rm', '--help'])).stdout, /^Usage: banger vm delete\|rm /);
  assert.match((await runInProcess(stub.env, ['stop', '--gracee'])).stderr, /--gracee.*\n {2}try: banger vm stop --help\n$/);
});

test('--context may stand anywhere before the words for the guest, and overrides the environment (1.7)', async () => {
  const env = {
    ...stub.env,
    BANGER_CONFIG: `${stub.directory}/config.toml`,
    BANGER_HOST: 'unix:///nowhere/bangerd.sock',
  };
  const added = await runInProcess(env, ['context', 'add', 'there', `unix://${other.socketPath}`]);
  assert.equal(added.exitCode, 0, added.stderr);
  for (const typed of ['--context there ps -q', 'ps --context there -q', 'vm --context=there ls -q', 'vm ls -q --context=there']) {
    assert.deepEqual(await runInProcess(env, typed.split(' ')), { exitCode: 0, stdout: 'elsewhere\n', stderr: '' }, typed);
  }
  assert.equal((await runInProcess(env, ['--context', 'local', 'ps', '-q'])).stdout, 'web\n');
  assert.match(
    (await runInProcess(env, ['--context', 'nobody', 'ps'])).stderr,
    /there is no context "nobody"\n {2}try: banger context list\n/,
  );
  assert.match((await runInProcess(env, ['ps', '--context'])).stderr, /argument missing/);
});

test('switches before a shortcut are heard, those of a command in the guest are not (1.7)', () => {
  assert.deepEqual(environmentOfSwitches(['--debug', 'exec', 'web', 'ls', '--plain'], {}), { BANGER_DEBUG: '1' });
  assert.deepEqual(environmentOfSwitches(['shell', 'web', '--', '--debug'], {}), {});
  assert.deepEqual(environmentOfSwitches(['--context', 'exec', 'ps', '--debug'], {}), { BANGER_DEBUG: '1' });
});
