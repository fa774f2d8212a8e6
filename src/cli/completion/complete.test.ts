import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { runInProcess } from '../../../test/support/user/run-cli.ts';
import { answer, startStubDaemon, type StubDaemon, stubOperation, stubVm } from '../../../test/support/daemon/stub-daemon.ts';
import { createCli } from '../cli.ts';
import { allCommands } from '../program.ts';
import { kindOfArgument } from './kinds.ts';
import { splitLine } from './words.ts';

let stub: StubDaemon;
before(async () => {
  const image = { name: 'debian', distribution: 'Debian 12', isDefault: true };
  stub = await startStubDaemon({
    // Another build than ours: nothing may be said about it at a prompt.
    build: 'another',
    routes: {
      'GET /v1/vms': answer([stubVm('web', 'aa'), stubVm('db', 'ab', { state: 'stopped' })]),
      'GET /v1/images': answer([image]),
      'GET /v1/operations': answer([{ ...stubOperation('3f2a91c0', 'vm.create'), vmName: 'web' }]),
    },
  });
});
after(() => stub.close());

async function at(line: string, fragment?: string): Promise<string[]> {
  const extra = fragment === undefined ? [] : [`--fragment=${fragment}`];
  const { exitCode, stdout, stderr } = await runInProcess(stub.env, ['internal', 'complete', `--line=banger ${line}`, ...extra]);
  assert.deepEqual({ exitCode, stderr }, { exitCode: 0, stderr: '' }, line);
  return stdout.trimEnd().split('\n');
}
const values = async (line: string): Promise<string[]> => (await at(line)).slice(0, -1).map((one) => one.split('\t')[0] ?? '');

test('names of machines, images and operations come with their state (1.7)', async () => {
  assert.deepEqual(await at('vm start '), ['web\trunning, debian', 'db\tstopped, debian', ':']);
  assert.deepEqual(await at('vm create --image '), ['debian\tDebian 12, the default image', ':']);
  assert.deepEqual(await at('operation cancel '), ['3f2a91c0\tvm.create web, running', ':']);
  assert.deepEqual(await at('image show d'), ['debian\tDebian 12, the default image', ':']);
});

test('completion offers what fits the position: verbs, switches, choices, files, and names that are not on the line yet (1.7)', async () => {
  const cases: [string, string[]][] = [
    ['vm st', ['start', 'stop', 'stats']],
    ['vm ls -o ', ['table', 'wide', 'json', 'yaml', 'name']],
    ['vm ls --output=j', ['--output=json']],
    ['vm ls --qu', ['--quiet']],
    ['vm stop web ', ['db']],
    ['vm stop --grace 5s w', ['web']],
    ['vm stop --grace ', []],
    ['vm create --name w', []],
    ['vm exec -it w', ['web']],
    ['vm exec web ', []],
    ['vm exec web ls -', []],
    ['vm rm -- w', ['web']],
    ['vm forward ', ['list', 'remove', 'web', 'db']],
    ['vm forward list ', ['web', 'db']],
    ['help vm cre', ['create']],
    ['completion z', ['zsh']],
    ['--no-color vm wai', ['wait']],
    ['nonsense ', []],
    ['vm nonsense ', []],
    ['inter', []],
    ['st', ['start', 'stop', 'stats']],
    ['stop ', ['web', 'db']],
    ['exec w', ['web']],
    ['--context l', ['local']],
    ['ps --context ', ['local']],
    ['--context local vm stop ', ['web', 'db']],
  ];
  for (const [line, expected] of cases) assert.deepEqual(await values(line), expected, line);
  assert.deepEqual(await at('vm cp '), ['web:\trunning, debian', 'db:\tstopped, debian', ':files,nospace']);
  assert.deepEqual(await at('vm cp ./a'), [':files']);
  assert.deepEqual(await at('vm cp web:/etc'), [':']);
});

test('bash gets only the part of the word that it replaces (1.7)', async () => {
  assert.deepEqual(await at('vm ls --output=j', 'j'), ['json\t', ':']);
  assert.deepEqual(await at('vm ls --output=', ''), ['table\t', 'wide\t', 'json\t', 'yaml\t', 'name\t', ':']);
});

test('without a daemon there is silence, and none is started (1.7)', async () => {
  const env = { ...stub.env, BANGER_RUNTIME_DIR: `${stub.directory}/none`, BANGER_NO_AUTOSTART: '' };
  const outcome = await runInProcess(env, ['internal', 'complete', '--', 'vm', 'start', '']);
  assert.deepEqual(outcome, { exitCode: 0, stdout: ':\n', stderr: '' });
});

test('a line is split into words as a shell does (1.7)', () => {
  const cases: [string, string[]][] = [
    ['banger vm ', ['banger', 'vm', '']],
    ['banger  vm st', ['banger', 'vm', 'st']],
    [String.raw`a "b c" 'd "e' f\ g "h\"i" "open wo`, ['a', 'b c', 'd "e', 'f g', 'h"i', 'open wo']],
    [`a '' "" `, ['a', '', '', '']],
    ['', ['']],
    ['a\\', ['a']],
    [`a 'it`, ['a', 'it']],
  ];
  for (const [line, words] of cases) assert.deepEqual(splitLine(line), words, line);
});

test('what every argument named after a thing stands for is known (1.7)', async () => {
  const { stdin, stdout, stderr } = process;
  const all = await allCommands(createCli({ env: stub.env, stdin, stdout, stderr, programPath: '/x' }));
  const things = new Set(['name', 'id', 'image', 'vm', 'source', 'target', 'file', 'path', 'archive']);
  for (const { words, command } of all)
    for (const argument of command.registeredArguments) {
      if (things.has(argument.name())) assert.notEqual(kindOfArgument(words, argument), 'none', `${words.join(' ')} ${argument.name()}`);
    }
});
