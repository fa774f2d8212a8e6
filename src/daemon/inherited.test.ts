import assert from 'node:assert/strict';
import { spawnSync, type StdioOptions } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

// Node itself sees to the first sixteen.
const [SECRET, HANDED_OVER] = [40, 41];

test('what was left open for the daemon reaches no program that it starts, but for what it was handed over (12.8)', () => {
  const files = ['/etc/hostname', '/etc/passwd'].map((path) => openSync(path, 'r'));
  try {
    const script = `
      import { execFileSync } from 'node:child_process';
      import { closeInherited } from '${join(import.meta.dirname, 'inherited.ts')}';
      const list = () => execFileSync('sh', ['-c', 'ls -l /proc/$$/fd']).toString();
      const before = list();
      closeInherited(${HANDED_OVER});
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
