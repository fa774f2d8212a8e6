import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { AGENT_LIMITS, LIMITS, execProblem } from './limits.ts';

const { totalBytes, wordBytes } = LIMITS.exec;

test('a command may be what Linux takes, and not one byte or word more (3.13)', () => {
  const program = 'true';
  const left = totalBytes - (program.length + 9);
  const words = (count: number): string[] => [program, ...Array.from({ length: count }, () => 'x')];
  assert.equal(execProblem(words(Math.floor(left / 10))), undefined);
  assert.match(execProblem(words(Math.floor(left / 10) + 1)) ?? '', /^and its environment take 20971\d\d bytes with 209715 words/);
  assert.equal(execProblem([program, 'x'.repeat(wordBytes)]), undefined);
  assert.match(execProblem([program, 'x'.repeat(wordBytes + 1)]) ?? '', /^has a word of 131072 bytes/);
  assert.match(execProblem([program, 'ä'.repeat(wordBytes / 2 + 1)]) ?? '', /^has a word of/, 'bytes count, not characters');
  assert.equal(execProblem([program], { A: 'x'.repeat(wordBytes - 2) }), undefined);
  assert.match(execProblem([program], { A: 'x'.repeat(wordBytes - 1) }) ?? '', /^has a word of/);
});

test('words that cannot be passed to a program are refused (3.13)', () => {
  for (const argv of [[], [''], ['true', 'a\0b'], ['true', '\ud800']]) assert.notEqual(execProblem(argv), undefined);
  assert.notEqual(execProblem(['true'], { A: '\0' }), undefined);
  assert.equal(execProblem(['true', '', '😀']), undefined);
});

test('every command that is allowed fits into one request to the agent, however JSON writes it (3.13)', () => {
  const size = (argv: string[]): number => Buffer.byteLength(JSON.stringify({ argv }));
  const full = (word: string): string[] => {
    const count = Math.floor((totalBytes - 13) / (Buffer.byteLength(word) + 9));
    return ['true', ...Array.from({ length: count }, () => word)];
  };
  for (const word of ['', 'x', '\u001f', '\u001f'.repeat(wordBytes)]) {
    const argv = full(word);
    assert.equal(execProblem(argv), undefined);
    // cwd, user and the rest of the body.
    assert.ok(size(argv) + 6 * LIMITS.pathBytes + 4096 <= AGENT_LIMITS.jsonBytes, JSON.stringify(word.slice(0, 1)));
    assert.ok(argv.length + 16 <= AGENT_LIMITS.jsonValues);
  }
});

test('the largest command is one that this Linux starts (3.13)', () => {
  // As execve finds it: the path of the program is copied once more (execve(2)).
  const path = execFileSync('sh', ['-c', 'command -v true'], { encoding: 'utf8' }).trim();
  const count = Math.floor((totalBytes - 2 * (path.length + 9) - 16) / 1009);
  execFileSync(path, Array<string>(count).fill('x'.repeat(1000)), { env: {} });
});
