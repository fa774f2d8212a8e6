// The completion scripts in real shells, at a real prompt, without the bash-completion package.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify, stripVTControlCharacters } from 'node:util';
import { spawn } from '@lydell/node-pty';
import { answer, startStubDaemon, type StubDaemon, stubVm } from '../support/daemon/stub-daemon.ts';

const run = promisify(execFile);
const BIN = join(import.meta.dirname, '..', '..', 'bin');
const PATIENCE_MS = 30_000;

let stub: StubDaemon;
let home: string;
let env: Record<string, string>;
before(async () => {
  home = mkdtempSync(join(tmpdir(), 'bgr-completion-'));
  writeFileSync(join(home, 'notes.txt'), '');
  stub = await startStubDaemon({
    routes: { 'GET /v1/vms': answer([stubVm('website', 'aa'), stubVm('webshop', 'ab', { state: 'stopped' }), stubVm('db', 'ac')]) },
  });
  env = { ...stub.env, PATH: `${BIN}:${process.env['PATH'] ?? ''}`, HOME: home, TERM: 'xterm', LANG: 'C.UTF-8', COLUMNS: '120' };
});
after(async () => {
  await stub.close();
  rmSync(home, { recursive: true, force: true });
});

const lacks = (shell: string): string | false =>
  spawnSync(shell, ['--version']).error === undefined ? false : `${shell} is not installed (make setup installs it)`;

type Prompt = { type(keys: string): void; waitFor(pattern: RegExp): Promise<string>; end(): void };

/** Starts a shell on a terminal; what was waited for is not seen again. */
function startShell(argv: readonly [string, ...string[]]): Prompt {
  const [program, ...args] = argv;
  const pty = spawn(program, args, { env, cwd: home, cols: 120, rows: 40, name: 'xterm' });
  let text = '';
  let wake = (): void => undefined;
  pty.onData((data) => {
    text += data;
    wake();
  });
  return {
    type: (keys) => pty.write(keys),
    end: () => pty.kill('SIGKILL'),
    waitFor: (pattern) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`${String(pattern)} did not come: ${JSON.stringify(text)}`)), PATIENCE_MS);
        wake = () => {
          const shown = stripVTControlCharacters(text);
          if (!pattern.test(shown)) return;
          clearTimeout(timer);
          text = '';
          wake = () => undefined;
          resolve(shown);
        };
        wake();
      }),
  };
}

/** Completes at the prompt as a user does. */
async function tryShell(shell: Prompt): Promise<void> {
  try {
    shell.type('echo rea""dy\r');
    await shell.waitFor(/^ready/m);
    shell.type('banger vm start web\t\t\t');
    assert.match(
      await shell.waitFor(/webs(ite|hop)[\s\S]*webs(ite|hop)/),
      /(?=[\s\S]*website +\S*.*running)(?=[\s\S]*webshop +\S*.*stopped)/,
    );
    shell.type('\u0015banger vm stop d\t');
    await shell.waitFor(/stop db /);
    shell.type('\u0015banger vm ls --output=ya\t');
    await shell.waitFor(/--output=yaml/);
    shell.type('\u0015banger vm cp ./no\t');
    await shell.waitFor(/cp \.\/notes\.txt/);
    shell.type('\u0015banger vm cp websi\t');
    await shell.waitFor(/cp website:/);
    shell.type('/etc\t');
    await shell.waitFor(/\/etc/);
  } finally {
    shell.end();
  }
}

test('bash completes verbs, names with their state, values and files (1.7)', { skip: lacks('bash') }, async () => {
  const rc = join(home, 'bashrc');
  // Twice, as when a file is read again.
  writeFileSync(rc, 'PS1="> "; eval "$(banger completion bash)"; eval "$(banger completion bash)"\n');
  await tryShell(startShell(['bash', '--noprofile', '--rcfile', rc, '-i']));
});

test('zsh completes verbs, names with their state, values and files (1.7)', { skip: lacks('zsh') }, async () => {
  writeFileSync(
    join(home, '.zshrc'),
    'PS1="> "; autoload -U compinit && compinit -u -D; eval "$(banger completion zsh)"; setopt nobeep; unsetopt zle_bracketed_paste\n',
  );
  await tryShell(startShell(['zsh', '-d', '-i']));
});

test('fish completes verbs, names with their state, values and files (1.7)', { skip: lacks('fish') }, async () => {
  const ask = async (line: string): Promise<string[]> => {
    const script = `banger completion fish | source; complete -C '${line}'`;
    const { stdout } = await run('fish', ['--no-config', '-c', script], { env, cwd: home });
    return stdout.trimEnd().split('\n');
  };
  assert.deepEqual(await ask('banger vm start web'), ['webshop\tstopped, debian', 'website\trunning, debian']);
  assert.deepEqual(await ask('banger vm ls --output=ya'), ['--output=yaml']);
  assert.deepEqual(await ask('banger vm cp ./no'), ['./notes.txt']);
  assert.ok((await ask('banger vm ')).some((line) => line.startsWith('create\tcreate a virtual machine')));
});
