import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Plain, toYaml } from './yaml.ts';

test('YAML has one member a line, lists under dashes, and quotes only what could be taken for something else (1.7)', () => {
  const value = {
    name: 'web',
    id: '12e4',
    on: 'no',
    path: '/root/a b',
    none: null,
    gone: undefined,
    count: 3,
    up: true,
    empty: [],
    nothing: {},
    list: [{ a: 1, b: ['x: y'] }, 'two'],
    text: 'a\nb: "c"\u0085',
  };
  assert.equal(
    toYaml(value),
    [
      'name: web',
      'id: "12e4"',
      '"on": "no"',
      'path: /root/a b',
      'none: null',
      'count: 3',
      'up: true',
      'empty: []',
      'nothing: {}',
      'list:',
      '  - a: 1',
      '    b:',
      '      - "x: y"',
      '  - two',
      'text: "a\\nb: \\"c\\"\\u0085"',
    ].join('\n'),
  );
});

const hasPyYaml = spawnSync('python3', ['-c', 'import yaml']).status === 0;

test(
  'whatever JSON can hold is read back the same by a YAML reader (1.7)',
  { skip: hasPyYaml ? false : 'python3-yaml is not installed (make setup installs it)' },
  () => {
    const text = fc.string({ unit: 'binary' }).filter((s) => s.isWellFormed());
    const words = fc.constantFrom(
      'yes',
      'null',
      '~',
      '1e3',
      '0x1f',
      '2026-01-01',
      '- a',
      'a: b',
      'a #b',
      ' a',
      '=',
      '<<',
      '.inf',
      '012',
      '1_0',
      '1:30',
    );
    const key = fc.oneof(text, words);
    const { value } = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 3 },
        text,
        words,
        fc.integer(),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(key, tie('value'), { maxKeys: 3 }),
      ),
    }));
    const samples = fc.sample(value, 300) as Plain[];
    const script = 'import sys,json,yaml\nprint(json.dumps([yaml.safe_load(t) for t in json.load(sys.stdin)]))';
    const { stdout, stderr, status } = spawnSync('python3', ['-c', script], {
      input: JSON.stringify(samples.map(toYaml)),
      encoding: 'utf8',
    });
    assert.equal(status, 0, stderr);
    assert.deepEqual(JSON.parse(stdout), JSON.parse(JSON.stringify(samples)));
  },
);
