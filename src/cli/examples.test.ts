// Examples of every help, run as they stand against a daemon that has none of what they name: what is wrong in the words shows first.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { after, before, test } from 'node:test';
import { runInProcess } from '../../test/support/user/run-cli.ts';
import { startStubDaemon, type StubDaemon } from '../../test/support/daemon/stub-daemon.ts';
import { createCli } from './cli.ts';
import { examplesOf } from './command.ts';
import { splitLine } from './completion/words.ts';
import { allCommands } from './program.ts';

/** They act on this machine, and their words are read by other tests. */
const ACTS_HERE = ['setup', 'dns', 'ssh-config', 'daemon', 'internal', 'ssh', 'fetch', 'package', 'context'];
const FILES = ['packages.txt', 'setup.sh', 'app.conf', 'notes.txt', '.env', 'runtime-bundle.toml', 'web.tar', 'image.tar', 'rootfs.ext4'];

let stub: StubDaemon;
const home = process.cwd();
before(async () => {
  stub = await startStubDaemon({ routes: {} });
  process.chdir(stub.directory);
  for (const file of FILES) writeFileSync(file, '');
  mkdirSync('logs');
});
after(async () => {
  process.chdir(home);
  await stub.close();
});

test('no example is refused for its words (1.7)', async () => {
  const stream = new PassThrough();
  const cli = createCli({ env: stub.env, stdin: stream, stdout: stream, stderr: stream, programPath: '/x' });
  let ran = 0;
  for (const { words, command } of await allCommands(cli)) {
    if (words.some((word) => ACTS_HERE.includes(word))) continue;
    for (const example of examplesOf(command)) {
      const typed = splitLine(example.replace(/^.*\| (?=banger)/, '').replace(/ ([|<>]|&&) .*$/, ''));
      if (typed[0] !== 'banger') continue;
      ran++;
      const { exitCode, stderr } = await runInProcess(stub.env, typed.slice(1), { stdinIsTTY: typed.includes('-it') });
      assert.notEqual(exitCode, 2, `${example}\n${stderr}`);
    }
  }
  assert.ok(ran > 60, `${ran} examples`);
});
