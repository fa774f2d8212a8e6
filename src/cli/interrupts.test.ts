import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';

test('the first Ctrl-C asks for an orderly end, the second one leaves at once with 130 (1.4)', async () => {
  const module = join(import.meta.dirname, 'interrupts.ts');
  const program = `import { onInterrupt } from ${JSON.stringify(module)};
    onInterrupt(() => console.log('rolling back')); setInterval(() => undefined, 1000); console.log('ready');`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  const until = async (text: string): Promise<void> => {
    while (!said.includes(text)) await once(child.stdout, 'data');
  };
  await until('ready');
  child.kill('SIGINT');
  await until('rolling back');
  assert.equal(child.exitCode, null);
  child.kill('SIGINT');
  assert.deepEqual(await ended, [130, null]);
  assert.equal(said, 'ready\nrolling back\n');
});
