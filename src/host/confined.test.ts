// What a confined program sees and can do, asked by real ones. As root too: then none of them is root.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { confinementProblem, runConfined } from './confined.ts';
import { confinedPath, type Confinement } from './confinement.ts';
import { checkExt4, makeExt4 } from './ext4.ts';
import { CommandFailure } from './spawn.ts';

/** @returns what a confined shell prints */
async function saidBy(script: string, confinement: Confinement = {}, input?: string): Promise<string> {
  const argv = ['sh', '-c', script, 'script'];
  return (await runConfined(argv, confinement, input === undefined ? {} : { input })).stdout.trim();
}

async function failureOf(script: string, confinement: Confinement = {}): Promise<CommandFailure> {
  const error = await saidBy(script, confinement).catch((thrown: unknown) => thrown);
  assert.ok(error instanceof CommandFailure, String(error));
  return error;
}

function directoryOf(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-confined-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

describe('a program that reads foreign data', () => {
  for (const ids of ['one', 'many'] as const) {
    test(`sees programs and nothing of the user or of this machine, with ${ids} of ids (12.8)`, async (t) => {
      const secret = join(directoryOf(t), 'secret');
      writeFileSync(secret, 'key', { mode: 0o644 });
      const look = `ls -A / | tr '\\n' ' '; cat ${secret} /etc/passwd /etc/hostname 2>/dev/null; ls -A /usr/local /etc | tr '\\n' ' '; pwd`;
      const seen = await saidBy(look, { ids });
      assert.match(seen, /^(bin|dev|etc|lib\S*|proc|sbin|tmp|usr)( (bin|dev|etc|lib\S*|proc|sbin|tmp|usr))* /);
      assert.doesNotMatch(seen, /key|root:|home|var|run\b/);
    });

    test(`has no environment, no network, no other process and no way to another namespace, with ${ids} of ids (12.8)`, async () => {
      assert.equal(await saidBy('env | cut -d= -f1 | sort | tr "\\n" " "', { ids }), 'LANG PATH PWD');
      assert.equal(await saidBy('tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d " "', { ids }), 'lo');
      assert.match(await saidBy('ls /proc | grep -c "^[0-9]"', { ids }), /^[1-7]$/);
      assert.equal(await saidBy('unshare --user true 2>/dev/null || unshare --mount true 2>/dev/null || echo refused', { ids }), 'refused');
      assert.match(await saidBy('grep -E "NoNewPrivs|Seccomp:" /proc/self/status', { ids }), /NoNewPrivs:\s*1\nSeccomp:\s*2/);
      assert.equal(await saidBy('touch /usr/bin/new 2>/dev/null || echo refused', { ids }), 'refused');
    });
  }

  test('runs as nobody, without a capability (12.8)', async () => {
    assert.equal(await saidBy('id -u; grep CapEff /proc/self/status | cut -f2'), '65534\n0000000000000000');
  });

  test('has otherwise unused ids if the daemon is root (12.8)', { skip: process.getuid?.() !== 0 }, async (t) => {
    const path = join(directoryOf(t), 'disk');
    writeFileSync(path, '');
    const looked = Promise.withResolvers<number>();
    const onLine = (): void => looked.resolve(statSync(path).uid);
    async function* input(): AsyncGenerator<Buffer> {
      await looked.promise;
      yield Buffer.from('end');
    }
    await runConfined(['sh', '-c', `echo > ${confinedPath(0)} && echo wrote && cat`], { files: [path] }, { onLine, input: input() });
    assert.deepEqual([await looked.promise, statSync(path).uid], [0x7000_0000, 0]);
  });

  test('as root among many ids changes owners and attributes of files, and nothing else (12.8)', async () => {
    const script = 'cd /scratch && touch a && chown 5:65535 a && stat -c %u:%g a && grep CapEff /proc/self/status | cut -f2';
    const [owner, capabilities] = (await saidBy(script, { ids: 'many', scratchBytes: 1024 ** 2 })).split('\n');
    // CHOWN 0, DAC_OVERRIDE 1, FOWNER 3, FSETID 4, SETFCAP 31.
    assert.deepEqual([owner, capabilities], ['5:65535', '000000008000001b']);
  });

  test('writes the files it is given, which keep owner and mode, and reads copies (12.8)', async (t) => {
    const directory = directoryOf(t);
    const [path, settings] = [join(directory, 'disk'), join(directory, 'settings')];
    writeFileSync(path, 'old', { mode: 0o640 });
    writeFileSync(settings, 'copied');
    const before = statSync(path);
    await saidBy(
      'cat /etc/settings > "$0" || exit 1; cat >> "$0"'.replaceAll('$0', confinedPath(0)),
      {
        files: [path],
        copies: new Map([['/etc/settings', settings]]),
      },
      ' and fed',
    );
    assert.equal(readFileSync(path, 'utf8'), 'copied and fed');
    const { uid, gid, mode } = statSync(path);
    assert.deepEqual([uid, gid, mode], [before.uid, before.gid, before.mode]);
  });

  test('that a signal ended has failed, also where its status would look like one that is fine (12.8)', async () => {
    const crashed = await failureOf('kill -SEGV $$');
    assert.deepEqual([crashed.outcome.signal, crashed.outcome.exitCode], ['SIGSEGV', null]);
    assert.equal(crashed.message, 'script was ended by SIGSEGV');
    assert.equal((await failureOf('exit 3')).outcome.exitCode, 3);
    const absent = await runConfined(['bgr-no-such-program'], {}).catch((error: unknown) => error);
    assert.ok(absent instanceof CommandFailure);
    assert.equal(absent.startError, 'ENOENT');
  });

  test('is ended when it takes too much time, memory or room, or says too much (12.8)', async (t) => {
    const path = join(directoryOf(t), 'file');
    writeFileSync(path, '');
    assert.match((await failureOf('while :; do :; done', { limits: { cpuSeconds: 1 } })).message, /SIG(KILL|XCPU)/);
    await failureOf('exec tail -c 190000000 /dev/zero', {
      limits: { memoryBytes: 100 * 1024 ** 2 },
    });
    await failureOf(`exec head -c 100000 /dev/zero > ${confinedPath(0)}`, { files: [path], limits: { fileBytes: 4096 } });
    assert.equal(statSync(path).size, 4096);
    assert.match(await saidBy('head -c 100000 /dev/zero > /scratch/a 2>/dev/null || echo full', { scratchBytes: 8192 }), /full/);
    await failureOf('i=0; while [ $i -lt 40 ]; do sleep 100 & i=$((i + 1)); done; wait', { limits: { processes: 8 } });
    const talk = runConfined(['sh', '-c', 'cat /dev/zero | tr "\\0" x'], {}, { maxStdoutBytes: 1000 });
    await assert.rejects(talk, (error: unknown) => error instanceof CommandFailure && error.outcome.stdout.length < 1024 ** 2);
    const late = runConfined(['sleep', '1000'], {}, { timeoutMs: 100 });
    await assert.rejects(late, (error: unknown) => error instanceof CommandFailure && error.outcome.timedOut);
  });

  test('never runs where it cannot be confined, and the error has the remedy (12.8)', async (t) => {
    const nowhere = process.env['PATH'];
    t.after(() => (process.env['PATH'] = nowhere));
    assert.equal(await confinementProblem('one'), undefined);
    assert.equal(await confinementProblem('many'), undefined);
    const directory = directoryOf(t);
    // Beside it, only /usr/sbin and /sbin are searched.
    process.env['PATH'] = directory;
    assert.equal((await confinementProblem('one'))?.remedy, 'sudo apt-get install bubblewrap');
    await assert.rejects(runConfined(['true'], {}), CommandFailure);
  });
});

test('a damaged file system is no success, and one that was repaired is (5.3, 12.8)', async (t) => {
  const path = join(directoryOf(t), 'disk');
  writeFileSync(path, '', { mode: 0o600 });
  truncateSync(path, 64 * 1024 ** 2);
  await makeExt4(path, 'label');
  execFileSync('debugfs', ['-w', '-R', 'set_super_value free_blocks_count 1', path], { stdio: 'pipe' });
  await checkExt4(path);
  execFileSync('e2fsck', ['-fn', path], { stdio: 'pipe' });
  for (const at of [0, 32])
    execFileSync('dd', ['if=/dev/urandom', `of=${path}`, 'bs=1M', 'count=2', `seek=${at}`, 'conv=notrunc'], { stdio: 'pipe' });
  await assert.rejects(
    checkExt4(path),
    (error: unknown) => error instanceof CommandFailure && error.message.startsWith('e2fsck ended with status'),
  );
});
