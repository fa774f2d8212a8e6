import assert from 'node:assert/strict';
import { type ChildProcessByStdio, execFileSync, spawn, spawnSync, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';

// Node itself sees to the first sixteen.
const [SECRET, HANDED_OVER] = [40, 41];

test('descriptors that the daemon inherited reach no program that it starts, except the one passed on purpose (12.8)', () => {
  const files = ['/etc/hostname', '/etc/passwd'].map((path) => openSync(path, 'r'));
  try {
    const script = `
      import { execFileSync } from 'node:child_process';
      import { closeInherited } from '${join(import.meta.dirname, 'inherited.ts')}';
      const list = () => execFileSync('sh', ['-c', 'ls -l /proc/$$/fd']).toString();
      const before = list();
      await closeInherited(${HANDED_OVER});
      console.log(JSON.stringify([before, list()]));
    `;
    const stdio: StdioOptions = Array.from({ length: HANDED_OVER + 1 }, () => 'ignore');
    stdio.splice(1, 2, 'pipe', 'pipe');
    stdio.splice(SECRET, 2, ...files);
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module-typescript', '-e', script], { stdio, encoding: 'utf8' });
    const [before = '', after = ''] = JSON.parse(stdout) as string[];
    assert.match(before, / 40 -> \/etc\/hostname/, stderr);
    assert.doesNotMatch(after, /hostname/);
    assert.match(after, / 41 -> \/etc\/passwd/);
  } finally {
    files.forEach(closeSync);
  }
});

test("the user's certificates, which Node still reads then, are not closed under it (9.5)", async () => {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-'));
  let child: ChildProcessByStdio<null, Readable, Readable> | undefined;
  try {
    const path = join(directory, 'certificates');
    execFileSync('mkfifo', [path]);
    const script = `
      import { writeSync } from 'node:fs';
      import { closeInherited } from '${join(import.meta.dirname, 'inherited.ts')}';
      writeSync(1, 'begun');
      await closeInherited(undefined);
    `;
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: path };
    child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const said = text(child.stderr);
    const certificates = await open(path, 'w');
    await once(child.stdout, 'data');
    // Time in which it could close the file, were it to do so.
    await new Promise((resolve) => setTimeout(resolve, 300));
    await certificates.write('# nobody is trusted\n');
    await certificates.close();
    assert.deepEqual(await once(child, 'exit'), [0, null]);
    assert.doesNotMatch(await said, /bad|EBADF|Bad file descriptor/i);
  } finally {
    child?.kill('SIGKILL');
    rmSync(directory, { recursive: true });
  }
});
