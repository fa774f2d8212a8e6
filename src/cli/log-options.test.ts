import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isWished } from './log-filter.ts';
import { parseSince } from './log-options.ts';

test('a moment is a duration ago or a time, with what people leave out of it (1.7)', () => {
  const now = Date.now();
  for (const [text, ago] of Object.entries({ '10m': 600_000, '90': 90_000, '1h30m': 5_400_000, '0s': 0 })) {
    const since = parseSince(text);
    assert.ok(since >= now - ago && since <= Date.now() - ago, text);
  }
  assert.equal(parseSince('2026-01-31T08:00:00Z'), Date.UTC(2026, 0, 31, 8));
  assert.equal(parseSince('2026-01-31 08:00:00+02:00'), Date.UTC(2026, 0, 31, 6));
  assert.equal(parseSince('1769846400'), Date.UTC(2026, 0, 31, 8), 'seconds since 1970');
  assert.equal(parseSince('2026-01-31T08:00'), new Date(2026, 0, 31, 8).getTime());
  assert.equal(parseSince('2026-01-31'), new Date(2026, 0, 31).getTime());
  for (const text of ['', 'yesterday', '-5m', '99999999999', '2026-13-01', '2026-01-31T25:00:00Z', '31.01.2026', '2026-01-31 ', '10 m'])
    assert.throws(() => parseSince(text), { code: 'INVALID_INPUT' }, text);
});

test('--since keeps the lines from that time on (9.1)', () => {
  const since = Date.UTC(2026, 0, 1);
  const line = (time: unknown): string => JSON.stringify({ level: 'info', time });
  assert.ok(isWished(line('2026-01-01T00:00:00.000Z'), { since }));
  assert.ok(!isWished(line('2025-12-31T23:59:59.999Z'), { since }));
  assert.ok(!isWished(line(undefined), { since }));
});
