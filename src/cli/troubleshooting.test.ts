// docs/troubleshooting.md names commands and keys that exist.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { configKeys } from '../daemon/config.ts';
import type { AnyCommand } from './command.ts';
import { createCli } from './cli.ts';
import { allCommands } from './program.ts';

const text = readFileSync(join(import.meta.dirname, '../../docs/troubleshooting.md'), 'utf8');
const quoted = [...text.matchAll(/`([^`]+)`/g)].map(([, words = '']) => words);

test('every command that troubleshooting names exists, with its switches and arguments (9.3)', async () => {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const known = await allCommands(createCli({ env: { HOME: '/nonexistent' }, stdin, stdout, stderr, programPath: '/x' }));
  const lines = quoted.filter((words) => words.startsWith('banger '));
  assert.ok(lines.length > 25, `${lines.length}`);
  for (const line of lines) {
    const words = line.split(' ').slice(1);
    // The longest match: `vm forward` and `vm forward list` are two.
    const matches = known.filter((one) => one.words.every((word, at) => words[at] === word));
    const { command, words: own } = matches.toSorted((a, b) => b.words.length - a.words.length)[0] ?? {};
    assert.ok(command !== undefined && own !== undefined, line);
    const rest = words.slice(own.length);
    for (const flag of rest.filter((word) => word.startsWith('-'))) {
      const option: AnyCommand['options'][number] | undefined = command.options.find(({ long, short }) => long === flag || short === flag);
      assert.ok(option !== undefined, `${line}: ${flag}`);
      if (option.required) rest.splice(rest.indexOf(flag) + 1, 1);
    }
    const operands = rest.filter((word) => !word.startsWith('-'));
    assert.ok(operands.length <= command.registeredArguments.length, `${line}: takes ${command.registeredArguments.length} arguments`);
  }
});

test('every key of the configuration that troubleshooting names exists (2.2)', () => {
  const keys = quoted.filter((words) => /^[a-z]+[._][a-z_.]+$/.test(words) && !/\.(vm|db|json|toml)$/.test(words));
  assert.ok(keys.length > 0);
  for (const key of keys) assert.ok(configKeys().includes(key), key);
});
