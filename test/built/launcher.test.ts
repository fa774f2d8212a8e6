// bin/banger and bin/bangerd: every word and variable reaches the program, and none of them the Bun or Node in it.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ExecBody } from '../../src/api/schemas.ts';
import { RUNTIME_VARIABLES } from '../../src/client/launch.ts';
import { createSandbox } from '../support/machine/sandbox.ts';
import { answer, startStubDaemon, type StubDaemon } from '../support/daemon/stub-daemon.ts';
import { runAsGuest } from '../support/guest/stub-guest.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const PROGRAM = join(ROOT, 'bin', 'banger');

let stub: StubDaemon;
before(async () => {
  const build = /\(build (\w+)\)/.exec((await run(['version'], { BANGER_RUNTIME_DIR: '/nonexistent' })).stdout)?.[1] ?? '';
  stub = await startStubDaemon({
    routes: { 'GET /v1/daemon/build': answer({}) },
    build,
    onUpgrade: (socket) => void runAsGuest(socket, ['true']),
  });
});
after(() => stub.close());

type Outcome = { status: number | null; stdout: string; stderr: string };

async function run(args: readonly string[], env: Record<string, string>, cwd = ROOT): Promise<Outcome> {
  const child = spawn(PROGRAM, args, {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], HOME: '/nonexistent', BANGER_NO_AUTOSTART: '1', ...env },
  });
  const outcome: Outcome = { status: null, stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (outcome.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (outcome.stderr += text));
  [outcome.status] = (await once(child, 'close')) as [number | null];
  return outcome;
}

/** @returns what the guest would have been asked to run */
async function bodyOf(args: readonly string[], env: Record<string, string> = {}): Promise<ExecBody> {
  const outcome = await run(['vm', 'exec', ...args], { ...stub.env, ...env }, stub.directory);
  assert.deepEqual(outcome, { status: 0, stdout: '', stderr: '' }, args.join(' '));
  return stub.seen.at(-1)?.body as ExecBody;
}

test('words that are options of Bun or Node, in any spelling and place, go to the guest (3.13)', async () => {
  writeFileSync(join(stub.directory, '.env'), 'BANGER_RUNTIME_DIR=/nowhere\n');
  writeFileSync(join(stub.directory, 'node.config.json'), '{"nodeOptions": {"require": ["/none"]}}');
  const spellings = [
    ['--env-file=.env'],
    ['--env-file', '.env'],
    ['--env-file-if-exists=none'],
    ['--env-file-if-exists', 'none'],
    ['--experimental-config-file=none'],
    ['--experimental-config-file', 'none'],
    ['--experimental-config-file'],
    ['--experimental-default-config-file'],
    ['--inspect-brk', '--import=none', '-r', './none', '--require', 'none', '-e', '1', '-p', '-v', '--'],
    ['--preload=./none.ts', '--preload', 'none', '--bun', '--cwd=/', '--config=none', '--smol', '--hot', '--watch', '--print'],
    [':', '::', ':--env-file=.env', '', ' ', '$HOME', '`id`', '"', "'", '\\', '*', 'ä\nb'],
  ];
  for (const words of spellings) {
    assert.deepEqual((await bodyOf(['web', 'echo', ...words])).argv, ['echo', ...words]);
    assert.deepEqual((await bodyOf(['web', '--', ...words])).argv, words);
  }
  const many = Array.from({ length: 1001 }, (_, at) => `--env-file=${at}`);
  assert.deepEqual((await bodyOf(['web', ...many])).argv, many);
});

test("options of Bun or Node before banger's own command are refused as unknown (1.6)", async () => {
  for (const word of ['--env-file=.env', '--experimental-config-file=none', '--inspect', '-r', '--preload=none', '--bun', '--cwd=/']) {
    const { status, stderr } = await run(['vm', 'list', word], stub.env);
    assert.deepEqual({ status, line: stderr.split('\n')[0] }, { status: 2, line: `banger: unknown option '${word}'` });
  }
});

test('variables for other programs of Bun and Node change nothing, and can be passed on (3.13)', async () => {
  const foreign = {
    NODE_OPTIONS: '--require=/none --inspect-brk=0',
    NODE_DEBUG: 'net,fs',
    NODE_COMPILE_CACHE: '/proc/none',
    NODE_CHANNEL_FD: '77',
    NODE_UNIQUE_ID: '3',
    NODE_V8_COVERAGE: join(stub.directory, 'coverage'),
    NODE_ENV: 'test\n"$(id)"',
    NODE_PATH: '',
    // Each of these alone would make it another program, print something, write a file, or refuse to start.
    BUN_BE_BUN: '1',
    BUN_OPTIONS: '--preload=/none.ts',
    BUN_INSPECT: '1',
    BUN_JSC_dumpOptions: '2',
    BUN_JSC_useJIT: 'nonsense',
    BUN_JSC_useWarmUpMarkedBlocks: 'nonsense',
    BUN_BYTECODE_ORDER_OUT: join(stub.directory, 'order'),
    MIMALLOC_VERBOSE: '1',
    Mimalloc_Show_Stats: '1',
    WTF_numberOfProcessorCores: 'nonsense',
    lines: "a'\nexport BUN_GONE='1'\nexport HOME=\n\\",
    node: 'n',
    name: 'x',
    root: 'r',
  };
  const names = Object.keys(foreign);
  const body = await bodyOf([...names.flatMap((name) => ['-e', name]), 'web', 'env'], foreign);
  assert.deepEqual(body.env, foreign);
  // What the launcher itself tells Bun is nobody else's.
  assert.deepEqual((await bodyOf(['-e', 'BUN_JSC_useWarmUpMarkedBlocks', '-e', 'A=1', 'web', 'env'])).env, { A: '1' });
  assert.ok(!existsSync(foreign.BUN_BYTECODE_ORDER_OUT));
});

test('what lies in the directory of the caller changes nothing (3.13)', async () => {
  const directory = mkdtempSync(join(stub.directory, 'hostile-'));
  writeFileSync(join(directory, 'evil.ts'), "require('node:fs').writeFileSync('loaded', ''); console.log('evil'); process.exit(3);");
  const files = {
    '.env': 'BANGER_RUNTIME_DIR=/nowhere\nBANGER_OUTPUT=json\nBUN_OPTIONS=--preload=./evil.ts\n',
    '.env.local': 'BANGER_RUNTIME_DIR=/nowhere\n',
    '.env.production': 'BANGER_RUNTIME_DIR=/nowhere\n',
    'bunfig.toml': 'preload = ["./evil.ts"]\n[run]\nbun = true\n',
    'package.json': '{"name": "evil", "main": "./evil.ts", "imports": {"#x": "./evil.ts"}}',
    'tsconfig.json': '{"compilerOptions": {"paths": {"node:net": ["./evil.ts"], "*": ["./evil.ts"]}}}',
    'banger.ts': "import './evil.ts';",
    'node_modules/commander/index.js': "require('../../evil.ts')",
  };
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), text);
  }
  // Bun looks for its settings in the user's home, too.
  const env = { ...stub.env, HOME: directory, XDG_CONFIG_HOME: directory };
  for (const name of ['.bunfig.toml', 'bunfig.toml']) writeFileSync(join(directory, name), files['bunfig.toml']);
  assert.deepEqual(await run(['vm', 'exec', 'web', 'true'], env, directory), { status: 0, stdout: '', stderr: '' });
  assert.deepEqual(await run(['--version'], env, directory), await run(['--version'], stub.env));
  assert.ok(!existsSync(join(directory, 'loaded')));
});

test('the program needs no launcher, no Node, no PATH and writes nothing to answer (2.6)', async () => {
  const directory = mkdtempSync(join(stub.directory, 'alone-'));
  const copy = join(stub.directory, 'banger');
  copyFileSync(join(ROOT, 'dist', 'banger'), copy);
  const { status, stdout, stderr } = spawnSync(copy, ['--version'], {
    cwd: directory,
    env: { TMPDIR: directory, HOME: directory },
    encoding: 'utf8',
  });
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
  assert.deepEqual(readdirSync(directory), []);
});

test('the launcher of the daemon and the program know the same variables (3.13)', () => {
  const text = readFileSync(join(ROOT, 'bin', 'bangerd'), 'utf8');
  const named = /for _variable in ([^;]+);/.exec(text)?.[1]?.split(/[\s\\]+/);
  assert.deepEqual(named?.toSorted(), RUNTIME_VARIABLES.toSorted());
});

test('the daemon starts, and is started, whatever the environment says to Bun and Node (1.2)', async () => {
  const sandbox = await createSandbox({
    env: { NODE_OPTIONS: '--require=/none', NODE_DEBUG: 'net', NODE_CHANNEL_FD: '77', BUN_BE_BUN: '1' },
  });
  try {
    await sandbox.must(['daemon', 'start']);
    assert.match(await sandbox.must(['daemon', 'status']), /running/);
    await sandbox.must(['daemon', 'stop']);
    const own = { program: join(ROOT, 'bin', 'bangerd'), env: { BANGER_LOG_LEVEL: 'nonsense' } };
    assert.match((await sandbox.banger([], own)).stderr, /^bangerd: BANGER_LOG_LEVEL=nonsense/);
    // It is banger that refuses words of Node, and not Node that takes them.
    for (const word of ['--env-file=none', '--experimental-config-file=none']) {
      assert.match((await sandbox.banger([word], own)).stderr, new RegExp(`^bangerd: it takes no arguments, and "${word}" is one`));
    }
  } finally {
    await sandbox.close();
  }
});
