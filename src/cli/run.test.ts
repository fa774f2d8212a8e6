import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { after, before, test } from 'node:test';
import { runInProcess } from '../../test/support/user/run-cli.ts';
import { answer, startStubDaemon, type StubDaemon, stubVm } from '../../test/support/daemon/stub-daemon.ts';
import { ERROR_CODES } from '../model/errors.ts';
import { createCli } from './cli.ts';
import { GROUPS, loadVerb, TOP_VERBS } from './registry.ts';
import { runCli } from './run.ts';

let stub: StubDaemon;
before(async () => {
  stub = await startStubDaemon({ routes: { 'GET /v1/vms': answer([stubVm('web', 'aa'), stubVm('db', 'ab', { state: 'stopped' })]) } });
});
after(() => stub.close());
const cli = (...argv: string[]) => runInProcess(stub.env, argv);

const MISTAKES: [string[], RegExp][] = [
  [['tui'], /unknown command 'tui'/],
  [['vm', 'lss'], /unknown command 'lss'\. Did you mean ls\?/],
  [['vm', 'list', '--outptu', 'json'], /unknown option '--outptu'\. Did you mean --output\?/],
  [['vm', 'create', '--mount', 'a'], /^banger: unknown option '--mount'\n {2}try: a VM shares no folders/],
  [['create', '--cpus=2', 'web'], /unknown option '--cpus=2'\. Did you mean --vcpu\?/],
  [['create', '--disk', '10G', 'web'], /unknown option '--disk'\. Did you mean --disk-size\?/],
  [['create', '-m', '2G', 'web'], /unknown option '-m'\. Did you mean --memory\?/],
  [['create', '-p', '8080:80', 'web'], /try: .*banger ports NAME/],
  [['create', 'ubuntu:22.04', 'web'], /too many arguments.*\n {2}try: .*--image IMAGE/],
  [['set', '--mem', '2G', 'web'], /Did you mean --memory\?/],
  [['-v'], /unknown option '-v'\. Did you mean --version\?/],
  [['inspect', '-f', '{{.id}}', 'web'], /Did you mean --format\?/],
  [['run', '-it', 'web', 'bash'], /unknown command 'run'\n {2}try: .*banger create NAME.*banger exec NAME/],
  [['vm', 'launch', 'debian'], /unknown command 'launch'\n {2}try: .*banger create NAME/],
  [['top'], /unknown command 'top'\n {2}try: .*banger stats --watch/],
  [['ps', '-f', 'name=web'], /Did you mean --filter\?/],
  [['constructor'], /unknown command 'constructor'/],
  [['vm', 'create', '--mem', '2G'], /unknown option '--mem'\. Did you mean --memory\?/],
  [['vm', 'ls', '-o', 'xml'], /Allowed choices are table, wide, json, yaml, name/],
  [['vm', 'ls', 'surplus'], /too many arguments/],
  [['vm', 'exec', 'web'], /no command/],
  [['vm', 'start'], /no VM given/],
  [['vm', 'start', '--all', 'web'], /either --all or names/],
  [['vm', 'cp', 'a', 'b'], /one side must be in a virtual machine/],
  [['vm', 'logs', '--vmm', '--events', 'web'], /cannot be used with/],
];

for (const [argv, expected] of MISTAKES) {
  test(`\`banger ${argv.join(' ')}\` is a usage error that says what to do (1.7)`, async () => {
    const outcome = await cli(...argv);
    assert.equal(outcome.exitCode, 2);
    assert.equal(outcome.stdout, '');
    assert.match(outcome.stderr, expected);
    assert.match(outcome.stderr, /^banger: .*\n {2}try: .*\n$/);
  });
}

test('options stick to their values as users expect: -ojson, -o json, --output=json (1.7)', async () => {
  for (const form of [['-ojson'], ['-o', 'json'], ['--output=json']]) {
    const { exitCode, stdout } = await cli('vm', 'ls', ...form);
    assert.equal(exitCode, 0);
    assert.equal((JSON.parse(stdout) as unknown[]).length, 2);
  }
});

test('docker’s ways to ask for a format and a state work: --format json, --filter status= (1.7)', async () => {
  assert.equal((await cli('ps', '--format', 'json')).stdout, (await cli('ps', '-o', 'json')).stdout);
  assert.equal((await cli('ps', '--format', 'table')).stdout, (await cli('ps')).stdout);
  assert.equal((await cli('ps', '--format', '{{.name}}', '--filter', 'status=stopped')).stdout, 'db\n');
});

test('a listing has aligned columns, names only with -q, no titles with --no-headers, and filters (1.7)', async () => {
  const table = (await cli('vm', 'list')).stdout.split('\n');
  assert.match(table[0] ?? '', /^NAME {2}STATE {4}IMAGE {3}VCPU {2}MEMORY {2}DISK {3}ADDRESS/);
  assert.match(table[1] ?? '', /^web {3}running {2}debian {2}2 {5}1 GiB {3}8 GiB {2}127\.213\.0\.2/);
  assert.equal((await cli('vm', 'ls', '-q')).stdout, 'web\ndb\n');
  assert.equal((await cli('vm', 'ps', '-q', '--filter', 'state=stopped')).stdout, 'db\n');
  assert.equal((await cli('vm', 'ls', '--no-headers')).stdout.split('\n').length, 3);
  assert.equal((await cli('vm', 'ls', '--filter', 'colour=red')).exitCode, 2);
});

test('help goes to stdout with status 0, in every form (1.7)', async () => {
  const texts = await Promise.all([cli('vm', 'list', '--help'), cli('vm', 'list', '-h'), cli('help', 'vm', 'list')]);
  for (const { exitCode, stdout } of texts) {
    assert.equal(exitCode, 0);
    assert.equal(stdout, texts[0]?.stdout);
    assert.match(stdout, /Usage: banger vm list/);
  }
  const top = await cli('--help');
  for (const [name, group] of Object.entries(GROUPS))
    assert.equal(new RegExp(`^ {2}${name} `, 'm').test(top.stdout), group.hidden !== true, name);
  const vm = await cli('vm', '--help');
  for (const { names } of GROUPS['vm']?.verbs ?? []) assert.match(vm.stdout, new RegExp(`^ {2}${names[0]}`, 'm'));
});

test('the help of every command has an example that names the command, and no argument without explanation (1.7)', async () => {
  const { env } = stub;
  const context = createCli({
    env,
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    programPath: '/x',
  });
  const all = [
    ...TOP_VERBS.map((verb) => ({ group: '', verb })),
    ...Object.entries(GROUPS).flatMap(([group, { verbs }]) => verbs.map((verb) => ({ group, verb }))),
  ];
  assert.ok(all.length > 25);
  for (const { group, verb } of all) {
    const command = await loadVerb(context, verb, {
      build: () => Promise.reject(new Error('not asked for')),
      canonical: (words) => words,
      shortcuts: [],
      shortcutOf: () => undefined,
    });
    assert.equal(command.name(), verb.names[0]);
    const words = `banger ${group} ${verb.names[0]}`.replace('  ', ' ');
    const help = await runInProcess(stub.env, [...(group === '' ? [] : [group]), verb.names[0], '--help']);
    assert.match(help.stdout, /\nExamples?:\n/, words);
    assert.ok(
      verb.names.some((name) => help.stdout.includes(`banger ${group} ${name}`.replace('  ', ' '))),
      words,
    );
    for (const option of command.options) assert.notEqual(option.description, '', `${words} ${option.flags}`);
    for (const argument of command.registeredArguments) assert.notEqual(argument.description, '', `${words} ${argument.name()}`);
  }
});

test('the table of exit codes has every error code (1.6)', async () => {
  const { exitCode, stdout } = await cli('help', 'exit-codes');
  assert.equal(exitCode, 0);
  for (const code of Object.keys(ERROR_CODES)) assert.match(stdout, new RegExp(`\\b${code}\\b`));
});

test('exit codes are stable, because scripts depend on them (1.6)', () => {
  const others: Partial<Record<keyof typeof ERROR_CODES, number>> = {
    ...{ USAGE: 2, INVALID_INPUT: 2, CONFIG_INVALID: 2, PAYLOAD_TOO_LARGE: 2, NOT_FOUND: 3, AMBIGUOUS_REFERENCE: 3 },
    ...{ TIMEOUT: 124, GUEST_COMMAND_NOT_EXECUTABLE: 126, GUEST_COMMAND_NOT_FOUND: 127, CANCELLED: 130, DAEMON_RUNNING: 75 },
  };
  for (const [code, { exit }] of Object.entries(ERROR_CODES)) {
    assert.equal(exit, others[code as keyof typeof ERROR_CODES] ?? 1, code);
  }
});

test('a daemon that does not run is an error with a remedy where none may be started (1.6)', async () => {
  const { exitCode, stderr } = await runInProcess({ ...stub.env, BANGER_RUNTIME_DIR: `${stub.directory}/none` }, ['vm', 'ls']);
  assert.equal(exitCode, 1);
  assert.match(stderr, /^banger: the daemon does not answer at .*: it is not running\n {2}try: banger daemon start\n$/);
});

test('BANGER_DEBUG adds code and stack to an error (1.6)', async () => {
  const { stderr } = await runInProcess({ ...stub.env, BANGER_DEBUG: '1' }, ['vm', 'show', 'nobody']);
  assert.match(stderr, /code: NOT_FOUND/);
  assert.match(stderr, /\n {4}at /);
});

test('--filter chooses targets, alone or among named ones (3.1)', async () => {
  const begun = async (...argv: string[]): Promise<string[]> => {
    const from = stub.requests.length;
    await cli(...argv);
    return stub.requests.slice(from).filter((request) => request.startsWith('POST /v1/vms/'));
  };
  assert.deepEqual(await begun('vm', 'start', '--filter', 'state=stopped'), [`POST /v1/vms/${'ab'.padEnd(32, '0')}/start`]);
  assert.deepEqual(await begun('vm', 'start', 'web', 'db', '--filter', 'name=db'), [`POST /v1/vms/${'ab'.padEnd(32, '0')}/start`]);
  assert.deepEqual(await begun('vm', 'start', '--filter', 'state=failed'), []);
  assert.equal((await cli('vm', 'start', '--filter', 'colour=red')).exitCode, 2);
});

test('deleting asks on a terminal only; --no-input refuses instead, and says what to give (1.7)', async () => {
  const asked = await runOnTerminal({ BANGER_NO_INPUT: '1' }, ['vm', 'delete', 'web']);
  assert.equal(asked.exitCode, 2);
  assert.match(asked.stderr, /^banger: Delete web with all disks\? banger must not ask here\n {2}try: add --yes\n$/);
  assert.ok(!stub.requests.some((request) => request.startsWith('DELETE ')));
  await runOnTerminal({ BANGER_NO_INPUT: '1' }, ['vm', 'delete', 'web', '--yes']);
  assert.ok(stub.requests.some((request) => request.startsWith('DELETE ')));
});

async function runOnTerminal(env: Record<string, string>, argv: string[]): Promise<{ exitCode: number; stderr: string }> {
  let stderr = '';
  const terminal = Object.assign(new PassThrough(), { isTTY: true, columns: 80, getColorDepth: () => 1 });
  terminal.on('data', (chunk: Buffer) => (stderr += chunk.toString('utf8')));
  const stdin = Object.assign(new PassThrough(), { isTTY: true });
  const context = createCli({ env: { ...stub.env, ...env }, stdin, stdout: new PassThrough(), stderr: terminal, programPath: '/x' });
  return { exitCode: await runCli(context, argv), stderr };
}
