import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { configKeys } from '../../src/daemon/config.ts';
import { cliMarkdownText, writeDistDocs } from './main.ts';
import { readReference } from './reference.ts';

test('the reference has every command with its switches, defaults and examples, the exit codes, and every key (1.7)', async () => {
  const text = await cliMarkdownText();
  for (const { words, options, examples } of (await readReference()).pages) {
    assert.ok(text.includes(`## banger ${words.join(' ')}\n`), words.join(' '));
    for (const { term } of options) assert.ok(text.includes(`| \`${term.replaceAll('|', '\\|')}\` |`), term);
    assert.ok(examples.length > 0 && text.includes(examples.join('\n')), words.join(' '));
  }
  for (const key of configKeys()) assert.ok(text.includes(`| \`${key}\` |`), key);
  assert.match(text, /124 +timeout/);
  assert.ok(!text.includes('internal'), 'what is hidden stays so');
});

const lacksGroff = spawnSync('groff', ['--version']).error === undefined ? false : 'groff is not installed (make setup installs it)';

test('manual pages are read by groff without a warning, and show what they should (1.7)', { skip: lacksGroff }, async () => {
  const dist = mkdtempSync(join(tmpdir(), 'bgr-docs-'));
  try {
    await writeDistDocs(dist, '1.2.3');
    for (const file of ['_banger', 'banger.bash', 'banger.fish']) assert.ok(existsSync(join(dist, 'completions', file)), file);
    const pages = readdirSync(join(dist, 'man'));
    for (const page of ['banger.1', 'banger-vm-create.1', 'banger-vm-forward-list.1', 'banger.toml.5'])
      assert.ok(pages.includes(page), page);
    for (const page of pages) {
      const args = ['-man', '-ww', '-z', '-T', 'utf8', join(dist, 'man', page)];
      const { status, stderr } = spawnSync('groff', args, { encoding: 'utf8', env: { ...process.env, MANWIDTH: '200' } });
      assert.deepEqual({ status, stderr }, { status: 0, stderr: '' }, page);
    }
    const shown = spawnSync('groff', ['-man', '-T', 'ascii', '-P', '-cbou', join(dist, 'man', 'banger-vm-create.1')], { encoding: 'utf8' });
    assert.match(shown.stdout, /banger-vm-create - create a virtual machine and start it/);
    assert.match(shown.stdout, /--memory <size>\n +memory, MiB or with a unit \(default: 1 GiB\)/);
    assert.match(shown.stdout, /banger vm create --name web --vcpu 4/);
    assert.match(readFileSync(join(dist, 'man', 'banger.toml.5'), 'utf8'), /^\.B defaults\.memory$/m);
  } finally {
    rmSync(dist, { recursive: true, force: true });
  }
});
