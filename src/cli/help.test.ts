// What every command says of itself, and that it is true.
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { runInProcess } from '../../test/support/user/run-cli.ts';
import { ERROR_CODES } from '../model/errors.ts';
import { createCli } from './cli.ts';
import { examplesOf } from './command.ts';
import { splitLine } from './completion/words.ts';
import { buildProgram } from './program.ts';
import { allCommands } from './program.ts';

const ENV = { BANGER_RUNTIME_DIR: '/nonexistent', BANGER_STATE_DIR: '/nonexistent', BANGER_NO_AUTOSTART: '1' };
const silent = () => {
  const stream = new PassThrough();
  return createCli({ env: ENV, stdin: stream, stdout: stream, stderr: stream, programPath: '/x' });
};

/** @returns the words behind `banger` in a line of shell, up to a pipe or redirection */
function bangerWords(line: string): string[] {
  const words = splitLine(line.trim());
  const begin = words.indexOf('banger') + 1;
  const end = words.findIndex((word, at) => at >= begin && ['|', '<', '>', '&&', ';'].includes(word));
  return words.slice(begin, end < 0 ? undefined : end);
}

test('every command has an example of itself, and the words of every example are understood (1.7)', async () => {
  for (const { words, command } of await allCommands(silent())) {
    const examples = examplesOf(command);
    assert.ok(examples.length > 0, words.join(' '));
    let ofItself = 0;
    for (const example of examples) {
      if (example.startsWith('#') || example.startsWith('ssh ')) continue;
      const argv = bangerWords(example);
      const program = await buildProgram(silent(), argv);
      const path: string[] = [];
      let leaf = program;
      for (const word of argv) {
        const child = leaf.commands.find((one) => one.name() === word || one.aliases().includes(word));
        if (child === undefined) break;
        leaf = child;
        path.push(child.name());
      }
      if (path.join(' ') === words.join(' ')) ofItself++;
      leaf.action(() => undefined);
      await assert.doesNotReject(program.parseAsync(argv, { from: 'user' }), example);
    }
    if (!words.includes('ssh-proxy')) assert.ok(ofItself > 0, `${words.join(' ')} has no example of itself`);
  }
});

test('defaults are shown: of every switch that has one, and those of the daemon in vm create (1.7)', async () => {
  for (const { words, command, isHidden } of await allCommands(silent())) {
    if (isHidden) continue;
    const { stdout } = await runInProcess(ENV, [...words, '--help']);
    for (const option of command.options) {
      if (option.defaultValue === undefined || option.negate) continue;
      assert.ok(
        stdout.replaceAll(/\s+/g, ' ').includes(`default: ${JSON.stringify(option.defaultValue)}`),
        `${words.join(' ')} ${option.flags}`,
      );
    }
  }
  const { stdout } = await runInProcess(ENV, ['vm', 'create', '--help']);
  for (const expected of ['processors (default: 2)', '(default: 1 GiB)', '(default: 8 GiB)', '(default: yes)', '(default: a made-up one)'])
    assert.ok(stdout.replaceAll(/\s+/g, ' ').includes(expected), expected);
});

test('help COMMAND, --help and -h are equal; help of an unknown command is an error (1.7)', async () => {
  for (const { words } of await allCommands(silent())) {
    const texts = await Promise.all([
      runInProcess(ENV, [...words, '--help']),
      runInProcess(ENV, [...words, '-h']),
      runInProcess(ENV, ['help', ...words]),
    ]);
    for (const { exitCode, stdout } of texts)
      assert.deepEqual({ exitCode, stdout }, { exitCode: 0, stdout: texts[0]?.stdout }, words.join(' '));
  }
  for (const argv of [
    ['help', 'tui'],
    ['help', 'vm', 'strat'],
    ['tui', '--help'],
    ['vm', 'strat', '--help'],
    ['vm', 'strat'],
  ]) {
    const { exitCode, stderr } = await runInProcess(ENV, argv);
    assert.equal(exitCode, 2, argv.join(' '));
    assert.match(stderr, /^banger: unknown command '(tui|strat)'/, argv.join(' '));
  }
});

test('a verb without its noun names the noun, and a mistyped one the right verb (1.7)', async () => {
  const cases: [string[], RegExp][] = [
    [['promote', 'web'], /unknown command 'promote'.*\n {2}try: banger image promote web\n/],
    [['strat', 'web'], /unknown command 'strat'\. Did you mean start\?/],
    [['vmm', 'list'], /Did you mean vm\?/],
    [['verson'], /Did you mean version\?/],
    [
      ['run', 'web'],
      /unknown command 'run'\n {2}try: make a VM with banger create NAME, then run commands in it with banger exec NAME -- COMMAND\n/,
    ],
  ];
  for (const [argv, expected] of cases) {
    const { exitCode, stderr } = await runInProcess(ENV, argv);
    assert.equal(exitCode, 2);
    assert.match(stderr, expected, argv.join(' '));
  }
});

test('exit codes do not change: scripts depend on them (1.6)', () => {
  const known: Record<string, number> = {
    USAGE: 2,
    INVALID_INPUT: 2,
    CONFIG_INVALID: 2,
    PAYLOAD_TOO_LARGE: 2,
    NOT_FOUND: 3,
    AMBIGUOUS_REFERENCE: 3,
    TIMEOUT: 124,
    GUEST_COMMAND_NOT_EXECUTABLE: 126,
    GUEST_COMMAND_NOT_FOUND: 127,
    CANCELLED: 130,
    DAEMON_RUNNING: 75,
  };
  for (const [code, { exit }] of Object.entries(ERROR_CODES)) assert.equal(exit, known[code] ?? 1, code);
});
