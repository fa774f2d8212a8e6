import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { after, before, test } from 'node:test';
import { runInProcess } from '../../test/support/user/run-cli.ts';
import { answer, startStubDaemon, type StubDaemon, stubVm } from '../../test/support/daemon/stub-daemon.ts';
import { createCli } from './cli.ts';
import type { Output } from './streams.ts';
import type { AnyCommand } from './command.ts';
import { OUTPUT_FORMATS } from './output.ts';
import { allCommands } from './program.ts';
import { runCli } from './run.ts';
import { environmentOfSwitches } from './switches.ts';

const VMS = [stubVm('web', 'aa'), stubVm('a-name-that-is-rather-long', 'ab', { state: 'stopped' })];

let stub: StubDaemon;
before(async () => {
  stub = await startStubDaemon({ routes: { 'GET /v1/vms': answer(VMS) } });
});
after(() => stub.close());
const cli = (...argv: string[]) => runInProcess(stub.env, argv);

async function declared(): Promise<{ words: string[]; command: AnyCommand }[]> {
  const { stdin, stdout, stderr } = process;
  return allCommands(createCli({ env: stub.env, stdin, stdout, stderr, programPath: '/x' }));
}

test('every command that lists or shows has -o, -q and --format, and -o means the same everywhere (1.7)', async () => {
  const shows = new Set(['list', 'show', 'status', 'stats', 'ports', 'health', 'doctor', 'version']);
  let counted = 0;
  for (const { words, command } of await declared()) {
    const output = command.options.find((option) => option.flags === '-o, --output <format>');
    if (!shows.has(words.at(-1) ?? '') && output === undefined) continue;
    counted++;
    assert.deepEqual(output?.argChoices, OUTPUT_FORMATS, words.join(' '));
    for (const long of ['--quiet', '--format'])
      assert.ok(
        command.options.some((option) => option.long === long),
        `${words.join(' ')} ${long}`,
      );
    if (words.at(-1) === 'list')
      assert.ok(
        command.options.some((option) => option.long === '--no-headers'),
        words.join(' '),
      );
  }
  assert.ok(counted > 10);
});

test('JSON and YAML are the API own shape, a template is a line for each (1.7)', async () => {
  assert.deepEqual(JSON.parse((await cli('vm', 'ls', '-o', 'json')).stdout), VMS);
  assert.match((await cli('vm', 'ls', '-o', 'yaml')).stdout, /^- id: aa0+\n {2}name: web\n {2}state: running\n/);
  assert.equal((await cli('vm', 'ls', '-o', 'name')).stdout, 'web\na-name-that-is-rather-long\n');
  assert.equal((await cli('vm', 'show', 'web', '--format', '{{.name}} {{.spec.vcpuCount}}')).stdout, 'web 2\n');
  assert.equal((await cli('vm', 'show', 'web', 'aa00', '-q')).stdout, 'web\n');
  assert.match((await cli('vm', 'show', 'web', VMS[1]?.name ?? '', '-o', 'yaml')).stdout, /\n---\nid: ab0+\n/);
});

test('a template that names nothing and formats that exclude each other are refused (1.6)', async () => {
  const typo = await cli('vm', 'ls', '--format', '{{.nmae}}');
  assert.equal(typo.exitCode, 2);
  assert.match(typo.stderr, /^banger: --format: .* there is no nmae; did you mean name\?\n {2}try: give id, name, /);
  for (const other of [['-q'], ['-o', 'json']]) assert.equal((await cli('vm', 'ls', '--format', '{{.name}}', ...other)).exitCode, 2);
  assert.equal((await cli('vm', 'ls', '-q', '-o', 'json')).exitCode, 2);
});

async function onTerminal(columns: number, ...argv: string[]): Promise<string[]> {
  let text = '';
  const stdout = Object.assign(new PassThrough(), { isTTY: true, columns, getColorDepth: () => 1 }) as unknown as Output;
  stdout.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
  const terminal = createCli({ env: stub.env, stdin: new PassThrough(), stdout, stderr: new PassThrough(), programPath: '/x' });
  assert.equal(await runCli(terminal, argv), 0);
  return text.trimEnd().split('\n');
}

test('a table never wraps on a terminal, whatever its width, and is never cut elsewhere (1.7)', async () => {
  for (const columns of [200, 100, 80, 60, 40, 20, 8]) {
    for (const format of ['table', 'wide']) {
      const lines = await onTerminal(columns, 'vm', 'ls', '-o', format);
      assert.equal(lines.length, 3);
      for (const line of lines) assert.ok(line.length <= Math.max(columns, 12), `${columns}: ${line}`);
    }
  }
  for (const columns of [200, 160, 120, 100, 80, 60, 40, 20]) {
    const titles = async (format: string): Promise<string[]> =>
      ((await onTerminal(columns, 'vm', 'ls', '-o', format))[0] ?? '').split(/ {2,}/).filter((title) => title !== '');
    const [plain, wide] = [await titles('table'), await titles('wide')];
    assert.deepEqual(wide.slice(0, plain.length), plain, `wide has the columns of the plain table at ${columns}`);
  }
  const [head = '', , long = ''] = await onTerminal(50, 'vm', 'ls');
  assert.match(head, /^NAME +STATE +ADDRESS/, 'what is asked for most stays');
  assert.match(long, /^a-name-that-is-rather-long /, 'whole where it fits');
  const piped = await cli('vm', 'ls', '-o', 'wide');
  assert.match(piped.stdout, /ADDRESS +CREATED +ID +GUEST .* USED\n/);
});

test('global switches become variables, but switches of a command in the guest do not (1.7)', () => {
  assert.deepEqual(environmentOfSwitches(['vm', 'ls', '--no-color'], {}), { FORCE_COLOR: undefined, NO_COLOR: '1' });
  assert.deepEqual(environmentOfSwitches(['--plain', 'vm', 'ls'], {}), { FORCE_COLOR: undefined, BANGER_PLAIN: '1', NO_COLOR: '1' });
  assert.deepEqual(environmentOfSwitches(['--no-input', '--debug', 'vm', 'rm', 'x'], {}), { BANGER_NO_INPUT: '1', BANGER_DEBUG: '1' });
  for (const argv of [
    ['vm', 'exec', 'web', 'ls', '--no-color'],
    ['vm', 'ssh', 'web', '--plain'],
    ['vm', 'ls', '--', '--plain'],
  ])
    assert.deepEqual(environmentOfSwitches(argv, {}), {}, argv.join(' '));
  assert.deepEqual(environmentOfSwitches(['vm', 'ls'], { BANGER_PLAIN: '1' }), { NO_COLOR: '1' });
});
