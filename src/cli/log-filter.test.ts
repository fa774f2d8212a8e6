import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filterLines, isWished } from './log-filter.ts';

const line = (facts: object): string => JSON.stringify({ level: 'info', ...facts });

test('lines of the log are chosen by level, operation and VM; a line that is not JSON counts as an error (9.1)', () => {
  assert.ok(isWished(line({}), {}));
  assert.ok(!isWished(line({}), { level: 'warn' }));
  assert.ok(isWished(line({ level: 'error' }), { level: 'warn' }));
  assert.ok(isWished(line({ operation: 'abc123' }), { operation: 'abc' }));
  assert.ok(!isWished(line({ operation: 'abc123' }), { operation: 'bc' }));
  assert.ok(!isWished(line({}), { operation: 'abc' }));
  assert.ok(isWished(line({ vm: 'web' }), { vm: 'web' }));
  assert.ok(!isWished(line({ vm: 'web2' }), { vm: 'web' }));
  assert.ok(isWished('bangerd: unhandled: it broke', { level: 'error' }));
  assert.ok(!isWished('bangerd: unhandled: it broke', { vm: 'web' }));
});

test('lines come whole however they are cut, and the last one without its end (9.1)', async () => {
  const text = [line({ vm: 'web', n: 1 }), line({ vm: 'db' }), line({ vm: 'web', n: 2 })].join('\n');
  for (const size of [1, 7, 1000]) {
    const pieces = (async function* () {
      for (let at = 0; at < text.length; at += size) yield Buffer.from(text.slice(at, at + size));
    })();
    let seen = '';
    for await (const chunk of filterLines(pieces, { vm: 'web' })) seen += chunk.toString();
    assert.equal(seen, [line({ vm: 'web', n: 1 }), line({ vm: 'web', n: 2 })].join('\n'));
  }
});
